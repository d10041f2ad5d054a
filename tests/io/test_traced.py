"""Formats in traced functions: shapes and dtypes are known as far as TensorFlow knows them, values are those of eager calls."""

import numpy as np
import pytest

import tapeflow as tf

T = tf.train
PIXELS = np.arange(30, dtype=np.uint8).reshape(2, 5, 3)


def example(number):
    features = {
        "image": T.Feature(bytes_list=T.BytesList(value=[tf.io.encode_png(PIXELS + number).numpy()])),
        "label": T.Feature(int64_list=T.Int64List(value=[number])),
        "words": T.Feature(bytes_list=T.BytesList(value=[b"w"] * number)),
    }
    return T.Example(features=T.Features(feature=features)).SerializeToString()


FEATURES = {
    "image": tf.io.FixedLenFeature([], tf.string),
    "label": tf.io.FixedLenFeature([], tf.int64),
    "words": tf.io.RaggedFeature(tf.string),
}
TEXT = tf.TensorSpec([], tf.string)


def parsed(data):
    found = tf.io.parse_single_example(data, FEATURES)
    image = tf.io.decode_png(found["image"], channels=3)
    return image, found["label"], found["words"]


def test_a_traced_function_parses_examples():
    traced = tf.function(parsed, input_signature=[TEXT])
    image, label, words = traced.get_concrete_function().structured_outputs
    assert image.shape.as_list() == [None, None, 3] and image.dtype is tf.uint8
    assert label.shape.as_list() == [] and words.shape.as_list() == [None]
    for number in (0, 2):
        image, label, words = traced(tf.constant(example(number)))
        np.testing.assert_array_equal(image, PIXELS + number)
        assert int(label) == number and words.numpy().tolist() == [b"w"] * number


def test_a_traced_function_parses_batches():
    features = {"label": tf.io.FixedLenFeature([], tf.int64), "words": tf.io.VarLenFeature(tf.string)}
    features["again"] = tf.io.RaggedFeature(tf.string, value_key="words")

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def batch(data):
        found = tf.io.parse_example(data, features)
        assert found["label"].shape.as_list() == [None]
        return found["label"], tf.sparse.to_dense(found["words"]), found["again"]

    labels, words, ragged = batch(tf.constant([example(1), example(2)]))
    assert labels.numpy().tolist() == [1, 2]
    assert words.numpy().tolist() == [[b"w", b""], [b"w", b"w"]]
    assert ragged.to_list() == [[b"w"], [b"w", b"w"]]


@pytest.mark.parametrize(
    "function, shape",
    [
        (lambda x: tf.io.decode_image(x), None),
        (lambda x: tf.io.decode_image(x, expand_animations=False), [None, None, None]),
        (lambda x: tf.io.decode_jpeg(x, channels=1), [None, None, 1]),
        (lambda x: tf.io.decode_gif(x), [None, None, None, 3]),
        (lambda x: tf.io.parse_tensor(x, tf.float32), None),
        (lambda x: tf.io.decode_raw(x, tf.int16), [None]),
        (lambda x: tf.io.decode_raw(x, tf.int16, fixed_length=4), [2]),
        (lambda x: tf.io.encode_base64(x), []),
        (lambda x: tf.io.decode_csv(x, [[0], [0.0]])[1], []),
        (lambda x: tf.io.read_file(x), []),
        (lambda x: tf.io.matching_files(x), [None]),
    ],
)
def test_shapes_while_tracing(function, shape):
    traced = tf.function(function, input_signature=[TEXT]).get_concrete_function()
    found = traced.structured_outputs.shape
    assert found.rank is None if shape is None else found.as_list() == shape


def test_a_quality_that_is_computed():
    image = tf.constant(np.arange(300).reshape(10, 10, 3) % 256, tf.uint8)
    traced = tf.function(lambda quality: tf.image.adjust_jpeg_quality(image, quality + 1))
    np.testing.assert_array_equal(traced(tf.constant(49)), tf.image.adjust_jpeg_quality(image, 50))
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"quality must be in \[0,100\], got 101"):
        traced(tf.constant(100))
    drawn = tf.random.stateless_uniform([], (1, 2), minval=10, maxval=90, dtype=tf.int32)
    found = tf.image.stateless_random_jpeg_quality(image, 10, 90, seed=(1, 2))
    np.testing.assert_array_equal(found, tf.image.adjust_jpeg_quality(image, drawn))
    with pytest.raises(ValueError, match="must be less than"):
        tf.image.random_jpeg_quality(image, 50, 50)
    with pytest.raises(ValueError, match="between 0 and 100"):
        tf.image.random_jpeg_quality(image, 50, 101)


def test_files_are_read_when_the_function_runs(tmp_path):
    path = str(tmp_path / "a.txt")

    @tf.function
    def both(content):
        tf.io.write_file(path, content)
        return tf.io.read_file(path)

    assert both(tf.constant("one")).numpy() == b"one"
    assert both(tf.constant("two")).numpy() == b"two"


def test_examples_are_mapped_by_a_dataset():
    features = {"label": tf.io.FixedLenFeature([], tf.int64)}
    data = (
        tf.data.Dataset.from_tensor_slices([example(number) for number in range(5)])
        .map(lambda x: tf.io.parse_single_example(x, features)["label"])
        .batch(2)
    )
    assert [batch.numpy().tolist() for batch in data] == [[0, 1], [2, 3], [4]]
