"""Eager ops that do much work become native code: the same results but for rounding, errors and gradients as before."""

import os
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tapeflow as tf
from tapeflow.base import flags
from tapeflow.base.log import log
from tapeflow.compile import eager, pool
from tapeflow.core.primitive import PRIMITIVES, P

rng = np.random.default_rng(7)


def normal(*shape, dtype=np.float32):
    return rng.standard_normal(shape).astype(dtype)


CONV = {"strides": (1, 1), "dilations": (1, 1), "padding": "SAME"}
CASES = {
    "matmul": ([normal(5, 7), normal(7, 3)], {}),
    "matmul transposed": ([normal(7, 5), normal(3, 7)], {"transpose_a": True, "transpose_b": True}),
    "matmul large": ([normal(300, 64, dtype=np.float64), normal(64, 200, dtype=np.float64)], {}),
    "conv": ([normal(2, 9, 8, 3), normal(3, 3, 3, 5)], CONV),
    "softmax": ([normal(6, 10)], {"axis": -1}),
    "log_softmax": ([normal(6, 10)], {"axis": -1}),
    "sparse_xent": ([normal(6, 10), rng.integers(0, 10, 6)], {}),
    "dense_xent": ([normal(6, 10), np.full((6, 10), 0.1, np.float32)], {}),
    "max_pool": ([normal(2, 8, 8, 3)], {"ksize": (2, 2), "strides": (2, 2), "dilations": (1, 1), "padding": "VALID"}),
}


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    """Ops become native with their third call, and everything is forgotten afterwards."""
    monkeypatch.setattr(eager, "WORK", 2)
    monkeypatch.setattr(eager, "work_of", lambda op, inputs: 1)
    eager.set_steady(False)
    yield
    eager.set_steady(False)


def natives(name):
    return [found for found in PRIMITIVES[name].hot.known.code.values() if found.__class__ is eager.Native]


def arrays(result):
    return [x.numpy() for x in (result if isinstance(result, tuple) else (result,))]


@pytest.mark.parametrize("case", CASES)
def test_native_results_are_those_of_the_kernel(case):
    name = case.split()[0]
    inputs, attrs = CASES[case]
    tensors = [tf.constant(x) for x in inputs]
    results = [arrays(PRIMITIVES[name](*tensors, **attrs)) for _ in range(4)]
    assert len(natives(name)) == 1
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            assert a.dtype == b.dtype and a.shape == b.shape
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)
    for a, b in zip(results[2], results[3], strict=True):
        assert a.tobytes() == b.tobytes()


def with_extremes(*shape):
    x = normal(*shape)
    x.flat[:5] = [0.0, -0.0, np.inf, -np.inf, np.nan]
    return x


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", eager.LIGHT)
@pytest.mark.filterwarnings("ignore:.* encountered in")
def test_light_ops_have_the_numbers_of_the_kernel(name, dtype):
    op = PRIMITIVES[name]
    inputs = [with_extremes(48, 64).astype(dtype), np.roll(with_extremes(48, 64), 2).astype(dtype)][: len(op.parameters)]
    kinds = [inputs, [inputs[0], inputs[-1][:1]], [inputs[0], inputs[-1][0, 9]]] if len(inputs) == 2 else [inputs]
    for values in kinds:
        tensors = [tf.constant(x) for x in values]
        for _ in range(5):
            np.testing.assert_array_equal(op(*tensors).numpy(), op.kernel(*[x._value for x in tensors]))
    assert len(natives(name)) == len(kinds)


@pytest.mark.parametrize(
    ("name", "attrs"), [("sum", {"axis": (0,)}), ("mean", {"axis": None}), ("sum_to", {"shape": (64,)})]
)
def test_sums_of_large_arrays(name, attrs):
    x = tf.constant(normal(48, 64))
    results = [PRIMITIVES[name](x, **attrs).numpy() for _ in range(5)]
    assert natives(name)
    np.testing.assert_allclose(results[-1], results[0], rtol=1e-5, atol=1e-6)


def test_light_ops_on_small_arrays_ask_nothing_before_an_array_was_large():
    x, y = tf.constant(normal(4, 4)), tf.constant(normal(64, 64))
    for _ in range(5):
        x + x
    assert P.add.hot is None
    for _ in range(5):
        y + y
        x + x
        y + tf.constant(normal(64))
    assert {key[0] for key in P.add.hot.known.code} == {((64, 64), (64, 64)), ((64, 64), (64,))}


@pytest.mark.parametrize("how", ["assign_add", "assign_sub"])
def test_large_variables_are_updated_in_place(how):
    start, delta = normal(48, 64), normal(48, 64)
    v, same = tf.Variable(start), tf.Variable(start)
    twice = start.copy()
    for number in range(8):
        before = v.value() if number == 5 else None  # a tensor shares the buffer: it keeps its value
        kept = None if before is None else before.numpy()
        address = v._tensor._value.ctypes.data
        getattr(v, how)(delta)
        assert (v._tensor._value.ctypes.data == address) == (before is None)
        twice = twice + delta if how == "assign_add" else twice - delta
        np.testing.assert_array_equal(v.numpy(), twice)
        if before is not None:
            np.testing.assert_array_equal(before.numpy(), kept)
    assert any(callable(code) for code in tf.Variable.hot_update.known.code.values())
    np.testing.assert_array_equal(same.numpy(), start)


def test_an_update_is_another_reading_to_a_tape():
    v = tf.Variable(normal(48, 64))
    one = tf.ones([48, 64])
    for _ in range(6):
        before = v.numpy()
        with tf.GradientTape() as tape:
            y = tf.reduce_sum(v * v)
            v.assign_add(one)
            z = y + tf.reduce_sum(v)
        np.testing.assert_allclose(tape.gradient(z, v).numpy(), 2 * before + 1, rtol=1e-6)


def test_the_same_tensor_on_both_sides_of_an_update():
    v = tf.Variable(normal(48, 64))
    for _ in range(5):
        expected = v.numpy() * 2
        v.assign_add(v)
        np.testing.assert_array_equal(v.numpy(), expected)


def test_native_ops_make_the_pool():
    x, y = tf.constant(normal(300, 64)), tf.constant(normal(64, 200))
    for _ in range(5):
        x @ y
    pool.set_thread_count(2)
    assert pool.settings.stale.value
    x @ y
    assert natives("matmul") and not pool.settings.stale.value
    pool.set_thread_count(0)


def test_results_of_earlier_calls_stay():
    x, y = tf.constant(normal(300, 64)), tf.constant(normal(64, 200))
    results = [x @ y for _ in range(6)]
    before = [r.numpy() for r in results]
    others = [(x + 1.0) @ y for _ in range(6)]
    for r, b in zip(results, before, strict=True):
        assert r.numpy().tobytes() == b.tobytes()
    assert not np.allclose(others[0].numpy(), before[0])


def test_gradients_flow_through_native_ops():
    w = tf.Variable(normal(7, 3))
    x, labels = tf.constant(normal(5, 7)), tf.constant([0, 2, 1, 1, 0])
    found = []
    for _ in range(5):
        with tf.GradientTape(persistent=True) as outer:
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=x @ w))
            g = tape.gradient(loss, w)
            square = tf.reduce_sum(g * g)
        found.append((g.numpy(), outer.gradient(square, w).numpy()))
    assert natives("matmul") and natives("sparse_xent")
    for first, second in found[1:]:
        np.testing.assert_allclose(first, found[0][0], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(second, found[0][1], rtol=1e-4, atol=1e-5)


def test_errors_are_the_kernels():
    logits = tf.constant(normal(3, 4))
    messages = []
    for label in (0, 0, 0, 0, 9):
        try:
            tf.nn.sparse_softmax_cross_entropy_with_logits(labels=tf.constant([1, 2, label]), logits=logits)
        except tf.errors.InvalidArgumentError as error:
            messages.append(str(error))
    assert natives("sparse_xent") and len(messages) == 1 and "label value of 9" in messages[0]
    for _ in range(5):
        with pytest.raises(tf.errors.InvalidArgumentError, match="Matrix size-incompatible"):
            tf.constant(normal(2, 3)) @ tf.constant(normal(2, 3))
    assert tf.nn.sparse_softmax_cross_entropy_with_logits(labels=[1, 2, 0], logits=logits).shape == (3,)


def test_a_shape_that_cannot_be_compiled_stays_on_its_kernel(monkeypatch, caplog):
    def broken(*_):
        raise RuntimeError("no code today")

    monkeypatch.delattr(log, "warning")  # `tests/conftest.py` lets nobody say it
    monkeypatch.setattr(eager, "compiled", broken)
    x = tf.constant(normal(4, 4))
    assert len({(x @ x).numpy().tobytes() for _ in range(5)}) == 1
    assert caplog.text.count("no code today") == 1


def test_an_op_without_native_code_stays_on_its_kernel():
    x = tf.constant(normal(0, 4))
    for _ in range(5):
        assert (x @ tf.ones([4, 2])).shape == (0, 2)
    assert None in P.matmul.hot.known.code.values() and not natives("matmul")


def test_determinism_keeps_every_op_on_its_kernel():
    tf.config.experimental.enable_op_determinism()
    x = tf.constant(normal(40, 50))
    assert len({tf.matmul(x, x, transpose_b=True).numpy().tobytes() for _ in range(6)}) == 1
    assert P.matmul.hot is None


def test_ops_stay_on_their_kernels_without_the_compiler():
    x = tf.constant(normal(4, 4))
    with flags.using(COMPILE=0):
        for _ in range(5):
            x @ x
    assert not natives("matmul")


def test_the_shapes_that_are_known_are_bounded():
    for n in range(1, 2 * eager.MOST):
        tf.ones([n, 2]) @ tf.ones([2, 3])
    assert len(P.matmul.hot.known.code) <= eager.MOST


def test_threads_share_native_ops():
    x, y = tf.constant(normal(96, 80)), tf.constant(normal(80, 200))
    expected = x.numpy() @ y.numpy()
    wrong = []

    def work():
        for _ in range(200):
            found = (x @ y).numpy()
            if not np.allclose(found, expected, rtol=1e-4, atol=1e-4):
                wrong.append(found)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert natives("matmul") and not wrong


def test_traced_and_batched_ops_are_none_of_its_business():
    x = tf.constant(normal(4, 3, 3))
    found = [tf.vectorized_map(lambda m: m @ m, x).numpy() for _ in range(5)]
    np.testing.assert_allclose(found[0], found[-1], rtol=1e-5)
    traced = tf.function(lambda m: tf.nn.softmax(m @ m))
    np.testing.assert_allclose(traced(x).numpy(), tf.nn.softmax(x @ x).numpy(), rtol=1e-5, atol=1e-6)


@given(st.tuples(*[st.integers(0, 9)] * 3), st.booleans(), st.booleans(), st.sampled_from([1, -1, 2]))
@settings(max_examples=25, deadline=None)
def test_any_sizes_and_layouts(sizes, transpose_a, transpose_b, step):
    """Operands that are views, and operands without elements."""
    m, k, n = sizes
    a = tf.constant(normal(*((2 * k, m) if transpose_a else (2 * m, k))))[::step][: k if transpose_a else m]
    b = tf.transpose(tf.constant(normal(*((k, n) if transpose_b else (n, k)))))
    expected = (a.numpy().T if transpose_a else a.numpy()) @ (b.numpy().T if transpose_b else b.numpy())
    for _ in range(4):
        found = tf.matmul(a, b, transpose_a=transpose_a, transpose_b=transpose_b)
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_native_ops_work_in_a_forked_child():
    x, y = tf.constant(normal(96, 80)), tf.constant(normal(80, 200))
    for _ in range(5):
        expected = (x @ y).numpy()
    assert natives("matmul")
    child = os.fork()
    if not child:
        same = (x @ y).numpy().tobytes() == expected.tobytes()
        os._exit(0 if same and not pool.settings.stale.value else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_examples_of_a_map_that_has_ended_are_refused_by_light_ops_too():
    kept, x = [], tf.constant(normal(64, 64))
    for _ in range(5):
        x + x
    tf.vectorized_map(lambda row: kept.append(row) or row, x)
    assert P.add.hot is not None
    with pytest.raises(TypeError, match="out of scope"):
        kept[0] + 1.0
