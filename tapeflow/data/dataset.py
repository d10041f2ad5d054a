"""`tf.data.Dataset`: lazy pipelines of elements, each a nest of values described by `element_spec`.

A dataset is a node with inputs. Every iteration makes a fresh chain of streams (`_stream`), in which an element is the flat
list of its leaves (see `structure`); the nest is put around them only where the user sees them. Datasets that only choose
among the rows of a table also give the table and the row numbers (`_rows`, see `rows`).

The other files of this folder hold one family of datasets each, with the public methods that make them (`@method`).
"""

from tapeflow.base.dtypes import int64
from tapeflow.base.shape import TensorShape
from tapeflow.base.specs import TypeSpec
from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.primitive import P
from tapeflow.core.state import state
from tapeflow.core.tensor import Tensor
from tapeflow.core.tracking import Trackable
from tapeflow.data.options import Options
from tapeflow.data.rows import RowStream
from tapeflow.data.traced import TracedIterator
from tapeflow.trace.structure import Flow

AUTOTUNE = -1
INFINITE_CARDINALITY = -1
UNKNOWN_CARDINALITY = -2


class SomeInt(int):
    """What stands for a number that is not known while a function is traced: the value of `tensor`."""

    tensor = None


def as_int(value):
    """An int of what converts to an int64 scalar."""
    if value.__class__ is int:
        return value
    x = convert_to_tensor(value, int64)
    if x.__class__ is Tensor:
        return int(x._value)
    number = SomeInt(1)
    number.tensor = x
    return number


class Dataset(Flow, Trackable):
    """A stream of elements that can be iterated over any number of times.

    Example:
        >>> import tapeflow as tf
        >>> dataset = tf.data.Dataset.range(5).map(lambda x: x * x).batch(2)
        >>> [batch.numpy().tolist() for batch in dataset]
        [[0, 1], [4, 9], [16]]
    """

    # What a node provides: _spec or element_spec, _elements(run) or else _in_rows() and _rows(run), _size(), and _inputs.

    _nest_atom = True
    _spec = None
    _inputs = ()
    _seeds = None  # the `SeedGenerator` of one that is random

    @property
    def element_spec(self):
        """The nest of specs of an element."""
        return self._spec

    @property
    def _type_spec(self):
        return DatasetSpec(self.element_spec)

    def _stream(self, run):
        """A fresh `Stream` of the elements; `run` is what one iteration of the pipeline shares."""
        return RowStream(*self._rows(run)) if self._in_rows() else self._elements(run)

    def _elements(self, run):
        """The stream of a dataset that is not in rows."""
        raise NotImplementedError

    def _in_rows(self):
        """Whether every element is a row of a table."""
        return False

    def _rows(self, run):
        """(table, fresh iterator of row numbers) of a dataset in rows."""
        raise NotImplementedError

    def _size(self):
        """The number of elements, or one of the two constants."""
        return UNKNOWN_CARDINALITY

    def _options(self):
        """The options set here and upstream."""
        merged = Options()
        for dataset in self._inputs:
            merged = merged.merge(dataset._options())
        return merged

    def _generators(self):
        """The generators of seeds here and upstream, in the order of the inputs."""
        if self._seeds is not None:
            yield self._seeds
        for dataset in self._inputs:
            yield from dataset._generators()

    def __iter__(self):
        if state.graph is not None:
            return TracedIterator(P.dataset_iterator(self._to_flow()), self.element_spec)
        return iterator.Iterator(self)

    def _to_flow(self):
        return template.flow_of(self)

    def _from_flow(self, flow):
        return flow._value.object if flow.__class__ is Tensor else PlaceholderDataset(self.element_spec, flow)

    def __len__(self):
        size = self._size()
        if size == INFINITE_CARDINALITY:
            raise TypeError("The dataset is infinite.")
        if size == UNKNOWN_CARDINALITY:
            raise TypeError("The dataset length is unknown.")
        return size

    def __bool__(self):
        return True

    def cardinality(self):
        """The number of elements as an int64 tensor; -1 when infinite, -2 when unknown.

        Example:
            >>> import tapeflow as tf
            >>> int(tf.data.Dataset.range(42).batch(10).cardinality())
            5
        """
        return convert_to_tensor(self._size(), int64)

    def as_numpy_iterator(self):
        """An iterator over elements with NumPy values in place of tensors.

        Raises:
            TypeError: elements hold datasets or other values that have no `numpy()`.

        Example:
            >>> import tapeflow as tf
            >>> [int(x) for x in tf.data.Dataset.range(3).as_numpy_iterator()]
            [0, 1, 2]
        """
        return iterator.NumpyIterator(self)

    def options(self):
        """The options of the dataset, those of the datasets it is made of included."""
        return self._options()

    def with_options(self, options, name=None):
        """The same elements, with more options set for the whole pipeline.

        Args:
            options: a `tf.data.Options`; where both set an option, this one counts.

        Raises:
            TypeError: `options` is no `tf.data.Options`.
        """
        if not isinstance(options, Options):
            raise TypeError(f"`options` must be a tf.data.Options, got {type(options)}.")
        return OptionsDataset(self, options)

    def apply(self, transformation_func, name=None):
        """`transformation_func(self)`: for chains of transformations that are functions.

        Raises:
            TypeError: the result is no dataset.

        Example:
            >>> import tapeflow as tf
            >>> len(tf.data.Dataset.range(5).apply(lambda dataset: dataset.take(2)))
            2
        """
        result = transformation_func(self)
        if not isinstance(result, Dataset):
            raise TypeError(f"`transformation_func` must return a `tf.data.Dataset` object. Got {type(result)}.")
        return result

    def __repr__(self):
        return f"<_{type(self).__name__} element_spec={self.element_spec}>"


def method(name):
    """A decorator that makes a function, which stands beside the datasets that it makes, a method of `Dataset`."""
    return lambda function: _attach(name, function, function)


def constructor(name):
    """A decorator that makes a function, which stands beside the datasets that it makes, a static method of `Dataset`."""
    return lambda function: _attach(name, function, staticmethod(function))


def _attach(name, function, attribute):
    function.__name__, function.__qualname__ = name, f"Dataset.{name}"  # some stand under another: `map` would hide Python's
    setattr(Dataset, name, attribute)
    return function


class UnaryDataset(Dataset):
    """A node with one input dataset, whose spec and size are the input's unless it says otherwise."""

    def __init__(self, source):
        self._source = source
        self._inputs = (source,)

    @property
    def element_spec(self):
        """The nest of specs of an element."""
        return self._source.element_spec if self._spec is None else self._spec

    def _size(self):
        return self._source._size()


class OptionsDataset(UnaryDataset):
    """The same elements, under more options."""

    def __init__(self, source, options):
        super().__init__(source)
        self._more = options

    def _elements(self, run):
        return self._source._stream(run)

    def _in_rows(self):
        return self._source._in_rows()

    def _rows(self, run):
        return self._source._rows(run)

    def _options(self):
        return self._source._options().merge(self._more)


class DatasetSpec(TypeSpec):
    """The type of a `Dataset`.

    Args:
        element_spec: the nest of specs of its elements.
        dataset_shape: the shape of a tensor of datasets; only scalars exist here.
    """

    __slots__ = ("_dataset_shape", "_element_spec")
    _nest_atom = True

    def __init__(self, element_spec, dataset_shape=()):
        self._element_spec = element_spec
        self._dataset_shape = TensorShape(dataset_shape)

    value_type = property(lambda self: Dataset)
    element_spec = property(lambda self: self._element_spec, doc="The nest of specs of the elements.")

    def _serialize(self):
        return (self._element_spec, self._dataset_shape)

    def _from_flow(self, flow):
        return flow._value.object if flow.__class__ is Tensor else PlaceholderDataset(self._element_spec, flow)


class PlaceholderDataset(Dataset):
    """What stands for a dataset while a function that takes one is traced: it can be iterated over in the graph.

    Args:
        spec: the nest of specs of an element.
        flow: the tensor that it is in the graph.
    """

    def __init__(self, spec, flow):
        self._spec = spec
        self._flow = flow

    def _to_flow(self):
        return self._flow

    def _elements(self, run):
        raise NotImplementedError("A dataset has no elements while the function that takes it is traced.")


from tapeflow.data import iterator, template  # noqa: E402 - they need the classes above
