"""Programs with control flow as plain data (`program_strategies` draws them), and the function that runs one on tensors.

A program is a list of steps on a list of values, all vectors of one length; each step adds a value. The same code runs eagerly,
traced, traced with an unknown length, inside other functions, and on the library that IMPL names.
"""

import importlib
import os

tf = importlib.import_module(os.environ.get("IMPL", "tapeflow"))

UNARY = {
    "sin": tf.sin,
    "tanh": tf.tanh,
    "scaled": lambda x: 0.5 * x,
    "softplus": tf.nn.softplus,
    "reversed": lambda x: tf.reverse(x, [0]),
    "normed": lambda x: x / (1.0 + tf.reduce_sum(x * x)),
    "cumsum": lambda x: 0.3 * tf.cumsum(x),
    "stopped": lambda x: x + tf.stop_gradient(x),
}
BINARY = {
    "add": tf.add,
    "mul": tf.multiply,
    "sub": tf.subtract,
    "max": tf.maximum,
    "dot": lambda x, y: x * tf.reduce_sum(x * y),
}


def run(program, values):
    """The last value of a program that starts with `values`."""
    values = list(values)
    for step in program:
        values.append(STEPS[step[0]](values, *step[1:]))
    return values[-1]


def _pick(values, index):
    return values[index % len(values)]


def _cond(values, index, yes, no):
    x = _pick(values, index)
    return tf.cond(tf.reduce_sum(x) > 0.1, lambda: run(yes, [*values, x]), lambda: run(no, [*values, x]))


def _while(values, count, index, body):
    def step(i, x):
        return i + 1, run(body, [*values, x])

    shapes = (
        tf.TensorShape([]),
        tf.TensorShape([None]),
    )  # an argument's length may be unknown where the variable's is known
    return tf.while_loop(lambda i, x: i < count, step, (tf.constant(0), _pick(values, index)), shape_invariants=shapes)[1]


def _switch(values, index, *branches):
    x = _pick(values, index)
    number = tf.cast(tf.floor(tf.reduce_sum(x) * 2.0), tf.int32)
    return tf.switch_case(number, [lambda branch=branch: run(branch, [*values, x]) for branch in branches])


def _map(values, index, name):
    x = _pick(values, index)
    return tf.map_fn(lambda row: tf.reduce_sum(BINARY[name](x, row * x)), x)


def _scan(values, index, other):
    y = _pick(values, other)
    return tf.scan(lambda total, row: tf.tanh(total * 0.5 + row * tf.reduce_sum(y)), _pick(values, index))


def _array(values, index, other):
    x, y = _pick(values, index), _pick(values, other)
    count = tf.size(x)

    def step(i, array):
        return i + 1, array.write(i, x[i] * tf.reduce_sum(y) + array.read(i))

    array = tf.TensorArray(x.dtype, size=count, element_shape=[], clear_after_read=False).unstack(y)
    return tf.while_loop(lambda i, array: i < count, step, (tf.constant(0), array))[1].stack()


def _call(values, index, body):
    x = _pick(values, index)
    return tf.function(lambda y: run(body, [*values, y]), autograph=False)(x * 0.7)


@tf.custom_gradient
def _clipped(x):
    y = tf.sin(x)
    return x * y, lambda dy: tf.clip_by_value(dy, -0.8, 0.8) * tf.cos(x) * y


def _tape(values, index, body):
    x = tf.identity(_pick(values, index))
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = run(body, [x])
    return tape.gradient(y, x, unconnected_gradients="zero")


STEPS = {
    "unary": lambda values, name, index: UNARY[name](_pick(values, index)),
    "binary": lambda values, name, a, b: BINARY[name](_pick(values, a), _pick(values, b)),
    "cond": _cond,
    "while": _while,
    "switch": _switch,
    "map": _map,
    "scan": _scan,
    "array": _array,
    "call": _call,
    "custom": lambda values, index: _clipped(_pick(values, index)),
    "tape": _tape,
}
