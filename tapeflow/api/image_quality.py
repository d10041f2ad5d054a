"""Measures of images: likeness, gradients and edges (`tf.image.psnr`, `tf.image.ssim`, `tf.image.sobel_edges`, ...)."""

import numpy as np

from tapeflow.api.export import export
from tapeflow.api.image_color import convert_image_dtype
from tapeflow.api.math_reduce import reduce_mean, reduce_sum
from tapeflow.api.nn_conv import depthwise_conv2d
from tapeflow.api.nn_pool import avg_pool2d
from tapeflow.base.dtypes import float32
from tapeflow.base.errors import invalid
from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.primitive import P
from tapeflow.ops.movement import dims_of

# The weights of the scales of `ssim_multiscale` (Wang et al. 2003).
MSSSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def _compared(a, b, max_val):
    """Two images and their greatest value, as float32."""
    a, b = convert_to_tensor(a), convert_to_tensor(b)
    limit = convert_image_dtype(P.cast(convert_to_tensor(max_val), dtype=a._dtype), float32)
    return convert_image_dtype(a, float32), convert_image_dtype(b, float32), limit


@export("image.psnr")
def psnr(a, b, max_val, name=None):
    """The peak signal-to-noise ratio of two images in decibel: 20 log10(max_val) - 10 log10(mean squared difference).

    Args:
        a, b: [..., height, width, channels].
        max_val: the greatest value that a pixel may have.

    Returns:
        float32 [...].

    Example:
        >>> import tapeflow as tf
        >>> round(float(tf.image.psnr(tf.zeros([2, 2, 1]), tf.ones([2, 2, 1]) * 0.1, max_val=1.0)), 2)
        20.0
    """
    a, b, limit = _compared(a, b, max_val)
    distance = a - b
    error = reduce_mean(distance * distance, (-3, -2, -1))
    decibel = 10 / float(np.log(10))
    return 2 * decibel * P.log(limit) - decibel * P.log(error)


def _gaussian(size, sigma):
    """A Gaussian window [size, size, 1, 1] that sums to one."""
    at = np.arange(size, dtype=np.float32) - np.float32(size - 1) / 2
    line = -0.5 * at * at / np.float32(sigma) ** 2
    window = np.exp(line[:, None] + line)
    return (window / window.sum()).reshape(size, size, 1, 1)


def _ssim_maps(a, b, limit, size, sigma, k1, k2):
    """Luminance times contrast and structure, and contrast and structure alone, for each window and channel."""
    channels = dims_of(a)[-1]
    window = P.broadcast_to(convert_to_tensor(_gaussian(size, sigma)), shape=(size, size, channels, 1))

    def blurred(x):
        lead = dims_of(x)[:-3]
        flat = P.reshape(x, shape=(-1, *dims_of(x)[-3:]))
        y = depthwise_conv2d(flat, window, [1, 1, 1, 1], "VALID")
        return P.reshape(y, shape=(*lead, *dims_of(y)[1:]))

    c1, c2 = (k1 * limit) ** 2, (k2 * limit) ** 2
    mean_a, mean_b = blurred(a), blurred(b)
    product, squares = mean_a * mean_b * 2, mean_a * mean_a + mean_b * mean_b
    luminance = (product + c1) / (squares + c1)
    structure = (blurred(a * b) * 2 - product + c2) / (blurred(a * a + b * b) - squares + c2)
    return luminance * structure, structure


def _check_pair(a, b, size):
    for x in (a, b):
        if x.dims is None or len(x.dims) < 3 or None in x.dims[-3:]:
            raise ValueError(f"Images must be [..., height, width, channels] of known sizes, got shape {x.shape}.")
    if a.dims[-3:] != b.dims[-3:]:
        raise ValueError(f"Two images are not compatible: {a.shape} and {b.shape}")
    if min(a.dims[-3:-1]) < size:
        raise invalid(
            "SSIM", f"Expected the images to be at least as large as the filter. Summarized data: {a.shape} and {size}"
        )


@export("image.ssim")
def ssim(img1, img2, max_val, filter_size=11, filter_sigma=1.5, k1=0.01, k2=0.03, return_index_map=False):
    """The structural similarity of two images (Wang et al. 2004), 1 where they are the same.

    Args:
        img1, img2: [..., height, width, channels].
        max_val: the greatest value that a pixel may have.
        filter_size, filter_sigma: the Gaussian window.
        return_index_map: whether the similarity of each window is returned, not the mean.

    Returns:
        float32 [...], or [..., height, width].

    Raises:
        ValueError: images of different sizes.
        InvalidArgumentError: images smaller than the window.

    Example:
        >>> import tapeflow as tf
        >>> round(float(tf.image.ssim(tf.ones([11, 11, 1]), tf.ones([11, 11, 1]), max_val=1.0)), 4)
        1.0
    """
    a, b, limit = _compared(img1, img2, max_val)
    _check_pair(a, b, filter_size)
    similarity, _ = _ssim_maps(a, b, limit, filter_size, filter_sigma, k1, k2)
    if return_index_map:
        return reduce_mean(similarity, -1)
    return reduce_mean(reduce_mean(similarity, (-3, -2)), -1)


@export("image.ssim_multiscale")
def ssim_multiscale(img1, img2, max_val, power_factors=MSSSIM_WEIGHTS, filter_size=11, filter_sigma=1.5, k1=0.01, k2=0.03):
    """The product of the structural similarities of images at halved scales, each to a power (Wang et al. 2003).

    Args:
        power_factors: the power of each scale, the finest first.

    Returns:
        float32 [...].

    Example:
        >>> import tapeflow as tf
        >>> image = tf.ones([1, 32, 32, 1])
        >>> tf.image.ssim_multiscale(image, image, 1.0, power_factors=(0.5, 0.5), filter_size=5).numpy().tolist()
        [1.0]
    """
    a, b, limit = _compared(img1, img2, max_val)
    _check_pair(a, b, filter_size)
    lead = dims_of(a)[:-3]
    parts = []
    for scale in range(len(power_factors)):
        if scale:
            a, b = [_halved(x) for x in (a, b)]
            _check_pair(a, b, filter_size)
        similarity, structure = _ssim_maps(a, b, limit, filter_size, filter_sigma, k1, k2)
        last = scale == len(power_factors) - 1
        parts.append(P.relu(reduce_mean(similarity if last else structure, (-3, -2))))
    result = None
    for part, power in zip(parts, power_factors, strict=True):
        factor = P.pow(part, convert_to_tensor(float(power), float32))
        result = factor if result is None else result * factor
    return P.reshape(reduce_mean(result, -1), shape=lead)


def _halved(x):
    """Images of half the size; an odd row or column is doubled at the end first."""
    lead, (height, width, channels) = dims_of(x)[:-3], x.dims[-3:]
    x = P.reshape(x, shape=(-1, height, width, channels))
    if height % 2:
        x = P.concat(x, P.strided_slice(x, key=((None, None, None), (-1, None, None))), axis=1)
    if width % 2:
        x = P.concat(x, P.strided_slice(x, key=((None, None, None), (None, None, None), (-1, None, None))), axis=2)
    x = avg_pool2d(x, 2, 2, "VALID")
    return P.reshape(x, shape=(*lead, *dims_of(x)[1:]))


@export("image.total_variation")
def total_variation(images, name=None):
    """The sum of the absolute differences of neighbouring pixels of each image.

    Args:
        images: [height, width, channels], or a batch of them.

    Returns:
        A scalar, or [batch].

    Raises:
        ValueError: images of another rank.

    Example:
        >>> import tapeflow as tf
        >>> float(tf.image.total_variation([[[1.0], [3.0]], [[1.0], [1.0]]]))
        4.0
    """
    x = convert_to_tensor(images)
    rank = len(x.dims)
    if rank not in (3, 4):
        raise ValueError(f"'images' must be either 3 or 4-dimensional. Their shape is {x.shape}.")
    axes = (0, 1, 2) if rank == 3 else (1, 2, 3)
    rows = reduce_sum(P.abs(_difference(x, rank - 3)), axes)
    return rows + reduce_sum(P.abs(_difference(x, rank - 2)), axes)


def _difference(x, axis):
    """The differences of neighbours along an axis."""
    lead = ((None, None, None),) * axis
    return P.strided_slice(x, key=(*lead, (1, None, None))) - P.strided_slice(x, key=(*lead, (None, -1, None)))


@export("image.image_gradients")
def image_gradients(image):
    """The differences of each pixel to the next below and to the next on the right, 0 at the edge.

    Args:
        image: [batch, height, width, channels].

    Returns:
        A pair of tensors (dy, dx) of the image's shape.

    Raises:
        ValueError: an image of another rank.

    Example:
        >>> import tapeflow as tf
        >>> [g.numpy().ravel().tolist() for g in tf.image.image_gradients([[[[1.0], [3.0]]]])]
        [[0.0, 0.0], [2.0, 0.0]]
    """
    x = convert_to_tensor(image)
    if x.dims is None or len(x.dims) != 4:
        raise ValueError(f"image_gradients expects a 4D tensor [batch_size, h, w, d], not {x.shape}.")
    dy = P.pad(_difference(x, 1), paddings=((0, 0), (0, 1), (0, 0), (0, 0)))
    dx = P.pad(_difference(x, 2), paddings=((0, 0), (0, 0), (0, 1), (0, 0)))
    return dy, dx


@export("image.sobel_edges")
def sobel_edges(image):
    """The Sobel filters of each channel, of images mirrored at their edges.

    Args:
        image: [batch, height, width, channels], float32 or float64.

    Returns:
        [batch, height, width, channels, 2]: (dy, dx).

    Raises:
        InvalidArgumentError: an image of another rank.

    Example:
        >>> import tapeflow as tf
        >>> tf.image.sobel_edges(tf.zeros([1, 4, 5, 3])).shape
        TensorShape([1, 4, 5, 3, 2])
    """
    x = convert_to_tensor(image)
    if x.dims is None or len(x.dims) != 4:
        raise invalid("MirrorPad", f"The first dimension of paddings must be the rank of inputs[4,2], {x.shape}")
    channels = dims_of(x)[3]
    dy = np.array([[-1, -2, -1], [0, 0, 0], [1, 2, 1]])
    filters = np.stack([dy, dy.T], -1)[:, :, None]
    window = P.broadcast_to(convert_to_tensor(filters, x._dtype), shape=(3, 3, channels, 2))
    y = depthwise_conv2d(_mirrored(_mirrored(x, 1), 2), window, [1, 1, 1, 1], "VALID")
    return P.reshape(y, shape=(*dims_of(y)[:3], channels, 2))


def _mirrored(x, axis):
    """One more row on both sides of an axis, the mirror image at the edge row."""
    lead = ((None, None, None),) * axis
    before = P.strided_slice(x, key=(*lead, (1, 2, None)))
    after = P.strided_slice(x, key=(*lead, (-2, -1, None)))
    return P.concat(before, x, after, axis=axis)
