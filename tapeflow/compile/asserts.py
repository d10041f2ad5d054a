"""`assert_that` in native code: where the condition is false, what the error is to show is kept, and the code ends there."""

import numpy as np

from tapeflow.base.dtypes import bool_
from tapeflow.compile.affine import size
from tapeflow.compile.scalars import MACHINE
from tapeflow.compile.specialise import naming_line
from tapeflow.compile.text import I8, I64
from tapeflow.core.tensor import Tensor


class Assert:
    """A step that checks a condition.

    Attributes:
        keys: of the condition and of the data that are no constants.
        failures: the offset of its cells for an error.
        kept: for each of the data (offset of its copy, count of the elements in it), None for a constant.
    """

    native = True

    def __init__(self, node, plan):
        self.node = node
        self.failures = plan.root._arena.take(16)
        self.keys = [plan.key_of(node.inputs[0])]
        self.kept = []
        for x in node.inputs[1:]:
            if x.__class__ is Tensor:
                self.kept.append(None)
                continue
            self.keys.append(plan.key_of(x))
            shown = size(x.dims) if node.attrs["summarize"] < 0 else min(size(x.dims), node.attrs["summarize"])
            self.kept.append((plan.root._arena.take(max(1, shown) * x._dtype.size), shown))

    def write(self, f, pointers, arena):
        """Write the check; `pointers` are those of the keys."""
        data = [x for x in self.node.inputs[1:] if x.__class__ is not Tensor]
        with f.when(f.load(pointers[0], I8).equals(0)):
            for x, pointer, (offset, shown) in zip(data, pointers[1:], filter(None, self.kept), strict=True):
                if shown:
                    f.copy(arena + offset, pointer, shown * x._dtype.size)
            f.store(f.constant(I64, 1), arena + self.failures)
            f.leave()

    def fail(self, arena):
        """Raise the error, by the kernel."""
        data = []
        for x, kept in zip(self.node.inputs[1:], self.kept, strict=True):
            if kept is None:
                data.append(x._value)
                continue
            offset, shown = kept
            found = np.zeros(size(x.dims), x._dtype.numpy_dtype)
            found[:shown] = arena[offset : offset + shown * x._dtype.size].view(x._dtype.numpy_dtype)
            data.append(found.reshape(x.dims))
        with naming_line(self.node):
            self.node.op.kernel(np.False_, *data, **self.node.attrs)


def is_native_assert(node):
    """Whether a node is an assertion about what native code holds."""
    if node.op.name != "assert_that":
        return False
    condition, *data = node.inputs
    if condition.__class__ is Tensor or condition.dims != () or condition._dtype is not bool_:
        return False
    return all(x.__class__ is Tensor or (x._dtype in MACHINE and x.dims is not None and None not in x.dims) for x in data)


__all__ = ["Assert", "is_native_assert"]
