"""The programs as functions of the library: `tf` is tapeflow or TensorFlow, which run the same code."""

from functools import partial

import listing
from compiled_programs import EPSILON, HEADS, MEAN_DECAY, RATE, SQUARE_DECAY


def build(code, variant, weights, data):
    """A function without arguments that runs the program once and gives its result."""
    if variant == "tapeflow":
        import tapeflow as tf
    else:
        import tensorflow as tf
    jit_compile = True if variant == "TF XLA" else None
    if code.startswith("keras"):
        return globals()[code](tf, jit_compile, weights, data)
    variables, data = [tf.Variable(w) for w in weights], [tf.constant(array) for array in data]
    function = globals()[code]
    function = train(tf, function, variables) if variables else partial(function, tf)
    return partial(tf.function(function, jit_compile=jit_compile), *data)


def train(tf, loss_of, variables):
    update = adam(tf, variables)

    def step(*data):
        with tf.GradientTape() as tape:
            loss = loss_of(tf, variables, *data)
        update(tape.gradient(loss, variables))
        return loss

    return step


def adam(tf, variables):
    """A function that takes gradients and updates the variables, as one would write Adam by hand."""
    means = [tf.Variable(tf.zeros_like(v)) for v in variables]
    squares = [tf.Variable(tf.zeros_like(v)) for v in variables]
    count = tf.Variable(0.0)

    def update(gradients):
        count.assign_add(1.0)
        rate = RATE * tf.sqrt(1 - SQUARE_DECAY**count) / (1 - MEAN_DECAY**count)
        for v, m, s, g in zip(variables, means, squares, gradients, strict=True):
            m.assign_add((g - m) * (1 - MEAN_DECAY))
            s.assign_add((g * g - s) * (1 - SQUARE_DECAY))
            v.assign_sub(rate * m / (tf.sqrt(s) + EPSILON))

    return update


def scalar(tf, x):
    return x**2 + tf.sin(x)


def collatz(tf, n):
    def body(n, steps):
        return tf.where(n % 2 == 0, n // 2, 3 * n + 1), steps + 1

    return tf.while_loop(lambda n, steps: n != 1, body, [n, tf.constant(0, tf.int64)])[1]


def gelu(tf, x):
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.nn.gelu(x) * tf.tanh(x) + tf.exp(-x * x)
    return tape.gradient(y, x)


def cross_entropy(tf, logits, labels):
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits))


def mlp(tf, variables, x, y):
    w1, b1, w2, b2 = variables
    return cross_entropy(tf, tf.nn.relu(x @ w1 + b1) @ w2 + b2, y)


def cnn(tf, variables, x, y):
    k1, b1, k2, b2, w, b = variables
    h = x
    for kernel, offset in (k1, b1), (k2, b2):
        h = tf.nn.max_pool2d(tf.nn.relu(tf.nn.conv2d(h, kernel, 1, "SAME") + offset), 2, 2, "VALID")
    return cross_entropy(tf, tf.reshape(h, [-1, w.shape[0]]) @ w + b, y)


def normalised(tf, x, gain, offset):
    mean = tf.reduce_mean(x, -1, keepdims=True)
    variance = tf.reduce_mean(tf.square(x - mean), -1, keepdims=True)
    return (x - mean) * tf.math.rsqrt(variance + 1e-5) * gain + offset


def transformer(tf, variables, x):
    wq, bq, wo, bo, w1, b1, w2, b2, g1, o1, g2, o2 = variables
    batch, length, width = x.shape
    parts = tf.reshape(normalised(tf, x, g1, o1) @ wq + bq, [batch, length, 3, HEADS, width // HEADS])
    q, k, v = tf.unstack(tf.transpose(parts, [2, 0, 3, 1, 4]))
    seen = tf.nn.softmax(tf.matmul(q, k, transpose_b=True) * (width // HEADS) ** -0.5) @ v
    x = x + tf.reshape(tf.transpose(seen, [0, 2, 1, 3]), [batch, length, width]) @ wo + bo
    x = x + tf.nn.gelu(normalised(tf, x, g2, o2) @ w1 + b1) @ w2 + b2
    return tf.reduce_mean(tf.square(x))


def lstm(tf, variables, x):
    wx, wh, b = variables
    steps, batch, units = x.shape

    def body(i, h, c):
        new, enter, forget, leave = tf.split(x[i] @ wx + h @ wh + b, 4, axis=1)
        c = tf.sigmoid(forget) * c + tf.sigmoid(enter) * tf.tanh(new)
        return i + 1, tf.sigmoid(leave) * tf.tanh(c), c

    zeros = tf.zeros([batch, units])
    return tf.reduce_mean(tf.square(tf.while_loop(lambda i, h, c: i < steps, body, [0, zeros, zeros])[1]))


def keras_step(tf, jit_compile, weights, data):
    model, optimizer, loss_fn = listing.parts(tf)
    model.set_weights(weights)
    step = tf.function(listing.train_step(tf, model, optimizer, loss_fn), jit_compile=jit_compile)
    return partial(step, *[tf.constant(array) for array in data])


def keras_fit(tf, jit_compile, weights, data):
    """An epoch of `fit`; `variant` TF is Keras without XLA, which Keras's own default would take."""
    model, optimizer, loss_fn = listing.parts(tf)
    model.set_weights(weights)
    model.compile(optimizer, loss_fn, jit_compile=bool(jit_compile))
    images, labels = data
    return lambda: model.fit(images, labels, batch_size=32, epochs=1, verbose=0).history["loss"][0]
