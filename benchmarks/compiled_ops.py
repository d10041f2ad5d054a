"""Programs whose ops need code of their own: random numbers, branches that assign, scatters, sorts, scans, resizing, assertions."""

import numpy as np

from compiled_programs import adam, cross_entropy, normal, rng, weights


def _mlp(tf, hidden=lambda x: x):
    """Variables of an MLP, its loss, and a batch."""
    variables = w1, b1, w2, b2 = weights(tf, (784, 128), (128,), (128, 10), (10,))

    def loss_of(x, y):
        return cross_entropy(tf, hidden(tf.nn.relu(hidden(x) @ w1 + b1)) @ w2 + b2, y)

    return variables, loss_of, [tf.constant(normal(32, 784)), tf.constant(rng.integers(0, 10, 32))]


def dropout(tf):
    variables, loss_of, data = _mlp(tf, lambda x: tf.nn.dropout(x, 0.3))
    update = adam(tf, variables)

    def step(*data):
        with tf.GradientTape() as tape:
            loss = loss_of(*data)
        update(tape.gradient(loss, variables))
        return loss

    return step, data


def finite(tf):
    """A step that is left out where a gradient is not finite, as with scaled losses."""
    variables, loss_of, data = _mlp(tf)
    update = adam(tf, variables)

    def step(*data):
        with tf.GradientTape() as tape:
            loss = loss_of(*data)
        gradients = tape.gradient(loss, variables)
        good = tf.reduce_all([tf.reduce_all(tf.math.is_finite(g)) for g in gradients])
        tf.cond(good, lambda: update(gradients), lambda: None)
        return loss

    return step, data


def embedding(tf):
    """Plain gradient descent on the rows of a table that a batch reads."""
    table = tf.Variable(normal(20_000, 64))
    kernel = tf.constant(normal(64, 8))

    def step(ids):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(tf.gather(table, ids) @ kernel))
        gradient = tape.gradient(loss, table)
        table.scatter_sub(tf.IndexedSlices(0.1 * gradient.values, gradient.indices))
        return loss

    return step, [tf.constant(rng.integers(0, 20_000, 4096))]


def segments(tf):
    ids = tf.constant(rng.integers(0, 20_000, 4096))
    return lambda x: tf.math.unsorted_segment_sum(x * 2.0, ids, 20_000), [tf.constant(normal(4096, 64))]


def asserted(tf):
    def function(x):
        tf.debugging.assert_less(x, 50.0)
        return tf.reduce_sum(x * 2.0)

    return function, [tf.constant(normal(64, 100))]


def resized(tf):
    def function(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(tf.square(tf.image.resize(x, [128, 128])))
        return tape.gradient(loss, x)

    return function, [tf.constant(normal(8, 64, 64, 16))]


def integers(tf):
    a = rng.integers(-50, 50, (200, 300)).astype(np.int32)
    return lambda a, b: tf.matmul(a, b), [tf.constant(a), tf.constant(a.T.copy())]


def of_rows(function):
    """A program that works on 64 rows of 1000 numbers."""
    return lambda tf: (lambda x: function(tf, x), [tf.constant(normal(64, 1000))])


# As in `compiled_programs`; there is no target yet.
OPS = {
    "dropout": ("MLP 784-128-10 Adam step with dropout, batch 32", dropout, 13.1, "-"),
    "finite": ("the same without, in a cond on finite gradients", finite, 13.1, "-"),
    "embedding": ("sparse step on 4096 of 20000 rows of 64", embedding, 0, "-"),
    "segments": ("unsorted_segment_sum of these rows", segments, 0, "-"),
    "uniform": ("a million uniform numbers", lambda tf: (lambda: tf.random.uniform([1000, 1000]), []), 0, "-"),
    "normals": ("a million normal numbers", lambda tf: (lambda: tf.random.normal([1000, 1000]), []), 0, "-"),
    "cumsum": ("cumsum of 64 rows of 1000", of_rows(lambda tf, x: tf.cumsum(x, -1)), 0, "-"),
    "argsort": ("argsort of them", of_rows(lambda tf, x: tf.argsort(x, -1, stable=True)), 0, "-"),
    "top_k": ("their 5 greatest", of_rows(lambda tf, x: tf.math.top_k(x, 5)[0]), 0, "-"),
    "integers": ("[200, 300] by [300, 200] of int32", integers, 0, "-"),
    "resized": ("gradient of bilinear resizing to twice the size", resized, 0, "-"),
    "asserted": ("a small sum with an assertion", asserted, 0, "-"),
}
