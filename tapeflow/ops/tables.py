"""Tables from keys to values: `Table`, which holds them, and the ops that read and change one."""

import numpy as np

from tapeflow.base.dtypes import int64, string
from tapeflow.base.errors import FailedPreconditionError, invalid
from tapeflow.core.primitive import Primitive
from tapeflow.core.tensor import Spec


class Table:
    """Values by key, in the order in which the keys came.

    Attributes:
        key_dtype, value_dtype: the dtypes.
        value_shape: the shape of one value.
        items: the dict.
        refused: keys that stand for nothing, and so cannot be used.
    """

    def __init__(self, key_dtype, value_dtype, value_shape=(), refused=()):
        self.key_dtype = key_dtype
        self.value_dtype = value_dtype
        self.value_shape = value_shape
        self.items = {}
        self.refused = refused

    def insert(self, keys, values, replace):
        """Add keys with their values; a key that is there with another value is replaced, or refused.

        Raises:
            InvalidArgumentError: not one value for each key, or a refused key.
            FailedPreconditionError: another value of a key, where `replace` is false.
        """
        if values.shape != keys.shape + self.value_shape:
            wanted = keys.shape + self.value_shape
            raise invalid("LookupTableImport", f"Expected shape {list(wanted)} for value, got {list(values.shape)}")
        rows = values.reshape((keys.size, *self.value_shape))
        rows = list(rows) if self.value_shape else rows.tolist()
        for key, value in zip(keys.ravel().tolist(), rows, strict=True):
            if key in self.refused:
                raise invalid(
                    "LookupTableInsert", f"Using the empty_key or deleted_key as a table key is not allowed: {key}"
                )
            if not replace and self.items.setdefault(key, value) != value:
                shown, old, new = [x.decode() if isinstance(x, bytes) else x for x in (key, self.items[key], value)]
                text = f"HashTable has different value for same key. Key {shown} has {old} and trying to add value {new}"
                raise FailedPreconditionError(None, None, text)
            self.items[key] = value

    def restore(self, keys, values):
        """Hold these keys with their values, and no others.

        TensorFlow saves its dense tables with all that they have room for, so keys that stand for nothing are passed over, and a
        value that is a scalar has a dimension of its own.
        """
        values = values.reshape((keys.size, *self.value_shape))
        used = np.array([key not in self.refused for key in keys.tolist()], bool)
        self.items = {}
        self.insert(keys[used], values[used], replace=True)

    def remove(self, keys):
        """Drop some keys, those that are there."""
        for key in keys.ravel().tolist():
            self.items.pop(key, None)

    def find(self, keys, default):
        """The values of keys; `default`, or its element in that place, where a key is not there."""
        shape = np.shape(keys) + self.value_shape
        flat = np.ravel(keys).tolist()
        missing = np.broadcast_to(default, shape).reshape((len(flat), *self.value_shape))
        missing = list(missing) if self.value_shape else missing.tolist()
        get = self.items.get
        return self.array([get(key, other) for key, other in zip(flat, missing, strict=True)], shape)

    def array(self, values, shape):
        """Some values as an array of a shape."""
        if self.value_dtype is string:
            result = np.empty(len(values), object)
            result[:] = values
            return result.reshape(shape)
        return np.array(values, self.value_dtype.numpy_dtype).reshape(shape)

    def export(self):
        """All keys and all values."""
        keys = np.empty(len(self.items), self.key_dtype.numpy_dtype)
        keys[:] = list(self.items)
        return keys, self.array(list(self.items.values()), (len(self.items), *self.value_shape))


def _find_kernel(keys, default, *, table):
    return table.find(keys, default)


def _insert_kernel(keys, values, *, table):
    table.insert(np.atleast_1d(keys), np.reshape(values, np.atleast_1d(keys).shape + table.value_shape), replace=True)
    return ()


def _remove_kernel(keys, *, table):
    table.remove(np.atleast_1d(keys))
    return ()


def _export_infer(*, table):
    return Spec((None,), table.key_dtype), Spec((None, *table.value_shape), table.value_dtype)


def _nothing(*specs, table):
    return ()


def _table_op(name, kernel, infer, **options):
    return Primitive(name, kernel, infer, uniform=False, stateful=True, samples=lambda: [], **options)


table_find = _table_op(
    "table_find",
    _find_kernel,
    lambda keys, default, *, table: Spec(None if keys.shape is None else keys.shape + table.value_shape, table.value_dtype),
)
table_insert = _table_op("table_insert", _insert_kernel, _nothing, multiple=True)
table_remove = _table_op("table_remove", _remove_kernel, _nothing, multiple=True)
table_size = _table_op(
    "table_size", lambda *, table: np.int64(len(table.items)), lambda *, table: Spec((), int64), parameters=()
)
table_export = _table_op("table_export", lambda *, table: table.export(), _export_infer, multiple=True, parameters=())

__all__ = ["Table"]
