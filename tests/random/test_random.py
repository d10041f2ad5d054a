"""`tf.random`: the numbers are TensorFlow's own (literals are what TensorFlow 2.21 prints), and so are the errors."""

import numpy as np
import pytest

import tapeflow as tf
from tapeflow.core.graph import Graph
from tapeflow.core.primitive import P
from tapeflow.core.state import tracing
from tapeflow.ops.random import numpy_seed


def close(x, expected, **options):
    np.testing.assert_allclose(np.asarray(x), expected, rtol=1e-6, **options)


@pytest.fixture(autouse=True)
def no_seed():
    yield
    tf.random.set_seed(None)


# Ops with a state of their own


def test_eager_ops_follow_the_global_seed():
    tf.random.set_seed(np.int64(5))
    close(tf.random.uniform([2]), [0.6263931, 0.5298432])
    tf.random.set_seed(-5)
    close(tf.random.uniform([2]), [0.5703093, 0.9237962])
    close(tf.random.uniform([2], seed=1.5), [0.5681653, 0.08862221])
    close(tf.random.uniform([2], seed=-3), [0.7198179, 0.03758264])
    close(tf.random.uniform([2], seed=tf.constant(3)), [0.15249932, 0.79672253])
    close(tf.random.uniform([2], seed=2**40), [0.89080906, 0.3585571])
    tf.random.set_seed(tf.constant(3))
    close(tf.random.uniform([2]), [0.13366318, 0.5678531])


def test_an_op_seed_makes_a_sequence_that_set_seed_starts_again():
    tf.random.set_seed(5)
    first = [tf.random.normal([3], seed=1).numpy().tolist() for _ in range(2)]
    assert first[0] != first[1]
    tf.random.set_seed(5)
    assert [tf.random.normal([3], seed=1).numpy().tolist() for _ in range(2)] == first
    tf.random.set_seed(5)
    close(tf.random.gamma([3], 2.5, seed=1), [0.53191674, 2.816286, 1.2844573])


def test_traced_ops_have_streams_of_their_own():
    tf.random.set_seed(5)
    graph = Graph("draws")
    with tracing(graph):
        outs = [tf.random.uniform([2]), tf.random.normal([2], seed=3), tf.random.shuffle([1, 2, 3])]
    first = [np.asarray(x) for x in graph.run([], outs)]
    close(first[0], [0.18286479, 0.68998957])
    close(first[1], [-1.4616988, -0.5901872])
    assert first[2].tolist() == [1, 3, 2]
    second = graph.run([], outs)
    close(second[0], [0.9363872, 0.651327])
    close(second[1], [-1.1615473, -0.1216567])
    assert second[2].numpy().tolist() == [2, 3, 1]
    tf.random.set_seed(5)
    close(graph.run([], outs)[0], first[0])


def test_shapes_may_be_unknown_while_tracing():
    tf.random.set_seed(7)
    eager = [
        tf.random.normal([2, 3], seed=1),
        tf.random.gamma([4], [1.0, 2.0], seed=1),
        tf.random.poisson([4], [1.0, 9.0], seed=1),
    ]
    tf.random.set_seed(7)
    graph = Graph("draws")
    with tracing(graph):
        x = graph.placeholder((None, None), tf.float32)
        rates = graph.placeholder((None,), tf.float32)
        length = graph.placeholder((None,), tf.int32)
        outs = [
            tf.random.normal(tf.shape(x), seed=1),
            tf.random.gamma(length, rates, seed=1),
            tf.random.poisson([4], rates, seed=1),
        ]
        more = [
            tf.random.stateless_normal(tf.shape(x), [1, 2]),
            tf.random.categorical(x, tf.shape(x)[0]),
            tf.random.shuffle(x),
            tf.random.Generator.from_state(tf.Variable([1, 2, 3], dtype=tf.int64), "philox").normal(tf.shape(x)),
        ]
    assert [out.shape.as_list() for out in outs[:1] + more[:2]] == [[None, None], [None, None], [None, None]]
    feeds = [np.zeros((2, 3), np.float32), np.array([1, 2], np.float32), np.array([4], np.int32)]
    for a, b in zip(graph.run(feeds, outs + more), [*eager[:1], None, None, *[None] * 4], strict=True):
        if b is not None:
            close(a, b)
    feeds[1] = np.array([1, 9], np.float32)
    results = graph.run(feeds, outs + more)
    assert [r.shape.as_list() for r in results] == [[2, 3], [4, 2], [4, 2], [2, 3], [2, 2], [2, 3], [2, 3]]
    close(results[3], tf.random.stateless_normal([2, 3], [1, 2]))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_floats_are_within_their_range(dtype):
    x = tf.random.uniform([1000], -1, 3, dtype=dtype)
    assert x.dtype.name == dtype
    y = np.asarray(x).astype(np.float64)
    assert y.min() >= -1 and y.max() <= 3 and abs(y.mean() - 1) < 0.3
    z = np.asarray(tf.random.truncated_normal([1000], 1.0, 2.0, dtype)).astype(np.float64)
    assert np.all(np.abs(z - 1) <= 4)


def test_categorical_and_shuffle():
    assert tf.random.categorical([[0.0, -np.inf], [-np.inf, 0.0]], 4).numpy().tolist() == [[0] * 4, [1] * 4]
    assert tf.random.categorical(tf.zeros([2, 3]), 0, dtype=tf.int32).dtype is tf.int32
    value = tf.random.shuffle([[b"a", b"b"], [b"c", b"d"], [b"e", b"f"]])
    assert sorted(value.numpy().tolist()) == [[b"a", b"b"], [b"c", b"d"], [b"e", b"f"]]
    assert tf.random.shuffle(5).numpy() == 5


# Stateless ops


def test_stateless_ops_give_tensorflows_bits():
    seed = (1, 2)
    assert tf.random.stateless_uniform([2], seed, None, None, tf.int32).numpy().tolist() == [1105988140, 1738052849]
    close(tf.random.stateless_normal([2], seed, mean=[1.0, 2.0]), [1.5441101, 2.2073803])
    close(
        tf.random.stateless_gamma([3, 2], seed, [0.5, 1.5]),
        [[0.06695361, 1.636943], [0.62823546, 1.6748675], [0.18136732, 1.0241046]],
    )
    assert tf.random.stateless_poisson([3, 2], seed, [0.5, 1.5]).numpy().tolist() == [[3, 3], [2, 0], [1, 6]]
    assert tf.random.stateless_binomial([2], seed, [10, 20], 0.8, tf.float64).numpy().tolist() == [7.0, 14.0]
    assert tf.random.fold_in([1, 2], tf.constant(3, tf.int64)).numpy().tolist() == [7464880146280614444, 3]
    assert tf.random.experimental.index_shuffle(2, [5, 9], 3).numpy() == 1
    assert tf.random_index_shuffle(1, [5, 9, 7], 3).numpy() == 3


def test_vectorized_map_draws_as_a_loop_over_seeds():
    seeds = tf.random.split([3, 4], 5)
    together = tf.vectorized_map(lambda seed: tf.random.stateless_normal([2, 3], seed), seeds)
    close(together, np.stack([tf.random.stateless_normal([2, 3], seeds[i]).numpy() for i in range(5)]))
    different = tf.vectorized_map(lambda x: tf.random.uniform([2]) + x, tf.zeros([4]))
    assert len(set(np.asarray(different).ravel().tolist())) == 8


# Gradients


def test_gradients_reach_the_parameters():
    mean, stddev = tf.constant(1.0), tf.constant([2.0, 3.0])
    with tf.GradientTape() as tape:
        tape.watch([mean, stddev])
        y = tf.random.stateless_normal([3, 2], [1, 2], mean, stddev)
    z = tf.random.stateless_normal([3, 2], [1, 2])
    grads = tape.gradient(y, [mean, stddev])
    close(grads[0], 6.0)
    close(grads[1], np.sum(np.asarray(z), 0))


def test_gamma_gradients_are_tensorflows():
    alpha = tf.constant([1.0, 2.0])
    with tf.GradientTape() as tape:
        tape.watch(alpha)
        y = tf.random.stateless_gamma([3, 2], (1, 2), alpha)
    np.testing.assert_allclose(tape.gradient(y, alpha), [5.3025694, 3.2333708], rtol=1e-5)


def test_gamma_slope_keeps_the_distribution_function():
    alpha, x, step = np.array([0.3, 2.0, 20.0]), np.array([0.1, 3.0, 18.0]), 1e-5
    slope = P.random_gamma_grad(tf.constant(alpha), tf.constant(x)).numpy()
    moved = tf.math.igamma(alpha + step, x + step * slope) - tf.math.igamma(alpha - step, x - step * slope)
    np.testing.assert_allclose(moved, 0, atol=1e-10)


def test_a_second_derivative_of_gamma_samples_is_refused():
    alpha = tf.constant([1.0, 2.0])
    with tf.GradientTape() as outer:
        outer.watch(alpha)
        with tf.GradientTape() as tape:
            tape.watch(alpha)
            y = tf.random.stateless_gamma([3, 2], (1, 2), alpha)
        slope = tape.gradient(y, alpha)
    with pytest.raises(LookupError, match="gradient registry has no entry for: RandomGammaGrad"):
        outer.gradient(slope, alpha)


def test_truncated_normal_gradients_are_tensorflows():
    parameters = [tf.constant(v) for v in (0.0, 1.0, -1.0, 2.0)]
    with tf.GradientTape() as tape:
        tape.watch(parameters)
        y = tf.random.stateless_parameterized_truncated_normal([3], (1, 2), *parameters)
    close(y, [0.5441101, 0.20738031, 0.07356432])
    np.testing.assert_allclose(tape.gradient(y, parameters), [3.0, 0.82505476, 0.86424541, 0.23806708], rtol=1e-5)


# Generators


def test_a_generator_counts_as_tensorflow_does():
    g = tf.random.Generator.from_seed(5)
    assert g.skip(3).numpy().tolist() == [5, 0, 0]
    close(g.normal([2]), [-1.6569936, 0.98407227])
    assert g.state.numpy().tolist() == [1285, 0, 0]
    assert g.uniform([2], maxval=5, dtype=tf.int32).numpy().tolist() == [2, 4]
    assert g.uniform([2], minval=None, dtype=tf.int32).numpy().tolist() == [74710465, -1748608976]
    assert g.uniform_full_int([2]).numpy().tolist() == [3758931766889265342, 4758500478582974706]
    with pytest.raises(tf.errors.InvalidArgumentError, match="int8 is not in the list of allowed values"):
        g.uniform_full_int([2], "int8")  # moves the state on, as there
    close(g.truncated_normal([2], 1.0, 2.0), [-0.1562208, 0.14202088])
    assert g.binomial([2], [10.0, 20.0], [0.8]).numpy().tolist() == [9, 14]
    assert g.binomial([2], 10.0, 0.8).numpy().tolist() == [8, 9]
    with pytest.raises(tf.errors.InvalidArgumentError, match="int32 is not in the list of allowed values"):
        g.binomial([2], 10, 0.8)
    assert g.state.numpy().tolist() == [170245, 0, 0]
    assert g.make_seeds(2).numpy().tolist() == [[4232873643896167733, 2563968676085571903], [0, 0]]
    assert [x.state.numpy().tolist() for x in g.split(2)] == [
        [0, 0, -8196345637105385867],
        [0, 0, -1015236296090712810],
    ]
    assert g.state.numpy().tolist() == [171269, 0, 0]


def test_constructors_and_resets():
    make = tf.random.Generator
    variable = tf.Variable([1, 2, 3], dtype=tf.int64)
    g = make.from_state(variable, alg="philox")
    assert g.state is variable and g.algorithm == tf.random.Algorithm.PHILOX.value and not make(copy_from=g).state.trainable
    g.reset_from_key_counter(1, [2, 3])
    assert variable.numpy().tolist() == [2, 3, 1] and g.key.numpy() == 1
    g.reset([2**64 - 1, 0, 7])
    assert variable.numpy().tolist() == [-1, 0, 7]
    g.reset_from_seed([1, 2])
    assert variable.numpy().tolist() == [0, 1, 2]
    assert make.from_seed(5, "threefry").state.numpy().tolist() == [5, 0]
    assert make.from_key_counter(1, [2, 3], 1).state.numpy().tolist() == [2, 3, 1]
    a, b = (make.from_non_deterministic_state().state.numpy().tolist() for _ in range(2))
    assert a != b
    tf.random.set_global_generator(g)
    assert tf.random.get_global_generator() is g


# Errors, each TensorFlow's


@pytest.mark.parametrize(
    "call, error, text",
    [
        (lambda: tf.random.uniform([-1]), "InvalidArgumentError", "Dimension -1 must be >= 0"),
        (lambda: tf.random.uniform(3), "InvalidArgumentError", "shape must be a vector of {int32,int64}, got shape"),
        (lambda: tf.random.uniform([2], dtype="int32"), "ValueError", "Must specify maxval for integer dtype tf.int32"),
        (
            lambda: tf.random.uniform([2], dtype="uint8"),
            "ValueError",
            "Argument `dtype` got invalid value <dtype: 'uint8'>",
        ),
        (lambda: tf.random.uniform([2], 5, 5, "int32"), "InvalidArgumentError", "Need minval < maxval, got 5 >= 5"),
        (lambda: tf.random.uniform([2], [5, 6], 7, "int32"), "InvalidArgumentError", "minval must be 0-D, got shape"),
        (lambda: tf.random.normal([2], dtype="int32"), "TypeError", "Cannot convert 0.0 to EagerTensor of dtype int32"),
        (lambda: tf.random.normal([3], mean=[1.0, 2.0]), "InvalidArgumentError", "Incompatible shapes"),
        (lambda: tf.random.gamma([2], 1.0, dtype=tf.bfloat16), "ValueError", "not inexact"),
        (lambda: tf.random.poisson([2], "a"), "InvalidArgumentError", "string is not in the list of allowed values"),
        (lambda: tf.random.categorical([1.0, 2.0], 5), "InvalidArgumentError", "logits should be a matrix, got shape"),
        (
            lambda: tf.random.categorical([[1.0]], -1),
            "InvalidArgumentError",
            "num_samples should be non-negative, got -1",
        ),
        (lambda: tf.random.categorical([[1.0]], 1, tf.float32), "ValueError", "Accepted dtypes are"),
        (lambda: tf.random.stateless_uniform([2], [1]), "InvalidArgumentError", "seed must have shape"),
        (lambda: tf.random.stateless_uniform([2], [1.0, 2.0]), "InvalidArgumentError", "attr 'Tseed' of float is not"),
        (
            lambda: tf.random.stateless_uniform([2], (1, 2), None, 5, "int32"),
            "ValueError",
            "must be both None or not None",
        ),
        (
            lambda: tf.random.stateless_uniform([2], (1, 2), alg="x"),
            "ValueError",
            "Argument `alg` got unsupported value x",
        ),
        (
            lambda: tf.random.stateless_gamma([3], (1, 2), [1.0, 2.0]),
            "InvalidArgumentError",
            "must end with broadcasted shape",
        ),
        (
            lambda: tf.random.experimental.index_shuffle(7, [5, 9], 3),
            "InvalidArgumentError",
            "max_index must be >= index, but 3 < 7",
        ),
        (lambda: tf.random.Generator.from_state([1, 2], 1), "ValueError", "Shapes (2,) and [3] are incompatible"),
        (lambda: tf.random.Generator.from_seed(1).normal([-1]), "InvalidArgumentError", "Dimension -1 must be >= 0"),
    ],
)
def test_errors(call, error, text):
    kind = getattr(tf.errors, error, None) or {"ValueError": ValueError, "TypeError": TypeError}[error]
    with pytest.raises(kind) as found:
        call()
    assert text in str(found.value)


def test_numpy_seed_follows_set_seed():
    tf.random.set_seed(3)
    first = [numpy_seed(), numpy_seed(), numpy_seed(4)]
    tf.random.set_seed(3)
    assert [numpy_seed(), numpy_seed(), numpy_seed(4)] == first and len(set(first)) == 3
    tf.random.set_seed(None)
    assert numpy_seed() != numpy_seed() and numpy_seed(4) == numpy_seed(4)


def test_shuffled_datasets_follow_set_seed():
    def order():
        return [int(x) for x in tf.data.Dataset.range(20).shuffle(20)]

    tf.random.set_seed(1)
    first = [order(), order()]
    tf.random.set_seed(1)
    assert [order(), order()] == first and first[0] != first[1]
