"""Python's operators on tensors, conversions, and what tensors say of themselves."""

from calls import WITH_STRINGS, Case, Raw, array, broadcast_pair, call, pick, program, shapes
from hypothesis import strategies as st

OPERATORS = ["+", "-", "*", "/", "//", "%", "**", "@", "&", "|", "^", "==", "!=", "<", "<=", ">", ">="]
OTHERS = ["2", "-1", "0.5", "True", "'a'", "None", "[1, 2]", "[1.0]", "np.float64(2)", "np.int32(2)",
          "np.array([1, 2, 3])", "1j", "2**40",
          "np.array(2.5, 'float32')", "object()", "tf.Variable(1.0)", "(1, 2)", "b'x'", "{}", "1e40", "300"]  # fmt: skip


def two_tensors(draw):
    dtype = pick(draw, *WITH_STRINGS)
    a, b = broadcast_pair(draw)
    x, y = array(draw, dtype, a, special=False), array(draw, dtype, b, special=False)
    return program(f"x {pick(draw, *OPERATORS)} y", x=x, y=y, order=draw(st.integers(0, 2)))


def tensor_and_other(draw):
    x = array(draw, pick(draw, *WITH_STRINGS), draw(shapes(2)), special=False)
    sides = ["x", pick(draw, *OTHERS)]
    if draw(st.booleans()):
        sides.reverse()
    return program(f"{sides[0]} {pick(draw, *OPERATORS)} {sides[1]}", x=x, order=draw(st.integers(0, 1)))


def two_dtypes(draw):
    x, y = (
        array(draw, pick(draw, *WITH_STRINGS), draw(shapes(2)), special=False, kind=pick(draw, "tensor", "numpy"))
        for _ in "ab"
    )
    x.kind = "tensor"
    return program(f"x {pick(draw, *OPERATORS)} y", x=x, y=y)


def unary(draw):
    x = array(draw, pick(draw, *WITH_STRINGS), draw(shapes(2)), special=False)
    how = [
        "-x",
        "abs(x)",
        "~x",
        "+x",
        "not x",
        "bool(x)",
        "int(x)",
        "float(x)",
        "complex(x)",
        "len(x)",
        "list(x)",
        "round(x)",
        "hash(x)",
    ]
    how += [
        "[0, 1, 2, 3][x]",
        "x.shape",
        "x.dtype",
        "x.ndim",
        "x.get_shape()",
        "x.numpy()",
        "np.asarray(x)",
        "tuple(x)",
        "x in [1]",
        "iter(x)",
    ]
    how += [
        "x.set_shape([2])",
        "x.T",
        "x.name",
        "x.numpy().dtype.name",
        "x.eval()",
        "x.device",
        "x.shape.rank",
        "bool(x == x)",
        "range(x)",
    ]
    how += [
        "x.shape[0]",
        "x.astype('int32')",
        "memoryview(x).nbytes",
        "x.ref() == x.ref()",
        "x.op",
        "x.graph",
        "x is x",
        "max(x)",
        "sum(x)",
    ]
    return program(pick(draw, *how), x=x)


def text(draw):
    x = array(draw, pick(draw, *WITH_STRINGS), draw(shapes(3)), special=draw(st.booleans()))
    x.kind = pick(draw, "tensor", "tensor", "variable")
    how = pick(draw, "repr(x)", "str(x)", "f'{x}'", "'%s' % x", "repr([x])", "f'{x:.2f}'", "f'{x:>8}'")
    return program(how, x=x)


VALUES = ["1", "1.5", "True", "'a'", "b'a'", "1j", "None", "[]", "[[]]", "[1, 2]", "[1, 2.5]", "[True, 1]",
          "[[1, 2], [3, 4]]", "[[1], [2, 3]]",
          "[1, 'a']", "['a', b'b']", "2**31", "2**63", "2**64", "-2**31", "[2**40, 1]", "1e40", "300", "-1",
          "[1j, 2]", "nan", "[inf, 1]",
          "np.float64(1.5)", "np.int8(3)", "np.array([1, 2])", "np.array([1.5], 'float16')", "np.array(['a', 'b'])",
          "np.array([1, 'a'], object)",
          "np.zeros((2, 0))", "np.bool_(True)", "np.array([[1, 2], [3]], object)", "range(3)", "(1, (2, 3))",
          "((1, 2), (3, 4))", "{}", "{1, 2}",
          "object()", "tf.constant(1)", "[tf.constant(1), 2]", "[tf.constant(1.0), 2]",
          "[tf.constant(1), tf.constant(2.0)]", "tf.Variable(2.0)",
          "[tf.Variable(2.0), 1.0]", "tf.TensorShape([1, 2])", "tf.TensorShape([None])", "tf.float32",
          "np.datetime64('2020-01-01')", "type",
          "[np.array([1, 2]), np.array([3, 4])]", "[np.float32(1), 2]", "[None]", "[1, None]", "np.array(None)",
          "np.uint64(2**63)", "slice(1)",
          "[[1, 2], np.array([3, 4])]", "[1.5, True]", "[[True], [False]]", "np.array(1 + 2j)", "np.float16(2)",
          "memoryview(b'ab')", "[b'', 'é']",
          "bytearray(b'ab')", "np.str_('a')", "[np.int64(2**40)]", "[1, 2**40]", "0.1", "-0.0", "[[[1]]]",
          "iter([1])", "lambda: 1", "[(), ()]"]  # fmt: skip


def convert(name):
    def build(draw):
        dtype = pick(
            draw, None, *[Raw("tf." + d) for d in WITH_STRINGS], "float32", Raw("np.float64"), Raw("float"), Raw("int")
        )
        value = Raw(pick(draw, *VALUES))
        return call(name, value, **({} if dtype is None else {"dtype": dtype}), order=0)

    return build


def constant_shape(draw):
    return call("tf.constant", Raw(pick(draw, *VALUES)), shape=draw(shapes(2)), order=0)


def hint(draw):
    return call("tf.convert_to_tensor", Raw(pick(draw, *VALUES)), dtype_hint=Raw("tf." + pick(draw, *WITH_STRINGS)), order=0)


def cast_value(draw):
    return call("tf.cast", Raw(pick(draw, *VALUES)), Raw("tf." + pick(draw, *WITH_STRINGS)), order=0)


def dtype_word(draw):
    what = pick(draw, "'float'", "'half'", "'int'", "float", "int", "bool", "str", "object", "np.int8",
                "np.dtype('float32')", "1", "101", "None",
                "'nope'", "tf.int32", "'double'", "'string'", "np.str_", "'float8_e5m2'", "'int4'", "[]", "complex",
                "bytes", "999")  # fmt: skip
    how = pick(draw, "tf.as_dtype({})", "tf.as_dtype({}).name", "repr(tf.as_dtype({}))", "tf.as_dtype({}).size",
               "tf.as_dtype({}).min",
               "tf.as_dtype({}).max", "tf.as_dtype({}).is_floating", "tf.as_dtype({}).is_compatible_with('float32')",
               "tf.as_dtype({}) == 'float32'",
               "tf.as_dtype({}).as_datatype_enum", "tf.as_dtype({}).limits", "tf.as_dtype({}).real_dtype",
               "tf.as_dtype({}).base_dtype")  # fmt: skip
    return program(how.format(what))


def python_arguments(draw):
    """Public functions with Python values in place of tensors."""
    name = pick(
        draw,
        "tf.add",
        "tf.multiply",
        "tf.maximum",
        "tf.divide",
        "tf.equal",
        "tf.less",
        "tf.pow",
        "tf.matmul",
        "tf.math.floormod",
        "tf.where",
    )
    a, b = Raw(pick(draw, *VALUES)), Raw(pick(draw, *VALUES))
    return call(name, True, a, b, order=0) if name == "tf.where" else call(name, a, b, order=0)


def one_python_argument(draw):
    name = pick(draw, "tf.abs", "tf.exp", "tf.reduce_sum", "tf.reduce_mean", "tf.square", "tf.reshape",
                "tf.transpose", "tf.concat", "tf.stack", "tf.rank",
                "tf.shape", "tf.size", "tf.identity", "tf.zeros_like", "tf.ones_like", "tf.negative",
                "tf.logical_not", "tf.unstack", "tf.argmax",
                "tf.cast", "tf.math.sign", "tf.nn.relu", "tf.nn.softmax", "tf.round", "tf.is_tensor", "tf.unique",
                "tf.sort", "tf.reduce_max",
                "tf.reduce_all", "tf.squeeze", "tf.math.log", "tf.sqrt", "tf.zeros", "tf.ones", "tf.eye", "tf.range",
                "tf.add_n",
                "tf.get_static_value", "tf.Variable", "tf.TensorShape", "tf.expand_dims", "tf.norm",
                "tf.convert_to_tensor")  # fmt: skip
    more = {"tf.reshape": [[-1]], "tf.concat": [0], "tf.cast": [Raw("tf.float32")], "tf.expand_dims": [0]}.get(name, [])
    return call(name, Raw(pick(draw, *VALUES)), *more, order=0)


CASES = [
    Case("x operator y", two_tensors, ulps=16, share=6),
    Case("x operator other", tensor_and_other, ulps=16, share=6),
    Case("x operator y of other dtype", two_dtypes, ulps=16, share=3),
    Case("operator x", unary, share=4),
    Case("text of tensors", text, "exact", share=6),
    Case("tf.constant", convert("tf.constant"), "exact", share=10, bad=False),
    Case("tf.constant shape", constant_shape, "exact", share=3, bad=False),
    Case("tf.convert_to_tensor", convert("tf.convert_to_tensor"), "exact", share=6, bad=False),
    Case("tf.Variable", convert("tf.Variable"), "exact", share=3, bad=False),
    Case("dtype_hint", hint, "exact", share=3, bad=False),
    Case("tf.cast of Python values", cast_value, "exact", share=3, bad=False),
    Case("tf.as_dtype", dtype_word, "exact", share=4),
    Case("Python values in binary functions", python_arguments, share=6, bad=False, ulps=16),
    Case("Python values in unary functions", one_python_argument, share=8, bad=False, ulps=16),
]
