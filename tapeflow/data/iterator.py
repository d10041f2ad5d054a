"""`tf.data.Iterator`: one pass over a dataset, which can be saved and taken up again."""

import contextlib
import json

from tapeflow.base import nest
from tapeflow.base.dtypes import string
from tapeflow.base.errors import InvalidArgumentError, OutOfRangeError
from tapeflow.base.specs import TypeSpec
from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.state import state
from tapeflow.core.tracking import Trackable
from tapeflow.data.dataset import DatasetSpec
from tapeflow.data.optional import Optional
from tapeflow.data.stream import Run
from tapeflow.data.structure import packer
from tapeflow.data.traced import TracedIterator, handle_of
from tapeflow.trace.structure import Flow

# Not "ITERATOR", under which TensorFlow saves what only its own iterators can read.
_STATE = "TAPEFLOW_ITERATOR"


class Iterator(Flow, Trackable):
    """One pass over a dataset.

    Its state is how often it was asked for an element, when it failed, and the seeds that its shuffles have taken, and will take
    next: taken up again, it passes over that many elements.

    Example:
        >>> import tapeflow as tf
        >>> iterator = iter(tf.data.Dataset.range(2))
        >>> int(iterator.get_next()), int(next(iterator)), bool(iterator.get_next_as_optional().has_value())
        (0, 1, False)
    """

    _nest_atom = True

    def __init__(self, dataset):
        self._dataset = dataset
        self._spec = dataset.element_spec
        self._type_spec = IteratorSpec(self._spec)  # one: each call of a function on the iterator looks at it
        self._pack = packer(self._spec)
        self._start(())

    def _start(self, seeds):
        self._run = Run(self._dataset.options(), seeds, self._dataset._generators())
        self._stream = self._dataset._stream(self._run)
        self._asked, self._failed = 0, []

    @property
    def element_spec(self):
        """The nest of specs of an element."""
        return self._spec

    def __iter__(self):
        return self

    def __next__(self):
        if state.graph is not None:
            return self._traced().get_next()
        return self._pack(self._next_leaves())

    def _next_leaves(self):
        """The leaves of the next element."""
        try:
            values = next(self._stream)
        except StopIteration:
            raise
        except Exception:
            self._failed.append(self._asked)
            self._asked += 1
            raise
        self._asked += 1
        return values

    def _pass_over(self, asked, failed):
        """Go on from where an iterator was that was asked so often, and failed at those times."""
        for time in failed:
            self._stream.skip(time - self._asked)
            with contextlib.suppress(Exception):
                next(self._stream)
            self._asked = time + 1
        self._stream.skip(asked - self._asked)
        self._asked, self._failed = asked, failed

    def _traced(self):
        return TracedIterator(handle_of(self), self._spec)

    def _to_flow(self):
        return handle_of(self)

    def _from_flow(self, flow):
        return self._traced()._from_flow(flow)

    def get_next(self, name=None):
        """The next element; raises OutOfRangeError at the end."""
        try:
            return next(self)
        except StopIteration:
            raise OutOfRangeError(None, None, "End of sequence") from None

    def get_next_as_optional(self, name=None):
        """An `Optional` of the next element, empty at the end."""
        if state.graph is not None:
            return self._traced().get_next_as_optional()
        try:
            return Optional(next(self), self._spec, True)
        except StopIteration:
            return Optional.empty(self._spec)

    # For checkpoints

    def _serialize_to_tensors(self):
        positions = [generator.position for generator in self._dataset._generators()]
        saved = {"asked": self._asked, "failed": self._failed, "seeds": self._run.drawn, "positions": positions}
        return {_STATE: convert_to_tensor(json.dumps(saved), string)}

    def _restore_from_tensors(self, restored_tensors):
        saved = json.loads(convert_to_tensor(restored_tensors[_STATE])._value[()])
        generators = list(self._dataset._generators())
        if len(generators) != len(saved["positions"]):
            raise InvalidArgumentError(
                None,
                None,
                f"The iterator that was saved had {len(saved['positions'])} random datasets such as shuffles, this one has "
                f"{len(generators)}: an iterator goes on over the same pipeline only.",
            )
        for generator, position in zip(generators, saved["positions"], strict=True):
            generator.position = position
        self._start(saved["seeds"])
        self._pass_over(saved["asked"], saved["failed"])


class IteratorSpec(TypeSpec):
    """The type of an `Iterator`.

    Args:
        element_spec: the nest of specs of its elements.
    """

    __slots__ = ("_element_spec",)
    _nest_atom = True

    def __init__(self, element_spec):
        self._element_spec = element_spec

    value_type = property(lambda self: Iterator)
    element_spec = property(lambda self: self._element_spec, doc="The nest of specs of the elements.")

    def _serialize(self):
        return (self._element_spec,)

    def _from_flow(self, flow):
        return TracedIterator(flow, self._element_spec)._from_flow(flow)

    @staticmethod
    def from_value(value):
        """The spec of an `Iterator`."""
        return IteratorSpec(value.element_spec)


class NumpyIterator:
    """One pass over a dataset, with NumPy values in place of tensors.

    Args:
        dataset: the dataset.

    Raises:
        TypeError: its elements hold datasets or other values that have no `numpy()`.
    """

    def __init__(self, dataset):
        for spec in nest.flatten(dataset.element_spec):
            if isinstance(spec, DatasetSpec):
                raise TypeError(
                    "`tf.data.Dataset.as_numpy_iterator()` is not supported for datasets that produce values of type "
                    f"{spec.value_type}"
                )
        self._iterator = iter(dataset)

    def __iter__(self):
        return self

    def __next__(self):
        return nest.map_structure(_as_numpy, next(self._iterator))


def _as_numpy(x):
    return x.numpy() if hasattr(x, "numpy") else x
