"""Random programs of 5 to 60 ops, with their gradients: compiled, they are what the NumPy kernels compute but for rounding."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import tapeflow as tf
from compiled import configured, graph_of, within_rounding

UNARY = [
    tf.abs,
    tf.exp,
    tf.tanh,
    tf.sin,
    tf.nn.relu,
    tf.nn.sigmoid,
    tf.square,
    lambda x: tf.sqrt(tf.abs(x) + 0.1),
    lambda x: tf.math.log(x * x + 0.5),
    lambda x: -x,
    lambda x: tf.reverse(x, [x.shape.rank - 1]),
    lambda x: tf.nn.softmax(x),
    lambda x: tf.reduce_max(x, axis=-1, keepdims=True) + x,
    lambda x: x - tf.reduce_mean(x, axis=0, keepdims=True),
    lambda x: tf.transpose(tf.transpose(x) * 2.0),
    lambda x: tf.roll(x, 1, 0),
    lambda x: tf.concat([x[1:], x[:1] * 0.5], 0),
    lambda x: tf.reshape(tf.reshape(x, [-1]) + 1.0, x.shape),
    lambda x: tf.pad(x[:, 1:], [[0, 0], [1, 0]], constant_values=0.5),
    lambda x: tf.cumsum(x, axis=1) * 0.1,
    lambda x: tf.matmul(x, x, transpose_b=True)[:, : x.shape[1]] * 0.1 if x.shape[0] >= x.shape[1] else x,
    lambda x: tf.where(x > 0.0, x, 0.1 * x),
    lambda x: tf.clip_by_value(x, -1.5, 1.5),
    lambda x: tf.stack(tf.unstack(x, axis=1), axis=1),
    lambda x: tf.gather(x, [1, 0], axis=0)[:1] + x,
    lambda x: tf.math.cumsum(tf.one_hot(tf.argmax(x, axis=1), x.shape[1], dtype=x.dtype), axis=1) + x,
]
BINARY = [
    lambda x, y: x + y,
    lambda x, y: x - y,
    lambda x, y: x * y,
    lambda x, y: x / (tf.abs(y) + 1.0),
    tf.maximum,
    tf.minimum,
    lambda x, y: x + tf.reduce_sum(y, axis=0),
    lambda x, y: x * tf.reduce_mean(y, axis=1, keepdims=True),
    lambda x, y: tf.where(x > y, x, y * 0.5),
    lambda x, y: tf.math.add_n([x, y, x]),
]


def inputs_of(program, dtype):
    shape, steps = program
    rng = np.random.default_rng(len(steps))
    return [rng.standard_normal(shape).astype(dtype.as_numpy_dtype) for _ in range(2)]


@st.composite
def programs(draw):
    """(shape, a list of steps): each step is an op with the numbers of the values that it takes."""
    shape = draw(st.tuples(st.sampled_from([2, 3, 5, 17]), st.sampled_from([2, 3, 8, 33])))
    steps = []
    for number in range(draw(st.integers(5, 60))):
        earlier = st.integers(max(0, number - 6), number + 1)
        if draw(st.booleans()):
            steps.append((draw(st.sampled_from(UNARY)), (draw(earlier),)))
        else:
            steps.append((draw(st.sampled_from(BINARY)), (draw(earlier), draw(earlier))))
    return shape, steps


def run(steps, x, y):
    values = [x, y]
    for op, which in steps:
        result = op(*[values[i] for i in which])
        values.append(result / (1.0 + tf.reduce_max(tf.abs(tf.stop_gradient(result)))))  # nothing grows without bound
    return values


@configured(30)
@given(programs(), st.sampled_from([tf.float32, tf.float64]))
def test_values(program, dtype):
    shape, steps = program
    graph = graph_of(lambda x, y: run(steps, x, y)[-5:], [(shape, dtype)] * 2)
    within_rounding(graph, inputs_of(program, dtype))


@configured(20)
@given(programs(), st.sampled_from([tf.float32, tf.float64]))
def test_gradients(program, dtype):
    shape, steps = program

    def function(x, y):
        with tf.GradientTape() as tape:
            tape.watch([x, y])
            loss = tf.reduce_sum(run(steps, x, y)[-1])
        return [loss, *tape.gradient(loss, [x, y], unconnected_gradients="zero")]

    within_rounding(graph_of(function, [(shape, dtype)] * 2), inputs_of(program, dtype))
