"""Images: identities, NumPy's own operations, and values of TensorFlow 2.21."""

import zlib

import numpy as np
import pytest

import tapeflow as tf
from tapeflow.io.png import chunks

rng = np.random.default_rng(6)
SMALL = np.array([[0.0, 10, 4], [6, 2, 8]], np.float32)[:, :, None]


def random(*shape):
    return rng.random(shape, np.float32)


@pytest.mark.parametrize(
    "method, antialias, expected",  # SMALL at 3 x 2, in TensorFlow 2.21
    [
        ("bilinear", False, [2.5, 5.5, 3.75, 6.0, 5.0, 6.5]),
        ("bilinear", True, [3.75, 6.25, 4.125, 6.0, 4.5, 5.75]),
        ("nearest", False, [0.0, 4.0, 6.0, 8.0, 6.0, 8.0]),
        ("bicubic", False, [1.8262, 5.2644, 3.5693, 6.0657, 5.3124, 6.867]),
        ("bicubic", True, [3.6992, 6.5509, 4.0498, 6.1204, 4.4003, 5.6899]),
        ("area", False, [3.3333, 6.0, 4.0, 6.0, 4.6667, 6.0]),
        ("lanczos3", True, [3.8592, 6.9437, 4.0385, 6.2166, 4.2178, 5.4896]),
        ("lanczos5", False, [1.9196, 5.8994, 3.5129, 6.2891, 5.1061, 6.6788]),
        ("gaussian", False, [2.8346, 5.6638, 3.8068, 6.0, 4.779, 6.3361]),
        ("mitchellcubic", True, [3.8886, 6.3712, 4.1594, 6.0141, 4.4301, 5.657]),
    ],
)
def test_resize(method, antialias, expected):
    found = tf.image.resize(SMALL, [3, 2], method, antialias=antialias)
    np.testing.assert_allclose(found.numpy().ravel(), expected, atol=6e-5)
    batch = tf.image.resize(np.stack([SMALL, 2 * SMALL]), [3, 2], method, antialias=antialias)
    np.testing.assert_allclose(batch, [found, 2 * found.numpy()], rtol=1e-5)
    flat = tf.image.resize(tf.ones([1, 5, 7, 2]), [8, 3], method, antialias=antialias)
    np.testing.assert_allclose(flat, np.ones([1, 8, 3, 2]), rtol=1e-6)


def test_resize_keeps_proportions_dtypes_and_refuses():
    assert tf.image.resize(random(2, 5, 7, 3), [3, 100], preserve_aspect_ratio=True).shape == (2, 3, 4, 3)
    pixels = rng.integers(0, 255, (4, 6, 1)).astype(np.uint8)
    halved = tf.image.resize(pixels, [2, 3], "nearest")
    assert halved.dtype is tf.uint8
    np.testing.assert_array_equal(halved, pixels[1::2, 1::2])
    assert tf.image.resize(pixels, [4, 6]).dtype is tf.float32
    np.testing.assert_allclose(tf.image.resize(pixels, [2, 3], "area"), pixels.reshape(2, 2, 3, 2, 1).mean((1, 3)))
    padded = tf.image.resize_with_pad(tf.ones([2, 4, 1]), 6, 4)
    assert padded.numpy()[..., 0].sum(1).tolist() == [0, 0, 4, 4, 0, 0]
    for call, error, text in [
        (lambda: tf.image.resize(random(5, 7), [3, 3]), ValueError, "3 or 4 dimensions"),
        (lambda: tf.image.resize(SMALL, 3), ValueError, "2 elements"),
        (lambda: tf.image.resize(SMALL, [3.0, 2.0]), ValueError, "int32"),
        (lambda: tf.image.resize(SMALL, [3, 2], "foo"), ValueError, "not implemented: foo"),
        (lambda: tf.image.resize(SMALL, [0, 2]), tf.errors.InvalidArgumentError, "must be positive"),
    ]:
        with pytest.raises(error, match=text):
            call()


def test_flips_turns_and_transposes_are_numpys():
    x = random(2, 4, 5, 3)
    np.testing.assert_array_equal(tf.image.flip_left_right(x), x[:, :, ::-1])
    np.testing.assert_array_equal(tf.image.flip_up_down(x), x[:, ::-1])
    np.testing.assert_array_equal(tf.image.transpose(x), x.transpose(0, 2, 1, 3))
    for k in range(-1, 6):
        np.testing.assert_array_equal(tf.image.rot90(x, k), np.rot90(x, k, (1, 2)))
        np.testing.assert_array_equal(tf.image.rot90(x[0], k), np.rot90(x[0], k))
    with pytest.raises(ValueError, match="at least three-dimensional"):
        tf.image.flip_left_right(x[0, 0])


def test_crops_and_pads():
    x = random(8, 10, 3)
    np.testing.assert_array_equal(tf.image.crop_to_bounding_box(x, 1, 2, 3, 4), x[1:4, 2:6])
    np.testing.assert_array_equal(tf.image.pad_to_bounding_box(x, 1, 2, 10, 13), np.pad(x, [(1, 1), (2, 1), (0, 0)]))
    np.testing.assert_array_equal(tf.image.central_crop(x, 0.5), x[2:6, 2:8])
    np.testing.assert_array_equal(tf.image.resize_with_crop_or_pad(x, 5, 13), np.pad(x[1:6], [(0, 0), (1, 2), (0, 0)]))
    for call, text in [
        (lambda: tf.image.crop_to_bounding_box(x, 1, -2, 3, 5), "offset_width must be >= 0"),
        (lambda: tf.image.crop_to_bounding_box(x, 1, 2, 3, 9), "width must be >= target"),
        (lambda: tf.image.pad_to_bounding_box(x, 1, 2, 8, 13), "height must be <= target"),
        (lambda: tf.image.central_crop(x, 1.5), r"within \(0, 1\]"),
    ]:
        with pytest.raises(ValueError, match=text):
            call()


def test_dtypes_are_scaled():
    convert = tf.image.convert_image_dtype
    assert convert(tf.constant([0, 51, 255], tf.uint8), tf.float32).numpy().round(4).tolist() == [0, np.float32(0.2), 1]
    assert convert([0.5, 1.0], tf.uint8).numpy().tolist() == [127, 255]
    assert convert([-1.0, 2.0], tf.uint8, saturate=True).numpy().tolist() == [0, 255]
    assert convert(tf.constant([11, 48], tf.uint8), tf.uint16).numpy().tolist() == [2816, 12288]
    assert convert(tf.constant([5, 1000, 30000], tf.int16), tf.uint8).numpy().tolist() == [0, 7, 234]
    assert convert(tf.constant([-5, 100], tf.int8), tf.uint8, saturate=True).numpy().tolist() == [0, 200]
    with pytest.raises(AttributeError, match="floating point or integer"):
        convert([0.5], tf.bool)


def test_colours():
    import colorsys

    x = random(4, 5, 3)
    hsv = tf.image.rgb_to_hsv(x).numpy()
    for at in np.ndindex(4, 5):
        np.testing.assert_allclose(hsv[at], colorsys.rgb_to_hsv(*x[at]), atol=1e-6)
    np.testing.assert_allclose(tf.image.hsv_to_rgb(hsv), x, atol=1e-6)
    np.testing.assert_allclose(tf.image.yuv_to_rgb(tf.image.rgb_to_yuv(x)), x, atol=1e-4)
    np.testing.assert_allclose(tf.image.yiq_to_rgb(tf.image.rgb_to_yiq(x)), x, atol=1e-4)
    np.testing.assert_allclose(tf.image.adjust_hue(x, 1.0), x, atol=1e-5)
    np.testing.assert_allclose(tf.image.adjust_saturation(x, 1.0), x, atol=1e-5)
    np.testing.assert_allclose(tf.image.adjust_contrast(x, 2.0), 2 * x - x.mean((0, 1)), atol=1e-5)
    np.testing.assert_allclose(tf.image.adjust_gamma(x, 2.0, 0.5), x * x / 2, atol=1e-6)
    np.testing.assert_allclose(tf.image.rgb_to_grayscale(x)[..., 0], x @ np.float32([0.2989, 0.587, 0.114]), atol=1e-6)
    pixels = tf.constant([[[11, 48, 85], [122, 159, 196]]], tf.uint8)
    assert tf.image.adjust_brightness(pixels, 0.2).numpy().ravel().tolist() == [62, 99, 136, 173, 210, 247]
    assert tf.image.adjust_saturation(pixels, 2.0).numpy().ravel()[:3].tolist() == [0, 42, 85]
    assert tf.image.grayscale_to_rgb(pixels[..., :1]).shape == (1, 2, 3)
    for call, error, text in [
        (lambda: tf.image.adjust_hue(x, 1.5), ValueError, r"interval \[-1, 1\]"),
        (lambda: tf.image.rgb_to_hsv(x[..., :2]), tf.errors.FailedPreconditionError, "3 channels"),
        (lambda: tf.image.grayscale_to_rgb(x), ValueError, "size 1"),
        (lambda: tf.image.adjust_gamma(x, -1), ValueError, "non-negative"),
    ]:
        with pytest.raises(error, match=text):
            call()


def test_standardization():
    x = tf.image.per_image_standardization(random(2, 5, 6, 3)).numpy()
    np.testing.assert_allclose([x.mean((1, 2, 3)), x.std((1, 2, 3))], [[0, 0], [1, 1]], atol=1e-5)


def test_measures():
    x = random(2, 16, 17, 3)
    np.testing.assert_allclose(tf.image.ssim(x, x, 1.0), [1, 1], rtol=1e-5)
    np.testing.assert_allclose(tf.image.psnr(x, x + 0.1, 1.0), [20, 20], rtol=1e-4)
    ramp = ((np.arange(2 * 16 * 17 * 3) * 37 + 11) % 101 / 101).astype(np.float32).reshape(2, 16, 17, 3)
    np.testing.assert_allclose(tf.image.ssim(ramp, ramp * 0.8, 1.0), [0.952, 0.952], atol=5e-5)  # TensorFlow 2.21
    large = np.tile(ramp[:1, :, :, :1], (1, 4, 4, 1))
    assert 0.9 < float(tf.image.ssim_multiscale(large, large * 0.8, 1.0, (0.5, 0.5), filter_size=5)[0]) < 1
    expected = np.abs(np.diff(x, axis=1)).sum((1, 2, 3)) + np.abs(np.diff(x, axis=2)).sum((1, 2, 3))
    np.testing.assert_allclose(tf.image.total_variation(x), expected, rtol=1e-5)
    dy, dx = tf.image.image_gradients(x)
    np.testing.assert_allclose(dy[:, :-1], np.diff(x, axis=1), rtol=1e-6)
    np.testing.assert_allclose(dx[:, :, :-1], np.diff(x, axis=2), rtol=1e-6)
    edges = tf.image.sobel_edges(np.broadcast_to(np.arange(6.0)[:, None, None], (1, 6, 5, 1)))
    assert edges.numpy()[0, 1:-1, :, 0].tolist() == [[[8, 0]] * 5] * 4
    with pytest.raises(tf.errors.InvalidArgumentError):
        tf.image.ssim(x[:, :8], x[:, :8], 1.0)


def test_crop_and_resize_and_its_gradients():
    x = random(2, 5, 6, 3)
    whole = tf.image.crop_and_resize(x, [[0.0, 0.0, 1.0, 1.0], [1.0, 1.0, 0.0, 0.0]], [1, 0], [5, 6])
    np.testing.assert_allclose(whole, [x[1], x[0, ::-1, ::-1]], atol=1e-6)
    beyond = tf.image.crop_and_resize(x, [[-1.0, 0.0, 0.0, 1.0]], [0], [2, 6], extrapolation_value=7.0)
    np.testing.assert_allclose(beyond[0], [np.full((6, 3), 7.0), x[0, 0]], atol=1e-6)
    ramp = tf.constant(np.broadcast_to(np.arange(5.0, dtype=np.float32)[:, None, None], (1, 5, 6, 1)))
    boxes = tf.constant([[0.1, 0.1, 0.6, 0.7]])
    with tf.GradientTape() as tape:
        tape.watch(boxes)
        y = tf.reduce_sum(tf.image.crop_and_resize(ramp, boxes, [0], [2, 1]))
    np.testing.assert_allclose(tape.gradient(y, boxes), [[4, 0, 4, 0]], atol=1e-5)  # the rows' ends move by 4 pixels
    with pytest.raises(tf.errors.OutOfRangeError, match="box_index"):
        tf.image.crop_and_resize(x, [[0.0, 0.0, 1.0, 1.0]], [2], [2, 2])


def test_projective_transforms():
    x = random(1, 4, 5, 2)

    def warp(transform, shape=(4, 5), **options):
        options = {"fill_value": 0.0, "interpolation": "BILINEAR", "fill_mode": "CONSTANT", **options}
        return tf.raw_ops.ImageProjectiveTransformV3(images=x, transforms=[transform], output_shape=shape, **options).numpy()

    np.testing.assert_allclose(warp([1.0, 0, 0, 0, 1, 0, 0, 0]), x)
    np.testing.assert_allclose(warp([1.0, 0, 2, 0, 1, 1, 0, 0], fill_value=9.0)[0, :3, :3], x[0, 1:, 2:])
    assert (warp([1.0, 0, 2, 0, 1, 1, 0, 0], fill_value=9.0)[0, 3] == 9).all()
    mirrored = warp([1.0, 0, -5, 0, 1, 0, 0, 0], fill_mode="REFLECT")
    np.testing.assert_allclose(mirrored, x[:, :, ::-1], atol=1e-6)
    np.testing.assert_allclose(warp([1.0, 0, 9, 0, 1, 0, 0, 0], fill_mode="NEAREST")[0, :, 0], x[0, :, -1])
    halfway = warp([1.0, 0, 0.5, 0, 1, 0, 0, 0])
    np.testing.assert_allclose(halfway[:, :, :4], (x[:, :, :4] + x[:, :, 1:]) / 2, atol=1e-6)
    nearest = warp([2.0, 0, 0, 0, 2, 0, 0, 0], (2, 2), interpolation="NEAREST")
    np.testing.assert_allclose(nearest, x[:, ::2, :4:2])


def test_suppression():
    boxes, scores = [[0.0, 0, 1, 1], [0, 0, 1, 0.9], [2, 2, 3, 3], [0, 0.1, 1, 1]], [0.9, 0.8, 0.7, 0.95]
    assert tf.image.non_max_suppression(boxes, scores, 3).numpy().tolist() == [3, 2]
    assert tf.image.non_max_suppression(boxes, scores, 3, 0.95, 0.75).numpy().tolist() == [3, 0, 1]
    chosen, soft = tf.image.non_max_suppression_with_scores(boxes, scores, 3, soft_nms_sigma=0.5)
    assert chosen.numpy().tolist() == [3, 2, 1]  # as in TensorFlow 2.21
    np.testing.assert_allclose(soft, [0.95, 0.7, 0.4218], atol=5e-5)
    chosen, count = tf.image.non_max_suppression_padded([boxes] * 2, [scores] * 2, 3, pad_to_max_output_size=True)
    assert chosen.numpy().tolist() == [[3, 2, 0]] * 2 and count.numpy().tolist() == [2, 2]
    overlaps = [[1.0, 0.9, 0], [0.9, 1, 0], [0, 0, 1]]
    assert tf.image.non_max_suppression_overlaps(overlaps, [0.9, 0.8, 0.7], 3).numpy().tolist() == [0, 2]


def test_random_changes():
    x = random(6, 7, 3)
    crop = tf.image.stateless_random_crop(x, [3, 4, 3], seed=[1, 2]).numpy()
    assert any(np.array_equal(crop, x[i : i + 3, j : j + 4]) for i in range(4) for j in range(4))
    flips = tf.image.random_flip_left_right(np.broadcast_to(x, (40, *x.shape))).numpy()
    kept = [np.array_equal(flip, x) for flip in flips]
    assert 5 < sum(kept) < 35
    assert all(np.array_equal(flip, x[:, ::-1]) for flip, same in zip(flips, kept, strict=True) if not same)
    one, two = [tf.image.stateless_random_brightness(x, 0.2, seed=[1, 2]).numpy() for _ in range(2)]
    np.testing.assert_array_equal(one, two)
    assert np.ptp(one - x) < 1e-6 < np.abs(one - x).max() < 0.2
    with pytest.raises(ValueError, match=r"max_delta must be <= 0\.5"):
        tf.image.random_hue(x, 0.7)
    with pytest.raises(ValueError, match="upper must be > lower"):
        tf.image.random_contrast(x, 0.5, 0.2)


# PNG


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_png_files_come_back(channels, dtype):
    x = rng.integers(0, np.iinfo(dtype).max, (5, 7, channels)).astype(dtype)
    found = tf.io.decode_png(tf.io.encode_png(x), dtype=tf.as_dtype(dtype))
    np.testing.assert_array_equal(found, x)
    assert tf.io.decode_image(tf.io.encode_png(x), channels=3).shape == (5, 7, 3)


@pytest.mark.parametrize("kind", [0, 1, 2, 3, 4])
def test_png_filters(kind):
    """Each of the five filters of PNG, applied by their definitions."""
    x = rng.integers(0, 255, (4, 5, 3)).astype(np.uint8)
    rows = np.zeros((5, 6, 3), int)
    rows[1:, 1:] = x
    left, above, corner = rows[1:, :-1], rows[:-1, 1:], rows[:-1, :-1]
    distances = np.abs(np.stack([above - corner, left - corner, left + above - 2 * corner]))
    paeth = np.choose(distances.argmin(0), [left, above, corner])
    guess = [0 * left, left, above, (left + above) // 2, paeth][kind]
    lines = np.concatenate([np.full((4, 1), kind), (x - guess).reshape(4, -1) % 256], 1).astype(np.uint8)
    file = tf.io.encode_png(x).numpy()
    parts = dict(chunks(file))
    packed = zlib.compress(lines.tobytes())
    start = file.index(b"IDAT") - 4
    data = (
        file[:start]
        + len(packed).to_bytes(4, "big")
        + b"IDAT"
        + packed
        + b"\0" * 4
        + file[start + 12 + len(parts[b"IDAT"]) :]
    )
    np.testing.assert_array_equal(tf.io.decode_png(data), x)


def test_png_refuses():
    with pytest.raises(tf.errors.InvalidArgumentError, match="Unknown image file format"):
        tf.io.decode_png(b"not a png file")
    with pytest.raises(tf.errors.InvalidArgumentError, match="Invalid PNG data"):
        tf.io.decode_png(tf.io.encode_png(np.zeros((4, 4, 3), np.uint8)).numpy()[:50])
    with pytest.raises(tf.errors.InvalidArgumentError, match="jpeg::Uncompress failed"):
        tf.io.decode_image(b"\xff\xd8\xff\xe0")
    with pytest.raises(tf.errors.InvalidArgumentError, match="Unknown image file format"):
        tf.io.decode_image(b"hello")
    with pytest.raises(tf.errors.InvalidArgumentError, match="channels"):
        tf.io.encode_png(np.zeros((4, 4, 5), np.uint8))


def test_images_of_unknown_size_are_resized_with_padding():
    traced = tf.function(lambda x: tf.image.resize_with_pad(x, 18, 12))
    concrete = traced.get_concrete_function(tf.TensorSpec([None, None, 3], tf.uint8))
    assert concrete.output_shapes == [18, 12, 3]
    for height, width in ((5, 9), (30, 7), (18, 12)):
        image = tf.cast(tf.reshape(tf.range(height * width * 3) % 251, [height, width, 3]), tf.uint8)
        assert np.array_equal(concrete(image).numpy(), tf.image.resize_with_pad(image, 18, 12).numpy())
