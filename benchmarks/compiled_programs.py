"""Programs to compile, as functions of the library: `tf` is tapeflow or TensorFlow, which run the same code."""

import numpy as np

rng = np.random.default_rng(5)


def normal(*shape):
    return rng.standard_normal(shape, np.float32)


def weights(tf, *shapes):
    return [tf.Variable(normal(*shape) * 0.05) for shape in shapes]


def adam(tf, variables):
    """A function that takes gradients and updates the variables, as one would write Adam by hand."""
    means = [tf.Variable(np.zeros(v.shape, np.float32)) for v in variables]
    squares = [tf.Variable(np.zeros(v.shape, np.float32)) for v in variables]
    count = tf.Variable(0.0)

    def update(gradients):
        count.assign_add(1.0)
        rate = 0.001 * tf.sqrt(1 - 0.999**count) / (1 - 0.9**count)
        for v, m, s, g in zip(variables, means, squares, gradients, strict=True):
            m.assign_add((g - m) * 0.1)
            s.assign_add((g * g - s) * 0.001)
            v.assign_sub(rate * m / (tf.sqrt(s) + 1e-7))

    return update


def scalar(tf):
    return lambda x: x**2 + tf.sin(x), [tf.constant(0.7)]


def collatz(tf):
    def function(n):
        def body(n, steps):
            return tf.where(n % 2 == 0, n // 2, 3 * n + 1), steps + 1

        return tf.while_loop(lambda n, steps: n != 1, body, [n, tf.constant(0, tf.int64)])[1]

    return function, [tf.constant(77031, tf.int64)]


def gelu(tf):
    def function(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.nn.gelu(x) * tf.tanh(x) + tf.exp(-x * x)
        return tape.gradient(y, x)

    return function, [tf.constant(normal(4_000_000))]


def train(tf, variables, loss_of):
    update = adam(tf, variables)

    def step(*data):
        with tf.GradientTape() as tape:
            loss = loss_of(*data)
        update(tape.gradient(loss, variables))
        return loss

    return step


def cross_entropy(tf, logits, labels):
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits))


def mlp(tf, batch):
    variables = w1, b1, w2, b2 = weights(tf, (784, 128), (128,), (128, 10), (10,))

    def loss_of(x, y):
        return cross_entropy(tf, tf.nn.relu(x @ w1 + b1) @ w2 + b2, y)

    return train(tf, variables, loss_of), [tf.constant(normal(batch, 784)), tf.constant(rng.integers(0, 10, batch))]


def cnn(tf):
    shapes = (3, 3, 1, 32), (32,), (3, 3, 32, 64), (64,), (7 * 7 * 64, 10), (10,)
    variables = k1, b1, k2, b2, w, b = weights(tf, *shapes)

    def loss_of(x, y):
        h = tf.nn.max_pool2d(tf.nn.relu(tf.nn.conv2d(x, k1, 1, "SAME") + b1), 2, 2, "VALID")
        h = tf.nn.max_pool2d(tf.nn.relu(tf.nn.conv2d(h, k2, 1, "SAME") + b2), 2, 2, "VALID")
        return cross_entropy(tf, tf.reshape(h, [-1, 7 * 7 * 64]) @ w + b, y)

    return train(tf, variables, loss_of), [tf.constant(normal(64, 28, 28, 1)), tf.constant(rng.integers(0, 10, 64))]


def transformer(tf):
    batch, length, width, heads = 8, 128, 256, 4
    shapes = (width, 3 * width), (3 * width,), (width, width), (width,), (width, 4 * width), (4 * width,)
    shapes += (4 * width, width), (width,), (width,), (width,), (width,), (width,)
    variables = wq, bq, wo, bo, w1, b1, w2, b2, g1, o1, g2, o2 = weights(tf, *shapes)

    def normalised(x, gain, offset):
        mean = tf.reduce_mean(x, -1, keepdims=True)
        variance = tf.reduce_mean(tf.square(x - mean), -1, keepdims=True)
        return (x - mean) * tf.math.rsqrt(variance + 1e-5) * gain + offset

    def loss_of(x):
        parts = tf.reshape(normalised(x, g1, o1) @ wq + bq, [batch, length, 3, heads, width // heads])
        q, k, v = tf.unstack(tf.transpose(parts, [2, 0, 3, 1, 4]))
        seen = tf.nn.softmax(tf.matmul(q, k, transpose_b=True) * (width // heads) ** -0.5) @ v
        x = x + tf.reshape(tf.transpose(seen, [0, 2, 1, 3]), [batch, length, width]) @ wo + bo
        x = x + tf.nn.gelu(normalised(x, g2, o2) @ w1 + b1) @ w2 + b2
        return tf.reduce_mean(tf.square(x))

    return train(tf, variables, loss_of), [tf.constant(normal(batch, length, width))]


def lstm(tf):
    steps, batch, units = 64, 32, 128
    variables = wx, wh, b = weights(tf, (units, 4 * units), (units, 4 * units), (4 * units,))

    def loss_of(x):
        def body(i, h, c):
            new, enter, forget, leave = tf.split(x[i] @ wx + h @ wh + b, 4, axis=1)
            c = tf.sigmoid(forget) * c + tf.sigmoid(enter) * tf.tanh(new)
            return i + 1, tf.sigmoid(leave) * tf.tanh(c), c

        zeros = tf.zeros([batch, units])
        return tf.reduce_mean(tf.square(tf.while_loop(lambda i, h, c: i < steps, body, [0, zeros, zeros])[1]))

    return train(tf, variables, loss_of), [tf.constant(normal(steps, batch, units))]


# name: (title, program, multiplications and additions of one run in MFLOP, how many times faster than the best peer it is to be)
PROGRAMS = {
    "scalar": ("scalar x**2 + sin(x)", scalar, 0, 5),
    "mlp32": ("MLP 784-128-10 Adam step, batch 32", lambda tf: mlp(tf, 32), 13.1, 2.2),
    "mlp256": ("MLP 784-128-10 Adam step, batch 256", lambda tf: mlp(tf, 256), 104.7, 1.8),
    "cnn": ("CNN Adam step, batch 64", cnn, 1448, 1.3),
    "transformer": ("transformer block Adam step, 8x128x256", transformer, 5234, 1.1),
    "lstm": ("LSTM Adam step by while_loop, 64 steps", lstm, 1611, 2.0),
    "gelu": ("gradient of gelu(x) tanh(y) + exp(-x x), 4 M", gelu, 0, 2.0),
    "collatz": ("collatz(77031) by while", collatz, 0, 2.0),
}
