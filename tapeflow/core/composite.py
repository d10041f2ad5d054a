"""`Composite`: a value made of several tensors that ops take as one, such as a sparse or a ragged tensor."""

from tapeflow.core.tensor import Spec


class Composite:
    """The base of sparse and ragged tensors.

    Conversion lets a composite pass as it is, so that public functions hand it to primitives; `bind` then asks the composite
    itself what the primitive does to it. Plain tensors pay nothing for that.

    A subclass has `_type_spec`, `shape`, `_dtype`, `bind`, `gradient_part`, `with_gradient_part`
    and `unstack`.
    """

    __array_priority__ = 102
    name = None

    def bind(self, op, inputs, attrs):
        """What the primitive `op` gives for `inputs`, one of which is this composite; see `unsupported`."""
        raise unsupported(self, op)

    def gradient_part(self):
        """The tensor with respect to which gradients are taken."""
        raise NotImplementedError

    def with_gradient_part(self, g):
        """A composite like this one whose `gradient_part` is `g`."""
        raise NotImplementedError

    def unstack(self):
        """The slices along the first axis, as a list."""
        raise NotImplementedError

    @property
    def dims(self):
        """The shape as a plain tuple; None stands for a ragged or unknown dimension, or for an unknown rank."""
        return self.shape._dims

    @property
    def spec(self):
        """The shape and dtype, as inference rules take them."""
        return Spec(self.dims, self._dtype)

    @property
    def dtype(self):
        """The `DType` of the elements."""
        return self._dtype

    @property
    def _value(self):
        raise unsupported(self)

    def __tf_tensor__(self, dtype=None, name=None):
        if dtype is not None and dtype is not self._dtype:
            raise ValueError(
                f"Tensor conversion requested dtype {dtype.name} for {type(self).__name__} with dtype {self._dtype.name}: {self!r}"
            )
        return self


class NotATensor(ValueError):
    """A composite where only a tensor can be. Operators try the value first, so the text is made when it is asked for."""

    def __init__(self, composite, op=None):
        super().__init__(composite, op)
        self.composite = composite
        self.op = op

    def __str__(self):
        x, kind = self.composite, type(self.composite).__name__
        wanted = "A tensor is needed here" if self.op is None else f"{self.op.name} does not take a {kind}"
        mend = "x.to_tensor() pads it to one" if hasattr(x, "row_splits") else "tf.sparse.to_dense(x) makes one of it"
        return f"Attempt to convert a value ({x!r}) with an unsupported type ({type(x)}) to a Tensor. {wanted}: {mend}."


unsupported = NotATensor  # raise unsupported(composite, the primitive that does not take it)

__all__ = ["Composite", "NotATensor", "unsupported"]
