"""Datasets of Arrow tables and Parquet files, read by pyarrow: an element is a dict with the values of a row."""

import os

import numpy as np

from tapeflow.base.dtypes import as_dtype, string
from tapeflow.base.errors import DataLossError, NotFoundError, invalid
from tapeflow.base.specs import TensorSpec
from tapeflow.data.dataset import Dataset
from tapeflow.data.readers import ReadDataset
from tapeflow.data.rows import ArrayTable
from tapeflow.data.stream import Joined, Plain


def pyarrow():
    """The library, which is no requirement of tapeflow.

    Raises:
        ImportError: it is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ImportError("Arrow tables and Parquet files need pyarrow: pip install pyarrow") from error
    return pyarrow


def _spec_of(name, kind):
    """The spec of the values of a column.

    Raises:
        TypeError: they are of a type that no tensor has.
    """
    types = pyarrow().types
    dims = []
    while types.is_fixed_size_list(kind):
        dims.append(kind.list_size)
        kind = kind.value_type
    if types.is_string(kind) or types.is_large_string(kind) or types.is_binary(kind) or types.is_large_binary(kind):
        return TensorSpec(dims, string)
    if types.is_boolean(kind) or types.is_integer(kind) or types.is_floating(kind):
        return TensorSpec(dims, as_dtype(kind.to_pandas_dtype()))
    raise TypeError(f"Column {name!r} is of Arrow's type {kind}, which no tensor has; leave it out with `columns`.")


def _array_of(name, column, spec):
    """A column as an array, its rows along the first axis."""
    if column.null_count:
        raise invalid("Arrow", f"column {name!r} has {column.null_count} missing values, for which a tensor has no place")
    for _ in spec.shape:
        column = column.combine_chunks().flatten() if hasattr(column, "chunks") else column.flatten()
    if spec.dtype is string:
        items = [item.encode() if isinstance(item, str) else item for item in column.to_pylist()]
        array = np.empty(len(items), object)
        array[:] = items
    else:
        options = {} if hasattr(column, "chunks") else {"zero_copy_only": False}
        array = np.asarray(column.to_numpy(**options), spec.dtype.numpy_dtype)
    return array.reshape(-1, *spec.shape.as_list())


def _spec(schema, columns):
    names = sorted(schema.names if columns is None else columns)
    for name in names:
        if name not in schema.names:
            raise ValueError(f"There is no column {name!r}: the columns are {schema.names}.")
    return {name: _spec_of(name, schema.field(name).type) for name in names}


class ArrowDataset(Dataset):
    """The rows of an Arrow table.

    Args:
        table: a `pyarrow.Table` or `RecordBatch`.
        columns: the names of those to read; all by default.
    """

    def __init__(self, table, columns=None):
        self._spec = _spec(table.schema, columns)
        self._arrays = _Columns([_array_of(name, table.column(name), spec) for name, spec in self._spec.items()])
        self._count = table.num_rows

    def _in_rows(self):
        return True

    def _rows(self, run):
        return ArrayTable(self._arrays.arrays), iter(range(self._count))

    def _size(self):
        return self._count


class _Columns:
    """Arrays that nobody looks into for tensors without a value."""

    def __init__(self, arrays):
        self.arrays = arrays


class ParquetDataset(ReadDataset):
    """The rows of Parquet files of one schema, a batch of rows in memory at a time.

    Args:
        filenames: as for `tf.data.TextLineDataset`; the first one tells the schema.
        columns: the names of those to read; all by default.
    """

    def __init__(self, filenames, columns=None):
        super().__init__(filenames)
        first = next(iter(self._source), None)
        if first is None:
            raise ValueError("There is no Parquet file to read a schema from.")
        self._spec = _spec(_opened(os.fsdecode(first.numpy())).schema_arrow, columns)

    def _reader(self, path):
        return ParquetStream(os.fsdecode(path), self._spec)


def _opened(path):
    library = pyarrow()
    try:
        return library.parquet.ParquetFile(path)
    except FileNotFoundError as error:
        raise NotFoundError(None, None, f"{path}; No such file or directory") from error
    except library.ArrowInvalid as error:
        raise DataLossError(None, None, f"{path}: {error}") from error


class ParquetStream(Joined):
    """The rows of a Parquet file."""

    __slots__ = ("_batches", "_path", "_spec")

    def __init__(self, path, spec):
        super().__init__()
        self._path, self._spec = path, spec
        self._batches = _opened(path).iter_batches(columns=list(spec))

    def _open(self):
        try:
            batch = next(self._batches)
        except (OSError, pyarrow().ArrowException) as error:
            raise DataLossError(None, None, f"{self._path}: {error}") from error
        arrays = [_array_of(name, batch.column(name), spec) for name, spec in self._spec.items()]
        return Plain(map(ArrayTable(arrays).row, range(batch.num_rows)))
