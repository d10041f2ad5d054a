"""Bad input raises TensorFlow's exception class with a text that names the values, and changes nothing."""

import numpy as np
import pytest

import tapeflow as tf

INVALID = tf.errors.InvalidArgumentError

# (call, exception class, what the text must say); the classes are those that TensorFlow 2.21 raises.
CASES = {
    "matmul shapes": (lambda: tf.matmul(tf.ones([2, 3]), tf.ones([5, 7])), INVALID, r"\[2,3\].*\[5,7\]"),
    "add shapes": (lambda: tf.ones([2, 3]) + tf.ones([5, 7]), INVALID, r"\[2,3\] vs. \[5,7\]"),
    "add dtypes": (lambda: tf.constant([1]) + tf.constant([1.0]), INVALID, "int32.*float"),
    "int plus float": (lambda: tf.constant([1]) * 2.5, TypeError, r"2\.5.*int32"),
    "sine of int": (lambda: tf.sin(tf.constant(1)), INVALID, "int32"),
    "sine of string": (lambda: tf.sin(tf.constant("a")), INVALID, "string"),
    "none": (lambda: tf.constant(None), ValueError, "None"),
    "tensor plus none": (lambda: tf.constant([1, 2]) + None, ValueError, "None"),
    "ragged list": (lambda: tf.constant([[1, 2], [3]]), ValueError, "non-rectangular"),
    "mixed list": (lambda: tf.constant([True, 1]), ValueError, "mixed types"),
    "float as int": (lambda: tf.constant(1.5, tf.int32), TypeError, r"1\.5.*int32"),
    "other dtype": (lambda: tf.convert_to_tensor(tf.constant(1.0), tf.float64), ValueError, "float64.*float32"),
    "hash": (lambda: {tf.constant(1.0): 2}, TypeError, "unhashable"),
    "truth of many": (lambda: bool(tf.constant([1, 2])), ValueError, "ambiguous"),
    "index out of range": (lambda: tf.constant([1, 2])[5], INVALID, "5.*out of bounds"),
    "index by float": (lambda: tf.constant([1, 2])[0.5], TypeError, r"0\.5"),
    "index by string": (lambda: tf.constant([1, 2])["a"], TypeError, "'a'"),
    "zero stride": (lambda: tf.constant([1, 2])[::0], INVALID, "non-zero"),
    "gather": (lambda: tf.gather([1, 2, 3], [7]), INVALID, r"7 is not in \[0, 3\)"),
    "gather negative": (lambda: tf.gather([1, 2, 3], [-1]), INVALID, r"-1 is not in \[0, 3\)"),
    "reshape": (lambda: tf.reshape(tf.ones([2, 3]), [4]), INVALID, "6 values.*4"),
    "concat": (lambda: tf.concat([tf.ones([2, 3]), tf.ones([2])], 0), INVALID, "[Rr]anks"),
    "divide int by zero": (lambda: tf.constant(1) // tf.constant(0), INVALID, "division by zero"),
    "huge fill": (lambda: tf.zeros([2**31 - 1, 2**31 - 1, 16]), (INVALID, tf.errors.ResourceExhaustedError), "fill of"),
    "negative fill": (lambda: tf.zeros([-1]), INVALID, "-1"),
    "reduce axis": (lambda: tf.reduce_sum(tf.ones([2, 3]), axis=5), INVALID, "5"),
    "nan index": (lambda: tf.gather([1, 2, 3], [float("nan")]), (INVALID, TypeError, ValueError), "float|nan"),
    "transpose": (lambda: tf.transpose(tf.ones([2, 3]), [0, 0]), INVALID, "0"),
    "one hot depth": (lambda: tf.one_hot([1], -1), INVALID, "-1"),
    "string gradient source": (lambda: _gradient_of_string(), (TypeError, ValueError, AttributeError), "of type .str."),
    "unknown dtype": (lambda: tf.constant(1, "float99"), TypeError, "float99"),
}


def _gradient_of_string():
    with tf.GradientTape() as tape:
        y = tf.constant(2.0)
    return tape.gradient(y, "x")


@pytest.mark.parametrize("name", CASES)
def test_bad_input(name):
    call, kind, text = CASES[name]
    with pytest.raises(kind, match=text):
        call()


def test_a_tape_asked_twice():
    x = tf.Variable(2.0)
    with tf.GradientTape() as tape:
        y = x * x
    assert tape.gradient(y, x).numpy() == 4.0
    with pytest.raises(RuntimeError, match="non-persistent GradientTape can only be used to compute one set"):
        tape.gradient(y, x)


def test_gradients_of_strings_and_integers_are_none():
    text, number = tf.constant("a"), tf.constant(3)
    with tf.GradientTape() as tape:
        tape.watch([text, number])
        y = number * number
    assert tape.gradient(y, [text, number]) == [None, None]


def test_numpys_warnings_stay_the_users_own():
    with np.errstate(all="raise"):
        assert np.isinf((tf.constant(1.0) / tf.constant(0.0)).numpy())
        assert np.isnan(tf.math.log(tf.constant(-1.0)).numpy())
    with pytest.warns(RuntimeWarning):
        np.float32(1) / np.float32(0)
