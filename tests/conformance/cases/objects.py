"""TensorShape, variables, tapes and IndexedSlices: short programs."""

from calls import NUMBERS, WIDE, Case, array, pick, program, spread
from hypothesis import strategies as st

SHAPES = ["None", "[]", "[2, 3]", "[None, 3]", "[2, None]", "[1]", "3", "(2, 3)", "[2, 3, 4]", "tf.TensorShape([2])",
          "[0, 2]", "[-1]", "['a']",
          "[1.5]", "tf.constant([2, 3])", "'ab'", "[None]", "[tf.constant(2)]", "np.array([2, 3])", "[[1]]", "2.0",
          "{}"]  # fmt: skip
SHAPE_STEPS = ["s", "repr(s)", "str(s)", "s.rank", "s.ndims", "len(s)", "s.as_list()", "list(s)", "s[0]", "s[-1]",
               "s[1:]", "s[:1]", "s.num_elements()",
               "s.is_fully_defined()", "bool(s)", "s == t", "s != t", "s + t", "t + s", "s.merge_with(t)",
               "s.concatenate(t)", "s.is_compatible_with(t)",
               "s.assert_is_compatible_with(t)", "s.with_rank(2)", "s.with_rank_at_least(1)",
               "s.with_rank_at_most(1)", "s.assert_has_rank(2)",
               "s.assert_same_rank(t)", "s.most_specific_compatible_shape(t)", "s.is_subtype_of(t)", "s.dims",
               "hash(s) == hash(s)", "s + [1]",
               "[1] + s", "s == [2, 3]", "s == (2, 3)", "s[5]", "s[::2]", "s[::-1]",
               "tf.broadcast_static_shape(s, t)", "s < t",
               "s.most_specific_common_supertype([t])", "tf.zeros(s)", "tf.convert_to_tensor(s)", "tf.TensorSpec(s)",
               "repr(tf.TensorSpec(s, tf.int32))",
               "tuple(s)", "2 in s", "s * 2", "s['a']", "s[None]", "s.assert_is_fully_defined()",
               "tf.broadcast_dynamic_shape([2, 1], [3])"]  # fmt: skip


def tensor_shape(draw):
    return program(
        f"s = tf.TensorShape({pick(draw, *SHAPES)})\nt = tf.TensorShape({pick(draw, *SHAPES)})\n"
        f"result = {pick(draw, *SHAPE_STEPS)}"
    )


DIMENSIONS = ["d + 1", "d * e", "d // 2", "d % 2", "d == 3", "d < e", "int(d)", "repr(d)", "d.value",
              "d.merge_with(e)", "d.is_compatible_with(e)", "1 - d",
              "d - e", "3 // d", "str(d)", "d != e", "d >= 2", "d / 2", "hash(d) == hash(d)", "d.__index__()",
              "d == None"]  # fmt: skip


def dimension(draw):
    sizes = "None", "2", "3", "0", "-1", "1.5", "'a'"
    lines = [f"{name} = tf.compat.v1.Dimension({pick(draw, *sizes)})" for name in "de"]
    return program("\n".join([*lines, f"result = {pick(draw, *DIMENSIONS)}"]))


STEPS = ["v.assign(x)", "v.assign_add(x)", "v.assign_sub(x)", "v.assign(v + x)", "v.scatter_update(s)",
         "v.scatter_add(s)", "v.scatter_sub(s)",
         "v.scatter_mul(s)", "v.scatter_div(s)", "v.scatter_max(s)", "v.scatter_min(s)", "v.batch_scatter_update(s)",
         "v.scatter_nd_update([[0], [2]], x[:2])", "v.scatter_nd_add([[0], [2]], x[:2])",
         "v.scatter_nd_sub([[1], [1]], x[:2])", "v.assign(1.0)",
         "v.assign([1.0])", "v.assign('a')", "v.assign(None)", "v.assign(tf.zeros([9]))", "v[0].assign(x[1])",
         "v[1:].assign(x[1:])", "v.assign_add(1)",
         "v[:, 0].assign(x[:, 1])", "v.sparse_read([0, 2])", "v.gather_nd([[0, 1]])", "v.scatter_add(1)",
         "v.scatter_nd_update([[9]], x[:1])",
         "v.scatter_update(tf.IndexedSlices(x[:1], tf.constant([9])))", "v.assign_add(tf.zeros([9]))",
         "v.assign(tf.cast(x, tf.int8))", "v[9].assign(x[0])"]  # fmt: skip
READS = ["v", "v.value()", "v.read_value()", "v + 1", "v.numpy()", "v.dtype", "v.shape", "v.name", "v.trainable",
         "tf.reduce_sum(v)", "v[0]", "v * x",
         "len(v)", "v.get_shape()", "repr(v)", "str(v)", "v == x", "v.device", "v.constraint", "tf.identity(v)",
         "v.synchronization.name", "bool(v)", "v.initialized_value()",
         "hash(v)", "v.ref() == v.ref()", "-v", "abs(v)", "x - v", "v.is_initialized()", "v.assign(x) is v",
         "v.eval()", "iter(v)", "v.handle is None", "v @ x"]  # fmt: skip


def variable(draw):
    dtype = pick(draw, *NUMBERS, "string", "bool")
    v, x = (array(draw, dtype, (3, 2), special=False) for _ in "ab")
    v.kind = "variable"
    lines = ["s = tf.IndexedSlices(x[:2], tf.constant([2, 0]))", "result = []"]
    lines += [f"result.append({pick(draw, *STEPS)})" for _ in range(draw(st.integers(0, 3)))]
    return program("\n".join([*lines, f"result.append({pick(draw, *READS)})"]), v=v, x=x)


def new_variable(draw):
    options = pick(draw, "", "trainable=False", "name='w'", "shape=[None, 2]", "shape=[3]", "dtype=tf.float64",
                   "shape=tf.TensorShape(None)", "validate_shape=False", "constraint=1", "constraint=lambda t: t",
                   "trainable=None", "dtype=tf.int32", "aggregation=9")  # fmt: skip
    value = pick(
        draw, "x", "lambda: x", "None", "[1, 2]", "'a'", "1.5", "np.ones([2, 2])", "tf.Variable(x)", "[[1], [2, 3]]", "True"
    )
    then = pick(
        draw,
        "v",
        "v.assign([[1, 2]])",
        "v.trainable",
        "v.name",
        "v.shape",
        "v.dtype",
        "v.assign(tf.zeros([5, 2]))",
        "repr(v)",
    )
    return program(f"v = tf.Variable({value}, {options})\nresult = {then}", x=array(draw, "float32", (2, 2), special=False))


BODIES = ["x * x", "tf.reduce_sum(x * w)", "x", "tf.stop_gradient(x) * x", "tf.cast(x, tf.int32)", "tf.argmax(x)",
          "x + v", "v * v", "tf.gather(v, [0, 0, 1])", "w",
          "[x * x, x + w]", "tf.cast(x, tf.float64) * 2", "tf.gather(x, [1, 1])", "tf.sin(x) * v[0]",
          "{'a': x, 'b': w}", "tf.constant(1.0)", "[]", "None",
          "tf.nn.embedding_lookup(v, [1, 0])", "tf.round(x)", "x[0] * x[1]", "tf.maximum(x, w)", "tf.identity(v)",
          "v", "v.assign_add(x) * x", "tf.reduce_max(v * w)",
          "tf.stack([x, w])", "x @ tf.transpose(w) if x.shape.rank == 2 else x", "tf.unstack(x)", "tf.complex(x, w)",
          "tf.abs(tf.complex(x, w))"]  # fmt: skip
SOURCES = [
    "x",
    "[x, w]",
    "v",
    "[x, v]",
    "{'a': x, 'b': [w]}",
    "(x,)",
    "[]",
    "None",
    "1.0",
    "[x, x]",
    "tf.constant(1)",
    "y",
    "'a'",
    "[v, v]",
    "[None, x]",
]
OPTIONS = ["", "unconnected_gradients='zero'", "unconnected_gradients=tf.UnconnectedGradients.ZERO",
           "output_gradients=tf.ones_like(y)", "unconnected_gradients='nope'", "output_gradients=tf.ones([9])",
           "output_gradients=None", "output_gradients=2.0", "output_gradients=[None]", "output_gradients='a'"]  # fmt: skip


def tape(draw):
    dtype = pick(draw, *WIDE, "float32", "float16", "int32")
    x, w, v = (array(draw, dtype, (3,), special=False) for _ in "xwv")
    v.kind = "variable"
    options = pick(
        draw, "", "persistent=True", "watch_accessed_variables=False", "persistent=True, watch_accessed_variables=False"
    )
    watch = pick(
        draw,
        "t.watch(x)",
        "t.watch([x, w])",
        "t.watch(x)",
        "t.watch(v)",
        "pass",
        "t.watch({'a': x})",
        "t.watch(1.0)",
        "t.watch(None)",
        "t.watch(tf.constant(1))",
    )
    lines = [f"with tf.GradientTape({options}) as t:", f"    {watch}", f"    y = {pick(draw, *BODIES)}"]
    if draw(st.integers(0, 4)) == 0:
        lines.append(
            pick(
                draw,
                "    t.reset()",
                "    with t.stop_recording(): y = y",
                "    t.watched_variables()",
                "    y = t.gradient(y, x)",
                "    t.stop()",
            )
        )
    lines.append(f"result = [t.gradient(y, {pick(draw, *SOURCES)}, {pick(draw, *OPTIONS)})]")
    if draw(st.integers(0, 2)) == 0:
        again = pick(
            draw,
            "t.gradient(y, x)",
            "t.jacobian(y, x)",
            "t.batch_jacobian(y, x)",
            "[u.name for u in t.watched_variables()]",
            "t.gradient(y, [w, v])",
        )
        lines.append(f"result.append({again})")
    return program("\n".join(lines), x=x, w=w, v=v)


NESTED = ["tf.sin(x) * x", "x ** 3", "tf.reduce_sum(x * x * w)", "tf.exp(x) * w", "tf.reduce_prod(x)",
          "tf.gather(x, [0, 0]) ** 2", "tf.nn.softmax(x)", "tf.sigmoid(x * w)",
          "tf.tensordot(x, w, 1) ** 2", "tf.math.log(1 + x * x)", "tf.maximum(x, w) ** 2", "tf.norm(x)",
          "tf.reduce_logsumexp(x)", "tf.abs(x) * x", "tf.cumsum(x) ** 2"]  # fmt: skip


def nested(draw):
    dtype = pick(draw, *WIDE)
    x, w = (spread(draw, dtype, (3,)) for _ in "xw")
    lines = ["with tf.GradientTape() as outer:", "    outer.watch([x, w])", "    with tf.GradientTape() as inner:",
             "        inner.watch([x, w])",
             f"        y = {pick(draw, *NESTED)}", "    g = inner.gradient(y, x)",
             f"result = [g, {pick(draw, 'outer.gradient(g, [x, w])', 'outer.jacobian(g, x)')}]"]  # fmt: skip
    return program("\n".join(lines), x=x, w=w)


FORWARD = [
    "tf.sin(x)",
    "x * x",
    "tf.reduce_sum(x) * x",
    "tf.exp(x)",
    "tf.gather(x, [1, 0])",
    "tf.nn.softmax(x)",
    "tf.cumsum(x)",
    "tf.sort(x)",
]


def forward(draw):
    x, w = (spread(draw, pick(draw, "float32"), (3,)) for _ in "xw")
    lines = [
        "with tf.autodiff.ForwardAccumulator(x, w) as acc:",
        f"    y = {pick(draw, *FORWARD)}",
        "result = [acc.jvp(y), acc.jvp(x), acc.jvp(w)]",
    ]
    return program("\n".join(lines), x=x, w=w)


def custom(draw):
    back = pick(draw, "g * 2", "None", "g", "(g, g)", "[g * x]", "'a'")
    lines = ["@tf.custom_gradient", "def f(x):", f"    return x * x, lambda g: {back}",
             "with tf.GradientTape() as t:", "    t.watch(x)", "    y = f(x) * 3",
             "result = [y, t.gradient(y, x)]"]  # fmt: skip
    return program("\n".join(lines), x=spread(draw, "float32", (3,)))


SLICES = ["s", "tf.convert_to_tensor(s)", "s.values", "s.indices", "s.dense_shape", "s.shape", "s.dtype", "-s",
          "s.name", "tf.add_n([s, s])", "tf.negative(s)",
          "s + 1", "tf.identity(s)", "tf.reduce_sum(s)", "tf.cast(s, tf.float64)", "tf.square(s)", "len(s)", "s[0]",
          "tf.abs(s)", "tf.scalar_mul(2.0, s)",
          "tf.clip_by_norm(s, 1.0)", "tf.clip_by_global_norm([s], 1.0)", "tf.clip_by_value(s, 0.0, 1.0)",
          "tf.linalg.global_norm([s, x])", "tf.math.sqrt(s)", "s * 2"]  # fmt: skip


def indexed_slices(draw):
    shape = pick(draw, "", ", dense_shape=tf.constant([4, 2])", ", tf.constant([9, 2])", ", dense_shape=None")
    return program(
        f"s = tf.IndexedSlices(x, tf.constant([2, 0]){shape})\nresult = {pick(draw, *SLICES)}",
        x=array(draw, "float32", (2, 2), special=False),
    )


CASES = [
    Case("tf.TensorShape", tensor_shape, "exact", share=10),
    Case("tf.compat.v1.Dimension", dimension, "exact", share=2),
    Case("variable steps", variable, share=10),
    Case("tf.Variable()", new_variable, share=3),
    Case("tape", tape, share=10),
    Case("nested tapes", nested, "norm", 64, share=3),
    Case("tf.autodiff.ForwardAccumulator", forward, "norm", 16),
    Case("tf.custom_gradient", custom),
    Case("tf.IndexedSlices", indexed_slices, share=3),
]
