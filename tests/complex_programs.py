"""Programs of complex numbers as plain data (`program_strategies` draws them), and the function that runs one on matrices."""

import importlib
import os

tf = importlib.import_module(os.environ.get("IMPL", "tapeflow"))

UNARY = {
    "exp": tf.exp,
    "sin": tf.sin,
    "cos": tf.cos,
    "sinh": tf.sinh,
    "cosh": tf.cosh,
    "tanh": lambda x: tf.tanh(0.5 * x),
    "sigmoid": lambda x: tf.sigmoid(0.5 * x),
    "log": lambda x: tf.math.log(x * x + 3.0),
    "sqrt": lambda x: tf.sqrt(x + 2.0),
    "square": tf.square,
    "reciprocal": lambda x: tf.math.reciprocal(x + 2.5),
    "conj": tf.math.conj,
    "negated": lambda x: -x,
    "turned": lambda x: x * tf.constant(0.6 + 0.8j, x.dtype),
    "abs": lambda x: tf.cast(tf.abs(x + 2.0), x.dtype),
    "angle": lambda x: tf.cast(tf.math.angle(x + 3.0), x.dtype),
    "swapped": lambda x: tf.complex(tf.math.imag(x), tf.math.real(x)),
    "sign": lambda x: tf.sign(x + 2.0),
    "adjoint": lambda x: tf.linalg.adjoint(2.0 * tf.linalg.adjoint(x)),
    "reversed": lambda x: tf.reverse(x, [1]),
    "rolled": lambda x: tf.roll(x, 1, 0),
    "joined": lambda x: tf.concat([x[1:], x[:1] * 0.5], 0),
    "flat": lambda x: tf.reshape(tf.reshape(x, [-1]) + 1.0, x.shape),
    "padded": lambda x: tf.pad(x[:, 1:], [[0, 0], [1, 0]]),
    "cumsum": lambda x: tf.cumsum(x, axis=1) * 0.2,
    "centred": lambda x: x - tf.reduce_mean(x, axis=0, keepdims=True),
    "product": lambda x: tf.matmul(tf.matmul(x, x, adjoint_b=True), x) * 0.1,
    "stacked": lambda x: tf.stack(tf.unstack(x, axis=1), axis=1),
    "gathered": lambda x: tf.gather(x, [1, 0], axis=0)[:1] + x,
    "chosen": lambda x: tf.where(tf.math.real(x) > 0.0, x, 0.5 * tf.math.conj(x)),
    "strided": lambda x: tf.repeat(x[:, ::2], 2, axis=1)[:, : x.shape[1]],
    "narrow": lambda x: tf.cast(tf.cast(x, tf.complex128), x.dtype),
}
BINARY = {
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "div": lambda x, y: x / (y + 2.0),
    "dot": lambda x, y: x * tf.reduce_sum(x * tf.math.conj(y)) * 0.1,
    "columns": lambda x, y: x * tf.reduce_mean(y, axis=1, keepdims=True),
    "sums": lambda x, y: tf.add_n([x, y, x]),
    "equal": lambda x, y: tf.where(tf.equal(x, y), x, y * 0.5),
}


def run(steps, x, y):
    """All values of a program that starts with two matrices."""
    values = [x, y]
    for name, *which in steps:
        result = (UNARY.get(name) or BINARY[name])(*[values[i] for i in which])
        scale = 1.0 + tf.reduce_max(tf.abs(tf.stop_gradient(result)))  # nothing grows without bound
        values.append(result / tf.cast(scale, result.dtype))
    return values


def gradients(steps, x, y):
    """A real loss of a program's last value, and its gradients."""
    with tf.GradientTape() as tape:
        tape.watch([x, y])
        last = run(steps, x, y)[-1]
        loss = tf.reduce_sum(tf.math.real(last * tf.math.conj(last)) + tf.math.imag(last))
    return [loss, *tape.gradient(loss, [x, y], unconnected_gradients="zero")]
