"""`jit_compile=True` refuses what XLA refuses for being no work on numbers, and takes the rest."""

import numpy as np
import pytest

import tapeflow as tf

X = tf.constant([1.0, -1.0])

REFUSED = {
    "string": lambda x: tf.strings.length(tf.strings.as_string(x)),
    "py_function": lambda x: tf.py_function(lambda v: v, [x], tf.float32),
    "numpy_function": lambda x: tf.numpy_function(lambda v: v, [x], tf.float32),
    "print": lambda x: (tf.print(x), x + 1.0)[1],
    "file": lambda x: tf.strings.length(tf.io.read_file("nothing")),
    "in a branch": lambda x: tf.cond(x[0] > 0.0, lambda: tf.py_function(lambda v: v, [x], tf.float32), lambda: x),
    "in a loop": lambda x: tf.while_loop(lambda i: i < 3, lambda i: (tf.print(i), [i + 1])[1], [0]),
    "dataset": lambda x: next(iter(tf.data.Dataset.from_tensors(x))),
}
TAKEN = {
    "unique": lambda x: tf.unique(x)[0],
    "mask": lambda x: tf.boolean_mask(x, x > 0.0),
    "assert": lambda x: (tf.debugging.assert_all_finite(x, "no"), tf.debugging.assert_greater(x, -2.0), x)[-1],
    "svd": lambda x: tf.linalg.svd(tf.tensordot(x, x, 0))[0],
    "list": lambda x: tf.map_fn(lambda v: v * 2.0, x),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    function = tf.function(REFUSED[name], jit_compile=True)
    for _ in range(2):
        with pytest.raises(
            tf.errors.InvalidArgumentError, match="Detected unsupported operations when trying to compile"
        ) as e:
            function(X)
    assert "test_must_compile.py:" in str(e.value)


@pytest.mark.parametrize("name", TAKEN)
def test_taken(name):
    found = tf.function(TAKEN[name], jit_compile=True)(X)
    np.testing.assert_allclose(found, TAKEN[name](X), rtol=1e-6)
