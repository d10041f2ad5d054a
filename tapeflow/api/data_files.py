"""`tf.data.experimental`: datasets of files, tables and databases, which are read more rarely than others."""

import numpy as np

from tapeflow.api import data  # noqa: F401 - it gives Dataset its methods
from tapeflow.api.export import export, export_value, public
from tapeflow.api.lookup import TableInitializerBase
from tapeflow.base.specs import TensorSpec
from tapeflow.data import arrow, csv, readers, sql
from tapeflow.data.dataset import AUTOTUNE, Dataset, DatasetSpec
from tapeflow.data.options import Options

export_value(csv.CsvDataset, "data.experimental.CsvDataset")
export_value(csv.make_csv_dataset, "data.experimental.make_csv_dataset")
export_value(sql.SqlDataset, "data.experimental.SqlDataset")


@export("data.experimental.from_arrow")
def from_arrow(table, columns=None):
    """The rows of an Arrow table as dicts; TensorFlow has no such function.

    Args:
        table: a `pyarrow.Table` or `RecordBatch`; its columns hold numbers, bools, texts, or lists of one length of these.
        columns: the names of those to read; all by default.

    Raises:
        ImportError: pyarrow is not installed.
        TypeError: a column is of a type that no tensor has.
        InvalidArgumentError: a value is missing.
    """
    return arrow.ArrowDataset(table, columns)


@export("data.experimental.from_parquet")
def from_parquet(filenames, columns=None):
    """The rows of Parquet files as dicts, a part of a file in memory at a time; TensorFlow has no such function.

    Args:
        filenames: a string, a list or tensor of strings, or a dataset of strings.
        columns: the names of those to read; all by default.

    Raises:
        ImportError: pyarrow is not installed.
        TypeError: a column is of a type that no tensor has.
        DataLossError: a file is damaged.
    """
    return arrow.ParquetDataset(filenames, columns)


@export("data.experimental.save")
def save(dataset, path, compression=None, shard_func=None, checkpoint_args=None):
    """`dataset.save(path, ...)`: write all elements to a folder."""
    dataset.save(path, compression, shard_func, checkpoint_args)


@export("data.experimental.load")
def load(path, element_spec=None, compression=None, reader_func=None):
    """`Dataset.load`: the elements that `save` has written to a folder."""
    return Dataset.load(path, element_spec, compression, reader_func)


@export("data.experimental.snapshot")
def snapshot(path, compression="AUTO", reader_func=None, shard_func=None):
    """`Dataset.snapshot` as a transformation."""
    return lambda dataset: dataset.snapshot(path, compression, reader_func, shard_func)


@export("data.experimental.to_variant")
def to_variant(dataset):
    """The tensor that a dataset is in a graph: a scalar of dtype variant."""
    return dataset._to_flow()


@export("data.experimental.from_variant")
def from_variant(variant, structure):
    """The dataset that a tensor is; see `to_variant`.

    Args:
        variant: a scalar of dtype variant.
        structure: the nest of specs of the elements.
    """
    return DatasetSpec(structure)._from_flow(variant)


@export("data.experimental.TFRecordWriter")
class TFRecordWriter:
    """Writes the elements of a dataset to a TFRecord file; `tf.io.TFRecordWriter` writes single records.

    Args:
        filename: the file's name.
        compression_type: None or "", "GZIP" or "ZLIB".

    Example:
        >>> import tapeflow as tf, tempfile
        >>> path = tempfile.mkdtemp() + "/numbers"
        >>> numbers = tf.data.Dataset.range(3)
        >>> tf.data.experimental.TFRecordWriter(path).write(numbers.map(tf.io.serialize_tensor))
        >>> [int(tf.io.parse_tensor(x, tf.int64)) for x in tf.data.TFRecordDataset(path)]
        [0, 1, 2]
    """

    def __init__(self, filename, compression_type=None):
        self._filename, self._compression = filename, compression_type

    def write(self, dataset):
        """Write all elements, in place of what is in the file.

        Raises:
            TypeError: no dataset, or one whose elements are not scalar strings.
            PermissionDeniedError, NotFoundError: the file cannot be written.
        """
        if not isinstance(dataset, Dataset):
            raise TypeError(f"Invalid `dataset.` Expected a `tf.data.Dataset` object but got {type(dataset)}.")
        spec = dataset.element_spec
        if not (isinstance(spec, TensorSpec) and spec.is_compatible_with(TensorSpec([], "string"))):
            raise TypeError(
                f"Invalid `dataset`. Expected a `dataset` that produces scalar `tf.string` elements, but got elements of {spec}."
            )
        with public("io.TFRecordWriter")(self._filename, self._compression or "") as writer:
            for element in dataset:
                writer.write(element._value[()])


@export("data.experimental.parse_example_dataset")
def parse_example_dataset(features, num_parallel_calls=1, deterministic=None):
    """A transformation of vectors of serialized `tf.train.Example` messages to dicts of their features.

    Args:
        features: as for `tf.io.parse_example`.
        num_parallel_calls: how many threads parse.
        deterministic: as for `Dataset.map`.

    Raises:
        ValueError: there are no features.
        TypeError: (where it is applied) the elements are no vectors of strings.
    """
    if features is None:
        raise ValueError("Argument `features` is required, but not specified.")

    def parsed(dataset):
        spec = dataset.element_spec
        if not (isinstance(spec, TensorSpec) and spec.is_compatible_with(TensorSpec([None], "string"))):
            raise TypeError(f"Input dataset should be a dataset of vectors of strings. Instead it is `{spec}`.")
        parse = public("io.parse_example")
        return dataset.map(lambda messages: parse(messages, features), num_parallel_calls, deterministic)

    return parsed


@export("data.experimental.make_batched_features_dataset")
def make_batched_features_dataset(
    file_pattern,
    batch_size,
    features,
    reader=None,
    label_key=None,
    reader_args=None,
    num_epochs=None,
    shuffle=True,
    shuffle_buffer_size=10000,
    shuffle_seed=None,
    prefetch_buffer_size=None,
    reader_num_threads=None,
    parser_num_threads=None,
    sloppy_ordering=False,
    drop_final_batch=False,
):
    """Batches of the features of `tf.train.Example` messages in files.

    Args:
        file_pattern: a pattern of file names, or a list of them.
        batch_size: how many examples a batch has.
        features: as for `tf.io.parse_example`.
        reader: from a file's name and `reader_args` to a dataset of messages; `tf.data.TFRecordDataset` by default.
        label_key: the feature that holds the labels.
        num_epochs: how often the examples are repeated; for ever by default.
        shuffle, shuffle_buffer_size, shuffle_seed: as for `Dataset.shuffle`; without `shuffle` files come in order.
        prefetch_buffer_size: as for `Dataset.prefetch`.
        reader_num_threads, parser_num_threads: how many files are read at a time, and how many threads parse.
        sloppy_ordering: whether the order may vary.
        drop_final_batch: whether a last, smaller batch is left out.

    Raises:
        ValueError: `label_key` is none of the features.
    """
    if label_key is not None and label_key not in features:
        raise ValueError(f"The `label_key` provided ({label_key}) must be one of the `features` keys: {features.keys()}.")
    open_file = readers.TFRecordDataset if reader is None else reader
    threads = 1 if reader_num_threads is None else reader_num_threads
    dataset = Dataset.list_files(file_pattern, shuffle=shuffle, seed=shuffle_seed).interleave(
        lambda name: open_file(name, *(reader_args or ())),
        None if threads == AUTOTUNE else threads,
        1,
        threads if threads != 1 else None,
    )
    if shuffle:
        dataset = dataset.shuffle(shuffle_buffer_size, shuffle_seed)
    if num_epochs != 1:
        dataset = dataset.repeat(num_epochs)
    dataset = dataset.batch(batch_size, drop_remainder=drop_final_batch or num_epochs is None)
    dataset = dataset.apply(parse_example_dataset(features, parser_num_threads or 2))
    if label_key is not None:
        dataset = dataset.map(lambda parts: (parts, parts.pop(label_key)))
    options = Options()
    options.deterministic = not sloppy_ordering
    return dataset.prefetch(AUTOTUNE if prefetch_buffer_size is None else prefetch_buffer_size).with_options(options)


@export("data.experimental.DatasetInitializer")
class DatasetInitializer(TableInitializerBase):
    """The keys and values of a lookup table, from the elements of a dataset.

    Args:
        dataset: its elements are pairs (key, value) of scalars.

    Raises:
        ValueError: they are not.

    Example:
        >>> import tapeflow as tf
        >>> pairs = tf.data.Dataset.from_tensor_slices((["a", "b"], [3, 5]))
        >>> table = tf.lookup.StaticHashTable(tf.data.experimental.DatasetInitializer(pairs), -1)
        >>> table.lookup(tf.constant(["b", "c"])).numpy().tolist()
        [5, -1]
    """

    def __init__(self, dataset):
        spec = dataset.element_spec
        pair = isinstance(spec, tuple) and len(spec) == 2 and all(isinstance(part, TensorSpec) for part in spec)
        if not pair or any(part.shape.rank for part in spec):
            raise ValueError(f"Invalid `dataset`. Expected elements that are pairs of scalars, but got {spec}.")
        self.dataset = dataset
        super().__init__(spec[0].dtype, spec[1].dtype)

    def initialize(self, table):
        """Fill `table` with the keys and values."""
        for key, value in self.dataset:
            table._table.insert(np.atleast_1d(key._value), np.atleast_1d(value._value), replace=False)
