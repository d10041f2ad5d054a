"""How tensors print: `repr`, `str` and `format`; and `Reference`, which stands for a tensor as a key."""

import numpy as np

from tapeflow.core.tensor import ndarray


def formatted(self, spec):
    """`format(tensor, spec)`: NumPy's."""
    return format(_plain(self._value), spec)


def _plain(value):
    """The value as NumPy prints it: a 0-d string is its `bytes`."""
    return value[()] if value.__class__ is ndarray and not value.ndim else value


def numpy_text(value, is_repr=False):
    """A value as tensors and variables print it; several lines start on a line of their own."""
    value = _plain(value)
    if is_repr:
        text = repr(value.item() if isinstance(value, np.generic) else value)
    else:
        text = str(value)
    return "\n" + text if "\n" in text else text


def repr_text(self):
    """`repr` of a tensor with a value."""
    return f"<tf.Tensor: shape={self.shape}, dtype={self._dtype.name}, numpy={numpy_text(self._value, True)}>"


def str_text(self):
    """`str` of a tensor with a value."""
    return f"tf.Tensor({numpy_text(self._value)}, shape={self.shape}, dtype={self._dtype.name})"


def symbolic_repr_text(self):
    """`repr` of a tensor without a value."""
    return f"<tf.Tensor '{self.name}' shape={self.shape} dtype={self._dtype.name}>"


def symbolic_str_text(self):
    """`str` of a tensor without a value."""
    shape = "" if self.dims is None else f", shape={self.shape}"
    return f'Tensor("{self.name}"{shape}, dtype={self._dtype.name})'


def symbolic_formatted(self, spec):
    """`format` of a tensor without a value."""
    return format(str(self), spec)


class Reference:
    """A hashable stand-in for a tensor or variable, equal to the references of the same object."""

    def __init__(self, wrapped):
        self._wrapped = wrapped

    def deref(self):
        """The object itself."""
        return self._wrapped

    def __hash__(self):
        return id(self._wrapped)

    def __eq__(self, other):
        if not isinstance(other, Reference):
            if other is None:
                return False
            raise TypeError(
                f"Cannot compare wrapped object with unwrapped object: {self!r} with {other!r}. Use `.ref()` of both."
            )
        return self._wrapped is other._wrapped

    def __repr__(self):
        return f"<Reference wrapping {self._wrapped!r}>"
