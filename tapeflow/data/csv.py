"""`tf.data.experimental.CsvDataset` and `make_csv_dataset`: records of comma-separated values, column by column."""

import collections
import csv
import gzip
import os

import numpy as np

from tapeflow.base.dtypes import DType, as_dtype, float32, float64, int32, int64, string
from tapeflow.base.errors import InvalidArgumentError
from tapeflow.base.specs import TensorSpec
from tapeflow.core.convert import convert_to_tensor
from tapeflow.data.dataset import AUTOTUNE, Dataset
from tapeflow.data.options import Options
from tapeflow.data.readers import ReadDataset, option, text_leaf
from tapeflow.data.stream import Stream
from tapeflow.io.text import CsvReader, csv_fields

TYPES = (float32, float64, int32, int64, string)
_NAMES = {float32: "float", float64: "double", int32: "int32", int64: "int64"}  # as TensorFlow's messages have them


class CsvDataset(ReadDataset):
    """The records of CSV files, as tuples with a scalar for each column.

    Args:
        filenames: a string, a list or tensor of strings, or a dataset of strings.
        record_defaults: for each column that is read its dtype, where a value is required, or a value for what is missing.
        compression_type, buffer_size: as for `tf.data.TextLineDataset`.
        header: whether the first line of each file is left out.
        field_delim: one character.
        use_quote_delim: whether fields may stand in double quotes.
        na_value: another text for a missing value.
        select_cols: the numbers of the columns to read, rising; all by default.
        exclude_cols: or those not to read.

    Raises:
        ValueError: both `select_cols` and `exclude_cols` are given, or they do not rise.
        InvalidArgumentError: (while iterating) a record has another number of fields, or a field no value of its dtype.

    Example:
        >>> import pathlib, tempfile
        >>> import tapeflow as tf
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "table.csv"
        >>> _ = path.write_text("name,size\\na,1\\nb,\\n")
        >>> dataset = tf.data.experimental.CsvDataset(str(path), [tf.string, 7], header=True)
        >>> [(name.numpy(), int(size)) for name, size in dataset]
        [(b'a', 1), (b'b', 7)]
    """

    def __init__(
        self,
        filenames,
        record_defaults,
        compression_type=None,
        buffer_size=None,
        header=False,
        field_delim=",",
        use_quote_delim=True,
        na_value="",
        select_cols=None,
        exclude_cols=None,
    ):
        super().__init__(filenames)
        if select_cols is not None and exclude_cols is not None:
            raise InvalidArgumentError(None, None, "Either select_cols or exclude_cols should be empty")
        columns = [_column(default) for default in record_defaults]
        self._spec = tuple([TensorSpec([], dtype) for dtype, _ in columns])
        delimiter = str(option(field_delim)).encode()
        missing = (b"", str(option(na_value)).encode())
        fields = Fields(columns, delimiter, use_quote_delim, missing, select_cols, exclude_cols)
        self._settings = option(compression_type), option(buffer_size), use_quote_delim
        self._parsing = fields, header

    def _reader(self, path):
        return CsvStream(CsvReader(path, *self._settings), *self._parsing)


def _column(default):
    """(dtype, the leaf for a missing value or None) of a record default."""
    if isinstance(default, (DType, type)) or (isinstance(default, str) and default in [dtype.name for dtype in TYPES]):
        dtype, value = as_dtype(default), None
    else:
        x = convert_to_tensor(default)
        dtype = x.dtype
        flat = np.ravel(x._value)
        value = None if not flat.size else flat[0]
    if dtype not in TYPES:
        raise TypeError(f"A CSV column cannot be of dtype {dtype.name}: one of {[dtype.name for dtype in TYPES]} is needed.")
    return dtype, text_leaf(value) if dtype is string and value is not None else value


class Fields:
    """Takes the bytes of a record apart into the leaves of an element."""

    def __init__(self, columns, delimiter, quotes, missing, select, exclude):
        self.columns, self.missing = columns, missing
        self.delimiter, self.quotes = delimiter, quotes
        self.select = None if select is None else list(map(int, select))
        self.exclude = None if exclude is None else set(map(int, exclude))

    def leaves(self, record):
        """The leaves of a record."""
        fields = csv_fields(record, self.delimiter, self.quotes)
        if self.select is not None:
            fields = [fields[i] for i in self.select if i < len(fields)]
        elif self.exclude is not None:
            fields = [field for i, field in enumerate(fields) if i not in self.exclude]
        if len(fields) != len(self.columns):
            raise InvalidArgumentError(None, None, f"Expect {len(self.columns)} fields but have {len(fields)} in record")
        return [self._leaf(i, field, *column) for i, (field, column) in enumerate(zip(fields, self.columns, strict=True))]

    def _leaf(self, position, field, dtype, default):
        if field in self.missing:
            if default is None:
                raise InvalidArgumentError(None, None, f"Field {position} is required but missing in record!")
            return default
        if dtype is string:
            return text_leaf(field)
        try:
            if b"_" in field:
                raise ValueError
            if dtype.is_floating:
                return dtype.type(float(field))
            number = int(field)
            limits = np.iinfo(dtype.numpy_dtype)
            if not limits.min <= number <= limits.max:
                raise ValueError
            return dtype.type(number)
        except ValueError:
            raise InvalidArgumentError(
                None, None, f"Field {position} in record is not a valid {_NAMES[dtype]}: {field.decode(errors='replace')}"
            ) from None


class CsvStream(Stream):
    """The records of a file as elements; the file is closed when it is dropped."""

    __slots__ = ("_fields", "_header", "_reader")

    def __init__(self, reader, fields, header):
        self._reader, self._fields, self._header = reader, fields, header

    def __next__(self):
        if self._header:
            self._header = False
            next(self._reader)
        return self._fields.leaves(next(self._reader))

    def __del__(self):
        self._reader.close()


# Datasets of whole tables


def make_csv_dataset(
    file_pattern,
    batch_size,
    column_names=None,
    column_defaults=None,
    label_name=None,
    select_columns=None,
    field_delim=",",
    use_quote_delim=True,
    na_value="",
    header=True,
    num_epochs=None,
    shuffle=True,
    shuffle_buffer_size=10000,
    shuffle_seed=None,
    prefetch_buffer_size=None,
    num_parallel_reads=None,
    sloppy=False,
    num_rows_for_inference=100,
    compression_type=None,
    ignore_errors=False,
    encoding="utf-8",
):
    """Batches of the rows of CSV files: a dict with a tensor for each column, or a pair of such a dict and the labels.

    Args:
        file_pattern: a pattern of file names, or a list of them.
        batch_size: how many rows a batch has.
        column_names: the columns' names; those in the first line of the files by default.
        column_defaults: for each column that is read its dtype or a value for what is missing; by default the dtype is found
            out from the first rows, and what is missing is 0 or an empty string.
        label_name: the column that holds the labels.
        select_columns: the names or numbers of the columns to read; all by default.
        field_delim, use_quote_delim, na_value: as for `CsvDataset`.
        header: whether the files begin with the columns' names.
        num_epochs: how often the rows are repeated; for ever by default.
        shuffle, shuffle_buffer_size, shuffle_seed: as for `Dataset.shuffle`; without `shuffle` rows keep their order.
        prefetch_buffer_size: as for `Dataset.prefetch`.
        num_parallel_reads: how many files are read at a time, whose rows then come by turns.
        sloppy: accepted; the order is that of the turns.
        num_rows_for_inference: how many rows tell the dtypes; None for all.
        compression_type: "" or None, or "GZIP".
        ignore_errors: whether rows that cannot be read are left out.
        encoding: of the files.

    Raises:
        ValueError: the arguments, or the files' first lines, do not fit each other.

    Example:
        >>> import pathlib, tempfile
        >>> import tapeflow as tf
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "table.csv"
        >>> _ = path.write_text("name,size\\na,1\\nb,2\\n")
        >>> dataset = tf.data.experimental.make_csv_dataset(str(path), 2, label_name="size", shuffle=False, num_epochs=1)
        >>> [(features["name"].numpy().tolist(), labels.numpy().tolist()) for features, labels in dataset]
        [([b'a', b'b'], [1, 2])]
    """
    dataset = Dataset.list_files(file_pattern, shuffle=False)
    files = [os.fsdecode(name.numpy()) for name in dataset]
    table = _Table(files, field_delim, use_quote_delim, header, compression_type, encoding)
    names = table.names() if column_names is None else list(column_names)
    if len(names) != len(set(names)):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(f"Either `column_names` argument or CSV header row contains duplicate column names: {set(twice)}.")
    selected = None if select_columns is None else _positions(select_columns, names)
    if column_defaults is None:
        column_defaults = table.defaults(len(names), selected, na_value, num_rows_for_inference)
    if selected is not None:
        if len(column_defaults) != len(selected):
            raise ValueError(
                "If specified, `column_defaults` and `select_columns` must have the same length: `column_defaults` has length "
                f"{len(column_defaults)}, `select_columns` has length {len(selected)}."
            )
        names = [names[i] for i in selected]
    if label_name is not None and label_name not in names:
        raise ValueError(f"`label_name` provided must be one of the columns: {names}. Received: {label_name}.")

    def rows_of(file):
        rows = CsvDataset(
            file, column_defaults, compression_type, None, header, field_delim, use_quote_delim, na_value, selected
        )
        return rows.ignore_errors() if ignore_errors else rows

    def named(*columns):
        features = collections.OrderedDict(zip(names, columns, strict=True))
        return features if label_name is None else (features, features.pop(label_name))

    if shuffle:
        dataset = dataset.shuffle(len(files), shuffle_seed)
    reads = 1 if num_parallel_reads is None else num_parallel_reads
    dataset = dataset.interleave(rows_of, None if reads == AUTOTUNE else reads, 1, reads if reads != 1 else None)
    if shuffle:
        dataset = dataset.shuffle(shuffle_buffer_size, shuffle_seed)
    if num_epochs != 1:
        dataset = dataset.repeat(num_epochs)
    dataset = dataset.batch(batch_size, drop_remainder=num_epochs is None).map(named)
    options = Options()
    options.deterministic = not sloppy
    return dataset.prefetch(AUTOTUNE if prefetch_buffer_size is None else prefetch_buffer_size).with_options(options)


class _Table:
    """CSV files as text, of which the first rows are looked at."""

    def __init__(self, files, delimiter, quotes, header, compression, encoding):
        self.files, self.header, self.compression, self.encoding = files, header, compression or "", encoding
        self.format = {"delimiter": delimiter, "quoting": csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE}

    def _opened(self, file):
        if self.compression not in ("", "GZIP"):
            raise ValueError(f"`compression_type` {self.compression} is not supported for probing columns.")
        return (gzip.open if self.compression else open)(file, "rt", encoding=self.encoding, newline="")

    def names(self):
        """The names of the columns, from the first lines."""
        if not self.header:
            raise ValueError("Expected `column_names` or `header` arguments. Neither is provided.")
        found = None
        for file in self.files:
            with self._opened(file) as text:
                names = next(csv.reader(text, **self.format), None)
            if names is None:
                raise ValueError(f"Failed when reading the header line of {file}. Is it an empty file?")
            if found not in (None, names):
                raise ValueError(
                    f"All input CSV files should have the same column names in the header row. File {file} has different column "
                    "names."
                )
            found = names
        return found

    def _rows(self, count):
        for file in self.files:
            with self._opened(file) as text:
                rows = csv.reader(text, **self.format)
                if self.header:
                    next(rows, None)
                for number, row in enumerate(rows, 1 + bool(self.header)):
                    if len(row) != count:
                        raise ValueError(
                            f"Problem inferring types: CSV row {number} has {len(row)} number of fields. Expected: {count}."
                        )
                    yield row

    def defaults(self, count, selected, na_value, most):
        """For each column a tensor with the value for what is missing, of the narrowest dtype that holds the first rows."""
        positions = range(count) if selected is None else selected
        kinds = [0] * len(positions)
        for i, row in enumerate(self._rows(count)):
            if most is not None and i >= most:
                break
            for j, position in enumerate(positions):
                if row[position] not in ("", na_value):
                    kinds[j] = max(kinds[j], _kind(row[position]))
        dtypes = [_KINDS[kind] for kind in kinds]
        return [convert_to_tensor(["" if dtype is string else 0], dtype) for dtype in dtypes]


_KINDS = (string, int32, int64, float32, float64, string)  # narrowest first; the first stands for no value at all


def _kind(text):
    """The number in `_KINDS` of the narrowest dtype that holds a field."""
    if "_" in text:
        return 5
    try:
        number = int(text)
    except ValueError:
        pass
    else:
        if -(2**31) <= number < 2**31:
            return 1
        if -(2**63) <= number < 2**63:
            return 2
    try:
        value = float(text)
    except ValueError:
        return 5
    return 3 if not np.isfinite(value) or abs(value) <= np.finfo(np.float32).max else 4


def _positions(selected, names):
    """The rising numbers of columns that are given by name or number."""
    found = []
    for column in selected:
        if isinstance(column, int):
            if not 0 <= column < len(names):
                raise ValueError(
                    f"Column index {column} specified in `select_columns` should be > 0  and <= {len(names)}, which is the number of "
                    "columns."
                )
            found.append(column)
        elif column not in names:
            raise ValueError(f"Column {column} specified in `select_columns` must be of one of the columns: {names}.")
        else:
            found.append(names.index(column))
    if len(set(found)) != len(found):
        raise ValueError(f"The `select_columns` argument contains duplicate columns: {found}.")
    return sorted(found)
