"""Images changed at random (`tf.image.random_flip_left_right`, `tf.image.stateless_random_crop`, ...).

Each function comes twice: one draws from the global generator, one from `seed` alone.
"""

from tapeflow.api.export import export, public
from tapeflow.api.image_color import adjust_brightness, adjust_contrast, adjust_hue, adjust_saturation
from tapeflow.api.image_geometry import RANKS
from tapeflow.api.image_shapes import image_tensor
from tapeflow.base.dtypes import int32
from tapeflow.base.errors import invalid
from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.primitive import P
from tapeflow.core.tensor import Tensor
from tapeflow.ops.movement import dims_of


def _drawn(shape, low, high, seed, stateless, dtype=None):
    """Uniform random numbers from one of the two sources."""
    options = {} if dtype is None else {"dtype": dtype}
    name = "random.stateless_uniform" if stateless else "random.uniform"
    return public(name)(shape, minval=low, maxval=high, seed=seed, **options)


def _check_delta(max_delta, most=None):
    if max_delta < 0:
        raise ValueError(f"max_delta must be non-negative. Got {max_delta}.")
    if most is not None and max_delta > most:
        raise ValueError(f"max_delta must be <= {most}. Got {max_delta}.")


def _check_bounds(lower, upper):
    if upper <= lower:
        raise ValueError(f"upper must be > lower. Got lower={lower}, upper={upper}.")
    if lower < 0:
        raise ValueError(f"lower must be non-negative. Got {lower}.")


def _by_delta(name, function, most, what):
    """`random_<name>(image, max_delta, seed)` and its stateless twin."""

    def changed(image, max_delta, seed, stateless):
        _check_delta(max_delta, most)
        return function(image, _drawn((), -max_delta, max_delta, seed, stateless))

    def stateful(image, max_delta, seed=None):
        return changed(image, max_delta, seed, False)

    def stateless(image, max_delta, seed):
        return changed(image, max_delta, seed, True)

    text = f"""Images whose {what} is changed by a random number in [-max_delta, max_delta).

    Raises:
        ValueError: max_delta is negative{"" if most is None else f", or more than {most}"}.
    """
    _named(stateful, stateless, name, text, "0.2")


def _by_factor(name, function, what):
    """`random_<name>(image, lower, upper, seed)` and its stateless twin."""

    def changed(image, lower, upper, seed, stateless):
        _check_bounds(lower, upper)
        return function(image, _drawn((), lower, upper, seed, stateless))

    def stateful(image, lower, upper, seed=None):
        return changed(image, lower, upper, seed, False)

    def stateless(image, lower, upper, seed):
        return changed(image, lower, upper, seed, True)

    def seedless(image, lower, upper, seed=None):
        return changed(image, lower, upper, seed, True)

    text = f"""Images whose {what} is multiplied by a random number in [lower, upper).

    Raises:
        ValueError: lower is negative, or not below upper.
    """
    # TensorFlow gives the stateless seed of one of the two functions a default, None, that it then refuses.
    _named(stateful, seedless if name == "saturation" else stateless, name, text, "0.5, 1.5")


def _named(stateful, stateless, name, text, arguments):
    for function, prefix, seed in ((stateful, "random", "seed=1"), (stateless, "stateless_random", "seed=(1, 2)")):
        function.__name__ = function.__qualname__ = f"{prefix}_{name}"
        function.__doc__ = f"""{text}
    Example:
        >>> import tapeflow as tf
        >>> tf.image.{prefix}_{name}(tf.ones([2, 3, 3]), {arguments}, {seed}).shape
        TensorShape([2, 3, 3])
    """
        export(f"image.{prefix}_{name}")(function)


_by_delta("brightness", adjust_brightness, None, "brightness")
_by_delta("hue", adjust_hue, 0.5, "hue")
_by_factor("contrast", adjust_contrast, "contrast")
_by_factor("saturation", adjust_saturation, "saturation")


# Flips


def _flipped(image, axis, seed, stateless):
    x = image_tensor(image)
    rank = len(x.dims)
    if rank not in (3, 4):
        raise ValueError(f"'image' (shape {x.shape}) {RANKS}")
    turned = P.reverse(x, axis=(axis,))
    if rank == 3:
        chosen = _drawn((), 0, 1.0, seed, stateless) < 0.5
    else:
        chosen = P.reshape(P.rint(_drawn((dims_of(x)[0],), 0, 1.0, seed, stateless)) > 0, shape=(-1, 1, 1, 1))
    return P.where(chosen, turned, x)


@export("image.random_flip_left_right")
def random_flip_left_right(image, seed=None):
    """Each image, with a chance of one half, mirrored left to right.

    Example:
        >>> import tapeflow as tf
        >>> tf.image.random_flip_left_right(tf.ones([2, 3, 1])).shape
        TensorShape([2, 3, 1])
    """
    return _flipped(image, -2, seed, False)


@export("image.random_flip_up_down")
def random_flip_up_down(image, seed=None):
    """Each image, with a chance of one half, turned upside down.

    Example:
        >>> import tapeflow as tf
        >>> tf.image.random_flip_up_down(tf.ones([2, 3, 1])).shape
        TensorShape([2, 3, 1])
    """
    return _flipped(image, -3, seed, False)


@export("image.stateless_random_flip_left_right")
def stateless_random_flip_left_right(image, seed):
    """Each image, with a chance of one half that `seed` decides, mirrored left to right.

    Example:
        >>> import tapeflow as tf
        >>> tf.image.stateless_random_flip_left_right(tf.ones([2, 3, 1]), seed=(1, 2)).shape
        TensorShape([2, 3, 1])
    """
    return _flipped(image, -2, seed, True)


@export("image.stateless_random_flip_up_down")
def stateless_random_flip_up_down(image, seed):
    """Each image, with a chance of one half that `seed` decides, turned upside down.

    Example:
        >>> import tapeflow as tf
        >>> tf.image.stateless_random_flip_up_down(tf.ones([2, 3, 1]), seed=(1, 2)).shape
        TensorShape([2, 3, 1])
    """
    return _flipped(image, -3, seed, True)


# Crops


def _cropped(value, size, seed, stateless):
    """A part of `value` of a size, from an offset that is drawn for each axis."""
    x = convert_to_tensor(value)
    size = convert_to_tensor(size, int32)
    shape = P.shape(x)
    if x.__class__ is Tensor and size.__class__ is Tensor and (shape._value < size._value).any():
        raise invalid("Assert", f"Need value.shape >= size, got {shape._value.tolist()} {size._value.tolist()}")
    drawn = _drawn((len(x.dims),), 0, int32.max, seed, stateless, int32)
    offset = P.floormod(drawn, shape - size + 1)
    return public("slice")(x, offset, size)


@export("image.random_crop")
def random_crop(value, size, seed=None, name=None):
    """A part of `value` of the size that is given, from a random place; every axis is cropped.

    Raises:
        InvalidArgumentError: `size` is larger than the shape of `value`.

    Example:
        >>> import tapeflow as tf
        >>> tf.image.random_crop(tf.ones([6, 7, 3]), [3, 4, 3]).shape
        TensorShape([3, 4, 3])
    """
    return _cropped(value, size, seed, False)


@export("image.stateless_random_crop")
def stateless_random_crop(value, size, seed, name=None):
    """A part of `value` of the size that is given, from a place that `seed` decides.

    Example:
        >>> import tapeflow as tf
        >>> tf.image.stateless_random_crop(tf.ones([6, 7, 3]), [3, 4, 3], seed=(1, 2)).shape
        TensorShape([3, 4, 3])
    """
    return _cropped(value, size, seed, True)
