"""What the compiler makes of graphs: fusion, shapes from data, errors, and the same bits on any threads."""

import threading

import numpy as np
import pytest
from native_checks import Guarded

import tapeflow as tf
from compiled import both, check, graph_of, kinds, program_of, specs_of
from tapeflow.base import flags
from tapeflow.compile import pool
from tapeflow.compile.build import Staged
from tapeflow.compile.executable import MOST_PROGRAMS, compile_graph
from tapeflow.compile.frame import Frame
from tapeflow.compile.librarystep import LibraryStep
from tapeflow.compile.steps import Host, Loops

pytestmark = pytest.mark.usefixtures("isa")
rng = np.random.default_rng(7)


def floats(*shape):
    return rng.standard_normal(shape).astype(np.float32)


# Fusion


def test_elementwise_work_is_one_loop():
    program = check(lambda x, y: tf.tanh(x * y + 1.0) - tf.exp(-x), floats(3, 5), floats(5), rtol=1e-6)
    assert kinds(program) == [Loops]
    assert program.plan.arena == 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("count", [1, 3, 33])
def test_zeros_have_the_signs_that_they_have_in_numpy(dtype, count):
    """As in TensorFlow's vectors: the second of two zeros, and no -0 from relu."""
    minus, plus = np.full(count, -0.0, dtype), np.zeros(count, dtype)
    functions = [
        (tf.nn.relu, 0),
        (tf.nn.relu6, 0),
        (lambda x: tf.maximum(x, plus), 0),
        (lambda x: tf.maximum(plus, x), 1),
        (lambda x: tf.minimum(x, plus), 0),
        (lambda x: tf.minimum(plus, x), 1),
        (lambda x: tf.fill([count], dtype(-0.0)) * tf.ones_like(x), 1),
    ]
    for function, sign in functions:
        expected, got, _ = both(graph_of(function, specs_of([minus])), [minus])
        assert np.signbit(got[0]).tolist() == np.signbit(expected[0]).tolist() == [bool(sign)] * count
    check(lambda x: (tf.nn.relu(x), tf.nn.relu6(x)), np.full(count, np.nan, dtype))


def test_softmax_is_one_kernel_of_three_passes():
    program = check(tf.nn.softmax, floats(17, 33), within=8)
    assert kinds(program) == [Loops]
    assert [member.kind for member in program.plan.steps[0].kernel.members].count("reduce") == 2


@pytest.mark.parametrize("dtype", [np.float32, np.int32, np.complex64])
def test_the_sign_of_a_factor_is_the_product_s(dtype):
    """Zeros have their signs, too: those of complex products would be others."""
    values = [np.array([[0.0, -0.0, 2, -3]]), np.array([[0.0], [-0.0], [5], [-7]])]
    x, y = [(v * (1 + 1j) if dtype is np.complex64 else v).astype(dtype) for v in values]
    expected, got, _ = both(graph_of(lambda x, y: ((-x) * y, x * -y, (-x) * -y), specs_of([x, y])), [x, y])
    for one, other in zip(expected, got, strict=True):
        assert one.tobytes() == np.asarray(other).tobytes()


def test_bias_and_activation_join_the_product():
    program = check(lambda x, w, b: tf.nn.relu(x @ w + b), floats(7, 5), floats(5, 33), floats(33), rtol=1e-5)
    assert kinds(program) == [LibraryStep]


def test_an_epilogue_over_a_batch_knows_its_matrix():
    values = floats(2, 3, 5, 7), floats(2, 3, 7, 9), floats(2, 1, 5, 9)
    program = check(lambda x, y, z: (x @ y) * z + tf.tanh(x @ y), *values, rtol=1e-5)
    assert kinds(program) == [LibraryStep]


@pytest.mark.parametrize("shared", [False, True])
def test_heads_are_joined_by_the_product(shared):
    """Its tiles write where the transpose wants them, whether its rows go on through the batch or not."""
    a, b, c = floats(2, 3, 5, 7), floats(7, 17) if shared else floats(2, 3, 7, 17), floats(5, 3, 17)

    def joined(a, b, c):
        return tf.reshape(tf.exp(tf.transpose(a @ b, [0, 2, 1, 3])) * c, [2, 5, 51])

    program = check(joined, a, b, c, rtol=2e-5)
    assert kinds(program) == [LibraryStep]
    assert kinds(check(lambda a, b: (p := a @ b, tf.transpose(p, [1, 2, 0, 3])), a, b, rtol=1e-5)) == [LibraryStep]


def test_a_transposed_stack_of_products_is_written_once():
    def joined(a, b):
        parts = tf.stack([a @ b, tf.exp(a) @ b, a @ tf.exp(b)])
        return tf.reshape(tf.transpose(parts, [1, 3, 0, 2, 4]), [2, 5, 9 * 17])

    found = kinds(check(joined, floats(2, 3, 5, 7), floats(2, 3, 7, 17), rtol=2e-5))
    assert found.count(LibraryStep) == 3
    assert found.count(Loops) == 2  # of the exponentials


@pytest.mark.parametrize("dims", [(2, 3, 5, 17), (3, 3, 5, 17), (5, 5, 5, 5)])
@pytest.mark.parametrize("perm", [(0, 1, 3, 2), (3, 0, 1, 2), (1, 0, 2, 3), (2, 0, 1, 3)])
def test_other_transposes_of_products(dims, perm):
    """The last axis moved, axes of one length, and a value that is read in two orders."""
    a, b = floats(*dims[:3], 7), floats(*dims[:2], 7, dims[3])
    check(lambda a, b: tf.tanh(tf.transpose(a @ b, perm)) - 1.0, a, b, rtol=2e-5)
    order = [1, *[i + (i > 0) for i in perm]]
    check(lambda a, b: tf.transpose(tf.stack([a @ b, tf.square(a @ b)], axis=1), order), a, b, rtol=2e-5)
    if dims == tuple([dims[i] for i in perm]):
        check(lambda a, b: (p := a @ b) + 2.0 * tf.transpose(p, perm), a, b, rtol=2e-5)


def test_products_read_transposed_operands_where_they_are():
    def attention(q, k, v):
        q, k, v = [tf.transpose(tf.reshape(x, [2, 5, 3, 7]), [0, 2, 1, 3]) for x in (q, k, v)]
        return tf.nn.softmax(tf.matmul(q, k, transpose_b=True)) @ v

    program = check(attention, *[floats(2, 5, 21) for _ in range(3)], rtol=1e-5)
    assert kinds(program) == [LibraryStep, Loops, LibraryStep]


def test_a_convolution_takes_bias_and_activation():
    function = lambda x, w, b: tf.nn.relu(tf.nn.conv2d(x, w, 1, "SAME") + b)  # noqa: E731
    assert kinds(check(function, floats(2, 9, 7, 3), floats(3, 3, 3, 5), floats(5), rtol=1e-5)) == [LibraryStep]


@pytest.mark.parametrize("shape", [(3, 5), (17, 33), (2, 4096), (70, 1), (1, 70)])
@pytest.mark.parametrize("axis", [0, 1, None])
def test_sums_of_many_shapes(shape, axis):
    check(
        lambda x: [tf.reduce_sum(x * x, axis), tf.reduce_max(x, axis), tf.reduce_mean(x, axis) + 1.0],
        floats(*shape),
        rtol=1e-5,
    )


@pytest.mark.parametrize("shape", [(4096, 33), (320, 515)])
def test_a_long_reduction_is_cut_in_two(shape):
    program = check(lambda x: tf.reduce_sum(x, 0), floats(*shape), rtol=1e-5)
    assert kinds(program) == [Loops, Loops]


def test_views_are_read_through():
    def function(x):
        y = tf.transpose(x[1:, ::-1])[::2]
        return tf.pad(y * 2.0, [[1, 2], [0, 3]], constant_values=0.5) + 1.0

    assert kinds(check(function, floats(7, 9), within=0)) == [Loops]


# Shapes from data


def test_a_shape_that_depends_on_data_cuts_the_graph():
    function = tf.function(lambda x: tf.reduce_sum(tf.exp(tf.boolean_mask(x, x > 0.0)) * 2.0))
    for count in (5, 7, 5):
        x = tf.constant(floats(count) + 2.0)
        program = program_of(function, x)
        np.testing.assert_allclose(function(x), 2 * np.exp(x.numpy()[x.numpy() > 0]).sum(), rtol=1e-5)
    assert isinstance(program, Staged)


def test_unknown_dimensions_are_compiled_for_each_shape():
    function = tf.function(
        lambda x: tf.reshape(x + 1.0, [tf.shape(x)[0], -1]), input_signature=[tf.TensorSpec([None, 2, 3])]
    )
    for count in (2, 5, 2, 5):
        assert function(tf.zeros([count, 2, 3])).shape == (count, 6)
    assert len(function.get_concrete_function()._native.__self__._programs) == 2


# Errors


def test_a_label_out_of_range_is_named():
    function = lambda x, y: tf.nn.sparse_softmax_cross_entropy_with_logits(y, x)  # noqa: E731
    executable = compile_graph(graph_of(function, [((3, 5), tf.float32), ((3,), tf.int64)]))
    executable.run([floats(3, 5), np.array([0, 1, 4])])
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=r"label value of 7 which is outside the valid range of \[0, 5\)"
    ):
        executable.run([floats(3, 5), np.array([0, 7, 1])])
    executable.run([floats(3, 5), np.array([0, 1, 4])])


@pytest.mark.parametrize("count", [1, 3, 16, 33])
def test_an_integer_division_by_zero_is_an_error(count):
    executable = compile_graph(graph_of(lambda x, y: x // y, [((count,), tf.int32)] * 2))
    x = np.arange(count, dtype=np.int32)
    assert executable.run([x, np.full(count, 2, np.int32)])[0].tolist() == (x // 2).tolist()
    zero = np.ones(count, np.int32)
    zero[-1] = 0
    with pytest.raises(tf.errors.InvalidArgumentError, match="Integer division by zero"):
        executable.run([x, zero])


def test_nothing_fails_where_there_is_nothing():
    """Padding and joining look at no element beyond an array's end."""
    a, b = np.array([6, 7, 8], np.int32), np.array([2, 3, 4], np.int32)
    check(lambda a, b: (tf.pad(a // b, [[1, 2]]) + 1, tf.concat([a // b, b, a % b], 0) * 2), a, b)
    check(lambda a, i: tf.pad(tf.gather(a, i - 1), [[1, 2]]) + 1, a, np.array([1, 3, 2]))
    with pytest.raises(tf.errors.InvalidArgumentError, match="division by zero"):
        graph = graph_of(lambda a, b: tf.pad(a // b, [[1, 2]]) + 1, specs_of([a, b]))
        compile_graph(graph).run([a, b - 3])


def test_shapes_that_do_not_fit_name_the_op_and_the_line():
    function = tf.function(lambda x, y: x + y, input_signature=[tf.TensorSpec([None]), tf.TensorSpec([None])])
    function(tf.zeros([2]), tf.zeros([2]))
    for _ in range(2):
        with pytest.raises(tf.errors.InvalidArgumentError, match="Incompatible shapes") as caught:
            function(tf.zeros([2]), tf.zeros([3]))
        assert any("test_programs.py" in note for note in caught.value.__notes__)


# Threads, effects, words


def layer(x, w):
    h = tf.tanh(x @ w)
    sums = (
        tf.reduce_sum(h, 0),
        tf.reduce_mean(h * h),
        tf.matmul(x, h, transpose_a=True),
        tf.matmul(h, h * h, transpose_a=True),
    )
    return *sums, tf.nn.softmax(h), tf.exp(-x * x)


def recurrent_layer(x, w):
    with tf.GradientTape() as tape:
        tape.watch(w)
        body = lambda i, h: (i + 1, tf.tanh(x[i * 32 : i * 32 + 32, :129] + h @ w[:129]))  # noqa: E731
        _, h = tf.while_loop(lambda i, h: i < 20, body, [0, tf.zeros([32, 129])])
        loss = tf.reduce_sum(tf.square(h))
    return loss, tape.gradient(loss, w)


@pytest.mark.parametrize("function", [layer, recurrent_layer])
def test_bits_do_not_depend_on_threads(function):
    graph = graph_of(function, [((640, 257), tf.float32), ((257, 129), tf.float32)])
    values = [floats(640, 257), floats(257, 129)]
    found = []
    for threads in (1, 2, 4):
        pool.set_thread_count(threads)
        try:
            found.append([x.tobytes() for x in compile_graph(graph).run(values)])
        finally:
            pool.set_thread_count(0)
    assert found[0] == found[1] == found[2]


def test_effects_keep_their_order():
    seen = []
    v = tf.Variable(1.0)

    @tf.function
    def step(x):
        v.assign(x * 2.0)
        tf.py_function(lambda: seen.append(float(v.numpy())), [], [])
        v.assign_add(1.0)
        return v + 0.0

    assert [float(step(tf.constant(x))) for x in (1.0, 2.0, 3.0)] == [3.0, 5.0, 7.0]
    assert seen == [2.0, 4.0, 6.0]


def test_explain_says_what_became_of_each_node():
    function = tf.function(lambda x, w: tf.nn.relu(tf.linalg.expm(x @ w)))
    program_of(function, tf.constant(floats(3, 3)), tf.constant(floats(3, 3)))
    text = function.explain()
    assert "matmul [3, 3] by [3, 3]" in text and "expm on its NumPy kernel" in text and "relu" in text


def test_validate_finds_a_wrong_result(monkeypatch):
    from tapeflow.compile import scalars

    monkeypatch.setitem(scalars.RULES, "square", lambda c, x: x * x * 1.01)
    with flags.using(VALIDATE=1):
        function = tf.function(lambda x: tf.square(x))
        with pytest.raises(AssertionError, match="disagree in output 0"):
            function(tf.constant([1.0, 2.0]))


def test_results_that_are_held_are_not_written_again():
    function = tf.function(lambda x: x + 1.0)
    values = [tf.fill([40_000], float(i)) for i in range(6)]
    results = [function(x) for x in values]
    assert [float(x[0]) for x in results] == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    view = np.asarray(memoryview(results[-1]._value))
    del results
    function(values[0])
    assert view[0] == 6.0


@pytest.mark.parametrize("bad, found", [([np.inf], "Inf"), ([np.nan], "NaN"), ([np.nan, np.inf], "Inf and NaN")])
def test_check_numerics_in_a_kernel(bad, found):
    function = tf.function(lambda x: tf.debugging.check_numerics(x * 2.0, "scaled") + 1.0)
    x = np.ones(37, np.float32)
    assert kinds(program_of(function, tf.constant(x))) == [Loops]
    x[5 : 5 + len(bad)] = bad
    for _ in range(2):
        with pytest.raises(tf.errors.InvalidArgumentError, match=f"scaled : Tensor had {found} values"):
            function(tf.constant(x))


# Memory


@pytest.mark.parametrize("at_end", [True, False])
def test_kernels_stay_within_their_buffers(at_end, monkeypatch):
    """Inputs and results lie next to pages that nobody may touch; one element too far kills the process."""
    kept = []

    def guarded(array):
        kept.append(Guarded(array, at_end))
        return kept[-1].array

    monkeypatch.setattr(Frame, "_new_array", lambda self, out: guarded(np.empty(out.spec.shape, out.spec.dtype.numpy_dtype)))

    def function(x, w, b):
        y = tf.nn.relu(x @ w + b)
        padded = tf.pad(tf.transpose(y)[::2], [[1, 2], [0, 1]])
        return (
            tf.nn.softmax(y),
            tf.reduce_sum(y, 0),
            tf.reduce_max(y, 1),
            padded,
            tf.concat([y, y[:, 1:]], 1),
            x[1:, ::-1] > 0.0,
        )

    for rows, columns in [(3, 5), (17, 33), (70, 130)]:
        values = [floats(rows, columns), floats(columns, columns), floats(columns)]
        graph = graph_of(function, [(x.shape, tf.float32) for x in values])
        compile_graph(graph).run([guarded(x) for x in values])


@pytest.mark.parametrize("strides", [1, 2, 3])
def test_an_epilogue_of_a_strided_gradient_knows_its_pixels(strides):
    def function(w, g, x):
        shape = [2, 7, 8, 3]
        return tf.nn.relu(tf.nn.conv2d_transpose(g, w, shape, strides, "SAME") * x + 1.0)

    size = (2, -(-7 // strides), -(-8 // strides), 5)
    program = check(function, floats(3, 3, 3, 5), floats(*size), floats(2, 7, 8, 3), rtol=1e-5)
    assert kinds(program) == [LibraryStep]


@pytest.mark.parametrize("dtype", [tf.float16, tf.bfloat16])
def test_short_floats_are_native(dtype):
    def function(x, w):
        x, w = tf.cast(x, dtype), tf.cast(w, dtype)
        return tf.nn.softmax(tf.tanh(x @ w) * 2.0), tf.reduce_sum(x * x, 0)

    program = check(function, floats(5, 7), floats(7, 33), rtol=1e-2)
    assert Host not in kinds(program)


def test_several_threads_call_one_function():
    function = tf.function(lambda x: (tf.nn.softmax(x @ x) * tf.exp(-x), tf.reduce_sum(x, 0)))
    values = [tf.constant(floats(64, 64) * 0.1) for _ in range(4)]
    expected = [[y.numpy() for y in function(x)] for x in values for _ in range(2)][1::2]
    wrong = []

    def work(number):
        for _ in range(40):
            found = [y.numpy() for y in function(values[number])]
            if any(not np.array_equal(a, b) for a, b in zip(found, expected[number], strict=True)):
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_programs_of_one_graph_are_bounded():
    function = tf.function(lambda x: tf.exp(x) * 2.0, input_signature=[tf.TensorSpec([None])])
    for count in range(1, 60):
        function(tf.zeros([count]))
    assert len(function.get_concrete_function()._native.__self__._programs) <= MOST_PROGRAMS


def test_gathered_rows_join_a_kernel():
    table, rows = floats(11, 33), np.array([[3, 0, 10], [7, 7, 1]])
    program = check(lambda t, i: tf.tanh(tf.gather(t, i)) * 2.0, table, rows)
    assert kinds(program) == [Loops]
    program = check(
        lambda t, i: tf.reduce_sum(tf.gather(t * 2.0, i, axis=1, batch_dims=1), 1), floats(2, 11), rows, rtol=1e-6
    )
    assert Host not in kinds(program)
    function = tf.function(lambda t, i: tf.gather(t, i) + 1.0)
    for _ in range(2):
        function(tf.constant(table), tf.constant(rows))
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"= 11 is not in \[0, 11\)"):
        function(tf.constant(table), tf.constant(rows + 1))
