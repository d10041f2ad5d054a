"""`tf.lookup`: tables that map strings or numbers to others, fixed ones and ones that change."""

import os

import numpy as np

from tapeflow.api.export import export, export_value
from tapeflow.base.dtypes import as_dtype, int32, int64, string
from tapeflow.base.errors import InvalidArgumentError, NotFoundError
from tapeflow.core.composite import Composite
from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.primitive import P
from tapeflow.core.tracking import Trackable
from tapeflow.ops.tables import Table

# What fills a table


class TableInitializerBase:
    """What fills a table: a subclass has `initialize(table)`."""

    def __init__(self, key_dtype, value_dtype):
        self._key_dtype = as_dtype(key_dtype)
        self._value_dtype = as_dtype(value_dtype)

    key_dtype = property(lambda self: self._key_dtype, doc="The dtype of the keys.")
    value_dtype = property(lambda self: self._value_dtype, doc="The dtype of the values.")

    def initialize(self, table):
        """Fill `table`."""
        raise NotImplementedError


@export("lookup.KeyValueTensorInitializer")
class KeyValueTensorInitializer(TableInitializerBase):
    """Keys and values given as tensors.

    Example:
        >>> import tapeflow as tf
        >>> init = tf.lookup.KeyValueTensorInitializer(["a", "b"], [1, 2])
        >>> tf.lookup.StaticHashTable(init, default_value=-1).lookup(tf.constant(["b", "z"])).numpy().tolist()
        [2, -1]
    """

    def __init__(self, keys, values, key_dtype=None, value_dtype=None, name=None):
        self._keys, self._values = convert_to_tensor(keys, key_dtype), convert_to_tensor(values, value_dtype)
        super().__init__(self._keys.dtype, self._values.dtype)

    def initialize(self, table):
        """Fill `table` with the keys and values."""
        table._table.insert(np.atleast_1d(self._keys._value), np.atleast_1d(self._values._value), replace=False)


class TextFileIndex:
    """What of a line of a text file is meant: all of it, its number, or (a number from 0 on) a column."""

    WHOLE_LINE = -2
    LINE_NUMBER = -1


export_value(TextFileIndex, "lookup.TextFileIndex")


@export("lookup.TextFileInitializer")
class TextFileInitializer(TableInitializerBase):
    """Keys and values read from the lines of a text file.

    Args:
        filename: the file.
        key_dtype, value_dtype: int64, or string, or (of columns) a number.
        key_index, value_index: a `TextFileIndex`, or a column.
        vocab_size: how many lines are read; all by default.
        delimiter: what stands between columns.
        value_index_offset: added to line numbers.

    Raises:
        ValueError: no file name, or a dtype that does not fit what is read.
    """

    def __init__(
        self,
        filename,
        key_dtype,
        key_index,
        value_dtype,
        value_index,
        vocab_size=None,
        delimiter="\t",
        name=None,
        value_index_offset=0,
    ):
        if isinstance(filename, str) and not filename:
            raise ValueError("`filename` argument required for tf.lookup.TextFileInitializer")
        super().__init__(key_dtype, value_dtype)
        for dtype, index, what in ((self._key_dtype, key_index, "key"), (self._value_dtype, value_index, "value")):
            if index == TextFileIndex.LINE_NUMBER and dtype is not int64:
                raise ValueError(f"`{what}_dtype` must be int64 if `{what}_index` is -1, received: {dtype!s}")
            if index == TextFileIndex.WHOLE_LINE and not dtype.is_integer and dtype is not string:
                raise ValueError(
                    f"`{what}_dtype` should be either integer or string for `{what}_index` -2, received: {dtype!s}"
                )
            if index < TextFileIndex.WHOLE_LINE:
                raise ValueError(f"`{what}_index` should be >= -2, received: {index}")
        if vocab_size is not None and vocab_size <= 0:
            raise ValueError(f"`vocab_size` should be > 0, received: {vocab_size}")
        self._filename, self._key_index, self._value_index = filename, key_index, value_index
        self._vocab_size, self._delimiter, self._offset = vocab_size, delimiter, value_index_offset

    def initialize(self, table):
        """Fill `table` with what the file says."""
        path = os.fspath(self._filename) if not hasattr(self._filename, "numpy") else self._filename.numpy().decode()
        try:
            with open(path, "rb") as file:
                lines = file.read().splitlines()
        except FileNotFoundError:
            raise NotFoundError(None, None, f"{path}; No such file or directory") from None
        if self._vocab_size is not None:
            if len(lines) < self._vocab_size:
                text = f"Invalid vocab_size in {path}: expected {self._vocab_size} but got {len(lines)}"
                raise InvalidArgumentError(None, None, text)
            lines = lines[: self._vocab_size]
        keys = [self._part(line, number, self._key_index, self._key_dtype, 0) for number, line in enumerate(lines)]
        values = [
            self._part(line, number, self._value_index, self._value_dtype, self._offset) for number, line in enumerate(lines)
        ]
        keys, values = convert_to_tensor(keys, self._key_dtype), convert_to_tensor(values, self._value_dtype)
        table._table.insert(keys._value, values._value, replace=False)

    def _part(self, line, number, index, dtype, offset):
        if index == TextFileIndex.LINE_NUMBER:
            return number + offset
        if index != TextFileIndex.WHOLE_LINE:
            columns = line.split(self._delimiter.encode())
            if index >= len(columns):
                text = f"Invalid number of columns in {self._filename} line {number} ({line.decode()})"
                raise InvalidArgumentError(None, None, f"{text} : expected {index} got {len(columns)}")
            line = columns[index]
        return line if dtype is string else float(line) if dtype.is_floating else int(line)


# Tables


class LookupInterface(Trackable):
    """What all tables have: `lookup`, `size`, `export`, and `table[keys]`."""

    def __init__(self, key_dtype, value_dtype, default_value, name=None, refused=()):
        self._default = convert_to_tensor(default_value, value_dtype)
        self._table = Table(as_dtype(key_dtype), as_dtype(value_dtype), self._default.dims, refused)
        self.name = name

    key_dtype = property(lambda self: self._table.key_dtype, doc="The dtype of the keys.")
    value_dtype = property(lambda self: self._table.value_dtype, doc="The dtype of the values.")
    default_value = property(lambda self: self._default, doc="The value of keys that are not there.")
    resource_handle = property(lambda self: self, doc="What identifies the table: itself.")

    def size(self, name=None):
        """The number of keys, int64."""
        return P.table_size(table=self._table)

    def export(self, name=None):
        """All keys and all values, as two tensors."""
        return P.table_export(table=self._table)

    def lookup(self, keys, name=None):
        """The values of keys, a tensor or a sparse or ragged one.

        Raises:
            TypeError: keys of another dtype.
        """
        return self._found(keys, self._default)

    def _found(self, keys, default):
        if isinstance(keys, Composite):
            flat = keys.gradient_part()
            return keys.with_gradient_part(self._found(flat, default))
        keys = convert_to_tensor(keys)
        if keys.dtype is not self.key_dtype:
            raise TypeError(f"Dtype of argument `keys` must be {self.key_dtype!s}, received: {keys.dtype!s}")
        return P.table_find(keys, default, table=self._table)

    def __getitem__(self, keys):
        return self.lookup(keys)


@export("lookup.StaticHashTable")
class StaticHashTable(LookupInterface):
    """A table that is filled once.

    Args:
        initializer: what fills it.
        default_value: the value of keys that are not there.

    Raises:
        FailedPreconditionError: a key with two values.

    Example:
        >>> import tapeflow as tf
        >>> table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer([1, 2], ["one", "two"]), "?")
        >>> table.lookup(tf.constant([2, 5])).numpy().tolist()
        [b'two', b'?']
    """

    def __init__(self, initializer, default_value, name=None, experimental_is_anonymous=False):
        super().__init__(initializer.key_dtype, initializer.value_dtype, default_value, name)
        self._initializer = initializer
        initializer.initialize(self)


@export("lookup.StaticVocabularyTable")
class StaticVocabularyTable(LookupInterface):
    """A table of ids, in which other keys get one of some further ids by their hash.

    Args:
        initializer: what fills it; its values are int64 ids from 0 on. None for a table of further ids alone.
        num_oov_buckets: how many further ids there are.
        lookup_key_dtype: the dtype of the keys; that of the initializer by default.

    Raises:
        ValueError: no further ids.

    Example:
        >>> import tapeflow as tf
        >>> init = tf.lookup.KeyValueTensorInitializer(["a", "b"], tf.constant([0, 1], tf.int64))
        >>> tf.lookup.StaticVocabularyTable(init, 3).lookup(tf.constant(["a", "zz"])).numpy().tolist()
        [0, 3]
    """

    def __init__(self, initializer, num_oov_buckets, lookup_key_dtype=None, name=None, experimental_is_anonymous=False):
        if num_oov_buckets <= 0:
            raise ValueError("`num_oov_buckets` must be > 0; use StaticHashTable.")
        if initializer is None and lookup_key_dtype is None:
            raise ValueError("`lookup_key_dtype` must be set where there is no initializer.")
        if initializer is not None and initializer.value_dtype is not int64:
            raise TypeError(f"Invalid `value_dtype`, expected {int64!s} but got {initializer.value_dtype!s}.")
        key_dtype = as_dtype(lookup_key_dtype) if lookup_key_dtype is not None else initializer.key_dtype
        super().__init__(key_dtype, int64, -1, name)
        self._buckets = int(num_oov_buckets)
        if initializer is not None:
            initializer.initialize(self)

    def size(self, name=None):
        """The number of ids, the further ones included."""
        return P.table_size(table=self._table) + self._buckets

    def _found(self, keys, default):
        if isinstance(keys, Composite):
            return super()._found(keys, default)
        found = super()._found(keys, default)
        keys = convert_to_tensor(keys)
        text = keys if keys.dtype is string else P.as_string(keys, form="%d")
        further = P.hash_fast(text, num_buckets=self._buckets) + P.table_size(table=self._table)
        return P.where(P.less(found, P.zeros_like(found)), further, found)


@export("lookup.experimental.MutableHashTable")
class MutableHashTable(LookupInterface):
    """A table that changes.

    Args:
        key_dtype, value_dtype: the dtypes.
        default_value: the value of keys that are not there; its shape is that of all values.

    Example:
        >>> import tapeflow as tf
        >>> table = tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, default_value=-1)
        >>> table.insert(["a"], [7])
        >>> table.lookup(tf.constant(["a", "b"])).numpy().tolist()
        [7, -1]
    """

    _saveable_name = "table"  # TensorFlow's names in a checkpoint: `table-keys` and `table-values`

    def __init__(
        self,
        key_dtype,
        value_dtype,
        default_value,
        name="MutableHashTable",
        checkpoint=True,
        experimental_is_anonymous=False,
    ):
        super().__init__(key_dtype, value_dtype, default_value, name)
        self._saved = checkpoint

    def _serialize_to_tensors(self):
        if not self._saved:
            return super()._serialize_to_tensors()
        keys, values = self.export()
        return {"-keys": keys, "-values": values}

    def _restore_from_tensors(self, restored_tensors):
        keys, values = restored_tensors["-keys"]._value, restored_tensors["-values"]._value
        self._table.restore(keys, values)

    def _keys(self, keys):
        try:
            return convert_to_tensor(keys, self.key_dtype)
        except ValueError as error:
            raise ValueError(f"keys: {error}") from None

    def insert(self, keys, values, name=None):
        """Add keys with their values; keys that are there get the new ones."""
        P.table_insert(self._keys(keys), convert_to_tensor(values, self.value_dtype), table=self._table)

    insert_or_assign = insert

    def remove(self, keys, name=None):
        """Drop some keys; those that are not there are passed over."""
        P.table_remove(self._keys(keys), table=self._table)

    erase = remove

    def lookup(self, keys, dynamic_default_values=None, name=None):
        """The values of keys, a tensor or a sparse or ragged one.

        Args:
            dynamic_default_values: for each key the value where it is not there, in place of the default value.
        """
        if dynamic_default_values is None:
            return self._found(keys, self._default)
        return self._found(keys, convert_to_tensor(dynamic_default_values, self.value_dtype))


@export("lookup.experimental.DenseHashTable")
class DenseHashTable(MutableHashTable):
    """A `MutableHashTable` of which two keys are reserved.

    Args:
        empty_key, deleted_key: different keys that are never used.

    Raises:
        InvalidArgumentError: one of them is inserted.
    """

    def __init__(
        self,
        key_dtype,
        value_dtype,
        default_value,
        empty_key,
        deleted_key,
        initial_num_buckets=None,
        name="MutableDenseHashTable",
        checkpoint=True,
        experimental_is_anonymous=False,
    ):
        super().__init__(key_dtype, value_dtype, default_value, name, checkpoint)
        reserved = [convert_to_tensor(key, self.key_dtype)._value for key in (empty_key, deleted_key)]
        self._table.refused = tuple([np.asarray(key).item() for key in reserved])


@export("raw_ops.Bucketize")
def bucketize(input, boundaries, name=None):
    """The number of boundaries that are not above each element, int32: in which bucket it lies.

    Example:
        >>> import tapeflow as tf
        >>> tf.raw_ops.Bucketize(input=[-5, 10, 150], boundaries=[0, 10, 100]).numpy().tolist()
        [0, 2, 3]
    """
    x = convert_to_tensor(input)
    edges = P.cast(convert_to_tensor(list(boundaries) or [0.0]), dtype=x.dtype)
    if not len(boundaries):
        return P.cast(P.zeros_like(x), dtype=int32)
    places = P.searchsorted(edges, P.reshape(x, shape=(-1,)), side="right")
    return P.reshape(places, shape=x.dims if x.dims is not None and None not in x.dims else P.shape(x))
