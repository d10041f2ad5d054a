"""What functions of images share: checks of rank and size, and arithmetic on sizes that may be unknown while
tracing."""

from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.primitive import P


def image_tensor(image):
    """The image as a tensor of at least three dimensions.

    Raises:
        ValueError: it has fewer.
    """
    x = convert_to_tensor(image)
    if x.dims is not None and len(x.dims) < 3:
        raise ValueError(f"'image' (shape {x.shape}) must be at least three-dimensional.")
    return x


def batched(image, what="image", text="must have either 3 or 4 dimensions."):
    """The image as [batch, height, width, channels], and a function that gives a result the rank of the image.

    Raises:
        ValueError: the rank is neither 3 nor 4.
    """
    x = convert_to_tensor(image)
    if x.dims is None:
        raise ValueError(f"'{what}' contains no shape.")
    if len(x.dims) == 4:
        return x, lambda y: y
    if len(x.dims) != 3:
        raise ValueError(f"'{what}' (shape {x.shape}) {text}")
    return P.expand_dims(x, axis=(0,)), lambda y: P.squeeze(y, axis=(0,))


def known(*values):
    """Whether all sizes are ints."""
    return all(isinstance(value, int) for value in values)


def larger(a, b):
    """The larger of two sizes."""
    return max(a, b) if known(a, b) else P.maximum(convert_to_tensor(a), convert_to_tensor(b))


def smaller(a, b):
    """The smaller of two sizes."""
    return min(a, b) if known(a, b) else P.minimum(convert_to_tensor(a), convert_to_tensor(b))
