"""`tf.data.experimental.SqlDataset`: the rows that a query of an SQLite database gives."""

import sqlite3

from tapeflow.base.dtypes import as_dtype, string
from tapeflow.base.errors import InvalidArgumentError, UnknownError
from tapeflow.base.specs import TensorSpec
from tapeflow.core.convert import convert_to_tensor
from tapeflow.data.dataset import UNKNOWN_CARDINALITY, Dataset
from tapeflow.data.readers import option, text_leaf
from tapeflow.data.stream import Stream


class SqlDataset(Dataset):
    """The rows that a query gives, as tuples.

    Args:
        driver_name: "sqlite", the only one there is.
        data_source_name: the database's file.
        query: the query, in SQL.
        output_types: a tuple with a dtype for each column.

    Raises:
        InvalidArgumentError: another driver, or (while iterating) another number of columns.
        UnknownError: (while iterating) the database refuses the query.

    Example:
        >>> import sqlite3, tempfile
        >>> import tapeflow as tf
        >>> path = tempfile.mkdtemp() + "/rows.db"
        >>> with sqlite3.connect(path) as connection:
        ...     _ = connection.execute("create table words (word text, count int)")
        ...     _ = connection.execute("insert into words values ('a', 2), ('b', 3)")
        >>> dataset = tf.data.experimental.SqlDataset("sqlite", path, "select * from words", (tf.string, tf.int32))
        >>> [(word.numpy(), int(count)) for word, count in dataset]
        [(b'a', 2), (b'b', 3)]
    """

    def __init__(self, driver_name, data_source_name, query, output_types):
        if option(driver_name) != "sqlite":
            raise InvalidArgumentError(None, None, f"The database type {driver_name!r} is not supported: use 'sqlite'.")
        self._names = [convert_to_tensor(data_source_name, string), convert_to_tensor(query, string)]
        self._spec = tuple([TensorSpec([], as_dtype(dtype)) for dtype in output_types])

    def _elements(self, run):
        path, query = [x._value[()].decode() for x in self._names]
        return SqlStream(path, query, [spec.dtype for spec in self._spec])

    def _size(self):
        return UNKNOWN_CARDINALITY


class SqlStream(Stream):
    """The rows that a query gives; the database is closed when it is dropped."""

    __slots__ = ("_connection", "_dtypes", "_query", "_rows")

    def __init__(self, path, query, dtypes):
        self._connection = sqlite3.connect(path, check_same_thread=False)  # a prefetching thread may read it
        self._query, self._dtypes = query, dtypes
        self._rows = None

    def __next__(self):
        try:
            if self._rows is None:
                self._rows = self._connection.execute(self._query)
            row = next(self._rows)
        except sqlite3.Error as error:
            raise UnknownError(None, None, f"Failed to execute the query {self._query!r}: {error}") from error
        if len(row) != len(self._dtypes):
            raise InvalidArgumentError(
                None,
                None,
                f"The number of columns in query ({len(row)}) must match the number of output_types ({len(self._dtypes)}).",
            )
        return [_leaf(value, dtype) for value, dtype in zip(row, self._dtypes, strict=True)]

    def __del__(self):
        self._connection.close()


def _leaf(value, dtype):
    if dtype is string:
        return text_leaf(b"" if value is None else value if isinstance(value, bytes) else str(value).encode())
    try:
        return dtype.type(0 if value is None else value)
    except (ValueError, TypeError, OverflowError):
        raise InvalidArgumentError(None, None, f"{value!r} is no value of dtype {dtype.name}") from None
