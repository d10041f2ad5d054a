"""LLVM text by expressions: what is written is what runs."""

import ctypes
import threading

import ml_dtypes
import numpy as np
import pytest
from native_checks import POINTER

from tapeflow.compile.jit import assembly, compile_text
from tapeflow.compile.text import BF16, F16, F32, F64, I1, I8, I32, I64, INDEX, PTR, Module, literal, type_of

INT = ctypes.c_int64


def compiled(write, arguments, result=None, *types, ctype=None):
    """A ctypes function whose body `write(f, *arguments)` emits."""
    module = Module()
    with module.function("made", arguments, result) as f:
        write(f, *f.arguments)
    return compile_text(str(module), ["made"]).function("made", *types, result=ctype)


@pytest.mark.parametrize("start, stop, step", [(0, 10, 3), (2, 3, 1), (0, 0, 1), (5, 2, 1), (0, 7, 7), (0, 8, 7)])
@pytest.mark.parametrize("known", [True, False])
def test_loop_is_range(start, stop, step, known):
    def write(f, first, last):
        bounds = (start, stop) if known else (first, last)
        with f.loop(*bounds, step, carry=[f.index(0), f.index(0)]) as loop:
            total, turns = loop.values
            loop.next = [total + loop.index, turns + 1]
        f.ret(loop.results[0] * 1000 + loop.results[1])

    run = compiled(write, [("first", INDEX), ("last", INDEX)], INDEX, INT, INT, ctype=INT)
    numbers = range(start, stop, step)
    assert run(start, stop) == sum(numbers) * 1000 + len(numbers)


def test_nested_loops_carry_values_through():
    def write(f, n):
        with f.loop(0, n, carry=[f.index(0)]) as outer:
            with f.loop(0, outer.index, carry=outer.values) as inner:
                inner.next = [inner.values[0] + 1]
            outer.next = inner.results
        f.ret(outer.results[0])

    assert compiled(write, [("n", INDEX)], INDEX, INT, ctype=INT)(7) == 21


def test_forever_is_left_where_its_test_fails():
    def collatz(f, x):
        with f.forever([x, f.constant(I64, 0)]) as loop:
            value, count = loop.values
            loop.leave_unless(value.differs(1))
            (following,) = f.choose((value & 1).equals(1), lambda: [value * 3 + 1], lambda: [value >> 1])
            loop.next = [following, count + 1]
        f.ret(loop.results[1])

    assert compiled(collatz, [("x", I64)], I64, INT, ctype=INT)(77031) == 350


@pytest.mark.parametrize("a, b", [(3.0, 2.0), (2.0, 3.0), (np.nan, 1.0), (1.0, np.nan), (-0.0, 0.0), (np.inf, -np.inf)])
def test_comparisons_and_extrema_are_numpys(a, b):
    lanes = 4
    type = F32.vector(lanes)
    x, y = np.full(lanes, a, np.float32), np.full(lanes, b, np.float32)
    out = np.zeros((7, lanes), np.float32)

    def write(f, at_x, at_y, at_out):
        x, y = f.load(at_x, type), f.load(at_y, type)
        tests = [x < y, x <= y, x.equals(y), x.differs(y)]
        values = [f.where(test, 1.0, f.constant(type, 0)) for test in tests]
        for row, value in enumerate([*values, f.minimum(x, y), f.maximum(x, y), f.maximum(2.5, y)]):
            f.store(value, at_out + row * lanes * 4)

    compiled(write, [(name, PTR) for name in "xyz"], None, *[POINTER] * 3)(*[v.ctypes.data for v in (x, y, out)])
    np.testing.assert_array_equal(out[:4, 0], [x[0] < y[0], x[0] <= y[0], x[0] == y[0], x[0] != y[0]])
    expected = [np.minimum(x, y)[0], np.maximum(x, y)[0], np.maximum(np.float32(2.5), y)[0]]
    np.testing.assert_array_equal(out[4:, 0], expected)


@pytest.mark.parametrize("lanes", [1, 4, 16])
@pytest.mark.parametrize("mask", [None, 0, 1, 3])
def test_masked_access_touches_only_its_lanes(lanes, mask, isa):
    type = I32.vector(lanes)
    source, target = np.arange(1, 17, dtype=np.int32), np.full(16, -1, np.int32)
    count = lanes if mask is None else min(mask, lanes)
    if lanes == 1 and mask == 0:
        pytest.skip("a scalar has no mask")

    def write(f, x, y):
        f.store(f.load(x, type, mask), y, mask)

    compiled(write, [("x", PTR), ("y", PTR)], None, POINTER, POINTER)(source.ctypes.data, target.ctypes.data)
    np.testing.assert_array_equal(target, np.where(np.arange(16) < count, source, -1))


NUMPY = {
    I8: np.int8,
    I32: np.int32,
    I64: np.int64,
    F16: np.float16,
    BF16: ml_dtypes.bfloat16,
    F32: np.float32,
    F64: np.float64,
}


@pytest.mark.parametrize("source", NUMPY)
@pytest.mark.parametrize("target", NUMPY)
def test_conversions_are_numpys(source, target, isa):
    lanes = 8
    numbers = [0, 1, -1, 2.5, -3.75, 100, -100, 7]
    if source.floating and target.floating:
        numbers += [
            np.nan,
            np.inf,
            -np.inf,
            -0.0,
            1e-30,
            65519.999,
            65520,
            1e38,
            6e-8,
            2.9e-8,
            3e-8,
            5e-5,
            1e300,
            2049.0000001,
        ]
        numbers += [2.0**-14, -(2.0**-25), 2.0**-24 * 1.5, 1e-40, 3.4e38, 1 + 2**-8 + 2**-30, 1 + 2**-11 + 2**-30, -1.5]
        numbers += list(np.random.default_rng(3).standard_normal(96) * 2.0 ** np.arange(-48, 48))
    with np.errstate(all="ignore"):
        x = np.array(numbers, np.float64).astype(NUMPY[source])
        expected = x.astype(np.float32).astype(NUMPY[target]) if source is BF16 else x.astype(NUMPY[target])
    x = np.resize(x, -(-len(x) // lanes) * lanes)
    y = np.zeros(len(x), NUMPY[target])

    def write(f, at_x, at_y):
        with f.loop(0, len(x), lanes) as loop:
            value = f.load(at_x + loop.index * source.bytes, source.vector(lanes))
            f.store(f.convert(value, target), at_y + loop.index * target.bytes)

    compiled(write, [("x", PTR), ("y", PTR)], None, POINTER, POINTER)(x.ctypes.data, y.ctypes.data)
    y, expected = y[: len(expected)].astype(float), expected.astype(float)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(np.signbit(y), np.signbit(expected))


@pytest.mark.parametrize("element", [F16, BF16, F32, F64])
@pytest.mark.parametrize("number", [0.1, -0.0, np.inf, -np.inf, np.nan, 5e-324, 1e30])
def test_literals_are_rounded_to_their_type(element, number):
    with np.errstate(over="ignore"):
        expected = np.asarray(number).astype(NUMPY[element])
    result = np.zeros(2, NUMPY[element])

    def write(f, at):
        f.store(f.constant(element.vector(2), number), at)

    compiled(write, [("at", PTR)], None, POINTER)(result.ctypes.data)
    np.testing.assert_array_equal(result.view(np.uint8), np.array([expected, expected]).view(np.uint8))


def test_reduce_combines_every_lane():
    values = np.arange(16, dtype=np.float32)

    def write(f, at):
        f.ret(f.reduce(f.load(at, F32.vector(16)), lambda a, b: a + b))

    assert compiled(write, [("x", PTR)], F32, POINTER, ctype=ctypes.c_float)(values.ctypes.data) == 120


@pytest.mark.parametrize("first, second", [(0.0, -0.0), (-0.0, 0.0)])
def test_zeros_keep_their_signs(first, second):
    words = [literal(F64, number) for number in (first, second, first)]
    assert words[0] == words[2] != words[1]
    assert literal(F32, -0.0) == "0x8000000000000000" and literal(F32, 0) == "0x0000000000000000"


def test_types_are_one_object_each():
    assert type_of("float") is F32 and F32.vector(4).vector(1) is F32 and F32.vector(4).like(I1) is I1.vector(4)
    assert literal(I1.vector(2), True) == "splat (i1 true)"


def test_mixed_types_are_refused():
    module = Module()
    with module.function("made", [("x", F32), ("y", F64)]) as f:
        x, y = f.arguments
        with pytest.raises(TypeError, match="different types"):
            x + y
        with pytest.raises(TypeError, match="known only when the code runs"):
            bool(x < 1.0)


def test_an_exponent_in_a_loop_is_multiplied_and_added_in_one_instruction():
    """Contraction is written, never inferred: fma gives one instruction, a product and a sum give two."""
    module = Module()
    if not module.target.fma:
        pytest.skip("no such instruction here")
    with module.function("made", [(name, F32) for name in "xyz"], F32) as f:
        f.ret(f.fma(*f.arguments))
    apart = Module()
    with apart.function("made", [(name, F32) for name in "xyz"], F32) as f:
        x, y, z = f.arguments
        f.ret(x * y + z)
    assert "fmadd" in assembly(str(module)).replace("vfmadd", "fmadd")
    assert "fmadd" not in assembly(str(apart))


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_pieces_of_a_module_call_each_other(count):
    module = Module()
    module.add("@table = internal constant [3 x i64] [i64 2, i64 3, i64 5]")
    for number, callee in enumerate((None, "f0", "f1", "f0")):
        with module.function(f"f{number}", [("x", INDEX)], INDEX, internal=number < 3) as f:
            (x,) = f.arguments
            entry = f.load(f.emit(PTR, f"getelementptr i64, ptr @table, i64 {number % 3}"), I64)
            f.ret(f.convert(entry, INDEX) + (x if callee is None else f.call(callee, INDEX, x * 7)))
    with module.function("both", [("x", INDEX)], INDEX) as f:
        f.ret(f.call("f2", INDEX, *f.arguments) - f.call("f3", INDEX, *f.arguments))
    pieces = module.pieces(count)
    assert len(pieces) == count and all("@table = internal" in piece for piece in pieces)
    assert sum(piece.count("define ") for piece in pieces) == 5
    code = compile_text(pieces, ["both", "f3"])
    assert code.function("f3", INT, result=INT)(11) == 2 + 2 + 77
    assert code.function("both", INT, result=INT)(11) == (5 + 3 + 2 + 11 * 49) - (2 + 2 + 77)


@pytest.mark.parametrize("wrong", [0, 1, 2])
def test_a_piece_that_is_no_module_raises(wrong):
    texts = [f"define i64 @right{number}() {{ ret i64 {number} }}" for number in range(3)]
    texts[wrong] = f"define i64 @wrong() {{ ret i32 {wrong} }}"
    with pytest.raises(RuntimeError, match="cannot read a module"):
        compile_text(texts, [f"right{wrong - 1}"])


def test_two_threads_compile_at_once():
    text = "define i64 @f(i64 %x) {{ %y = add i64 %x, {} ret i64 %y }}"
    found = {}

    def work(number):
        code = compile_text(text.format(number), ["f"])
        found[number] = code.function("f", INT, result=INT)(1000)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: 1000 + number for number in range(20)}
