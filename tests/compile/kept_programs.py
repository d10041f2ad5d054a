"""Programs of every kind, for processes that share a disk cache: prints what each gives and what ran it, as JSON.

`python kept_programs.py`; a program's results are digests of all bits of what a few calls give, or the words of their errors.
"""

import hashlib
import json

import numpy as np

import tapeflow as tf

rng = np.random.default_rng(3)


def floats(*shape):
    return tf.constant(rng.standard_normal(shape).astype(np.float32))


def step(labels):
    """An optimizer's step of a small network, with a counter."""
    w, m, count = tf.Variable(floats(5, 3)), tf.Variable(tf.zeros([5, 3])), tf.Variable(0.0)
    x = floats(4, 5)

    @tf.function
    def step(labels):
        count.assign_add(1.0)
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, tf.nn.relu(x) @ w))
        m.assign(0.9 * m + tape.gradient(loss, w))
        w.assign_sub(m / tf.sqrt(count))
        return loss, w.read_value(), count.read_value()

    return step, [tf.constant(labels)]


def loop():
    @tf.function
    def loop(x):
        total = tf.zeros([3])
        for i in tf.range(4):
            if tf.reduce_sum(total) > 2.0:
                total -= x[i]
            else:
                total += tf.tanh(x[i])
        return total

    return loop, [floats(4, 3)]


def recurrence():
    """A loop with its gradient, whose steps are kept in lists."""

    @tf.function
    def recurrence(x, w):
        with tf.GradientTape() as tape:
            tape.watch(w)
            h = tf.zeros([2, 3])
            for i in tf.range(4):
                h = tf.tanh(x[i] + h @ w)
            loss = tf.reduce_sum(h * h)
        return loss, tape.gradient(loss, w)

    return recurrence, [floats(4, 2, 3), floats(3, 3)]


def dropout():
    tf.random.set_seed(5)
    return tf.function(lambda x: tf.nn.dropout(tf.exp(x), 0.5)), [floats(6, 7)]


def asserting():
    def function(x):
        tf.debugging.assert_less(tf.reduce_sum(x), -1e9)
        return x + 1.0

    return tf.function(function), [floats(3)]


PROGRAMS = {
    "elementwise": lambda: (tf.function(lambda x, y: tf.exp(x) * y - tf.sin(x)), [floats(3, 5), floats(5)]),
    "scalars": lambda: (tf.function(lambda n: (n * 3 + 1, n % 2 == 0)), [tf.constant(7)]),
    "sums": lambda: (tf.function(lambda x: (tf.reduce_sum(x, 0), tf.nn.softmax(x), tf.reduce_max(x))), [floats(17, 33)]),
    "products": lambda: (tf.function(lambda x, y: tf.tanh(x @ y)), [floats(65, 33), floats(33, 70)]),
    "convolution": lambda: (
        tf.function(lambda x, k: tf.nn.max_pool2d(tf.nn.conv2d(x, k, 1, "SAME"), 2, 2, "VALID")),
        [floats(2, 8, 8, 3), floats(3, 3, 3, 4)],
    ),
    "constants": lambda: (tf.function(lambda x: (x + np.arange(5, dtype=np.float32), tf.constant([1, 2]))), [floats(5)]),
    "constant results": lambda: (
        tf.function(
            lambda x: (x * 2.0, *[tf.cast([[1, 0]], t) for t in (tf.bfloat16, tf.complex64, bool)], tf.zeros([0, 3]), 5)
        ),
        [floats(5)],
    ),
    "passed through": lambda: (tf.function(lambda x: (x, x * 2.0, x)), [floats(5)]),
    "complex": lambda: (tf.function(lambda x: tf.abs(tf.complex(x, x + 1.0) * (2 - 1j))), [floats(5)]),
    "half": lambda: (tf.function(lambda x: tf.cast(x, tf.bfloat16) * 3 + 1), [floats(5)]),
    "step": lambda: step([0, 2, 1, 1]),
    "wrong labels": lambda: step([0, 2, 1, 7]),
    "wrong index": lambda: (tf.function(lambda x, i: tf.gather(x, i) * 2.0), [floats(5), tf.constant([1, 9])]),
    "loop": loop,
    "recurrence": recurrence,
    "dropout": dropout,
    "asserting": asserting,
    "on NumPy": lambda: (tf.function(lambda x: tf.linalg.expm(x * 2.0) + 1.0), [floats(3, 3)]),
}


def bits(thing):
    """All bits of a nest of tensors, and their dtypes and shapes."""
    if isinstance(thing, tuple):
        return "".join(map(bits, thing))
    value = np.asarray(thing)
    return f"{value.dtype.name}{value.shape}{hashlib.sha256(value.tobytes()).hexdigest()}"


def results(function, arguments):
    """What a few calls give: also the fast call is among them."""
    found = []
    for _ in range(6):
        try:
            found.append(bits(function(*arguments)))
        except tf.errors.OpError as error:
            found.append(f"{type(error).__name__}: {error} {getattr(error, '__notes__', '')}")
    return found


def main():
    found = {}
    for name, make in PROGRAMS.items():
        function, arguments = make()
        gave = results(function, arguments)
        native = function.get_concrete_function(*arguments)._native.__self__
        found[name] = gave, [type(program).__name__ for program in native._programs.values()]
    print(json.dumps(found))


if __name__ == "__main__":
    main()
