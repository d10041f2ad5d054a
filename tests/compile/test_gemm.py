"""Matrix products against float64 (or long double), every buffer between guard pages."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from native_checks import TYPES, run_kernel, same_bits_on_any_threads

from tapeflow.base import flags
from tapeflow.compile.gemm import PAGE, Matmul, emit_matmul, make_plan
from tapeflow.compile.gemm_split import parts_of
from tapeflow.compile.host import host
from tapeflow.compile.micro import add_tile, choose_shape, reads_ahead, slot, split
from tapeflow.compile.text import F32, PTR

EPSILON = {"float32": 2.0**-24, "float64": 2.0**-53}
WIDE = {"float32": np.float64, "float64": np.longdouble}
rng = np.random.default_rng(11)


def operands(spec_or_sizes, dtype, transpose_a, transpose_b, batch=0):
    m, n, k = spec_or_sizes
    lead = (batch,) if batch else ()
    a = rng.standard_normal((*lead, *((k, m) if transpose_a else (m, k)))).astype(dtype)
    b = rng.standard_normal((*lead, *((n, k) if transpose_b else (k, n)))).astype(dtype)
    return a, b


def check(result, a, b, dtype, plus=0.0):
    """The error bound of a sum of k products, whatever its order: k eps |A| |B|."""
    a, b = a.astype(WIDE[dtype]), b.astype(WIDE[dtype])
    exact = a @ b + plus
    bound = (a.shape[-1] + 2) * EPSILON[dtype] * (np.abs(a) @ np.abs(b) + np.abs(plus))
    assert (np.abs(result - exact) <= bound).all(), np.abs((result - exact) / bound).max()


def turned(x, transposed):
    return np.swapaxes(x, -1, -2) if transposed else x


def product(m, n, k, dtype, transpose_a, transpose_b, batch=0, at_end=True, epilogue=None, **between):
    a, b = operands((m, n, k), dtype, transpose_a, transpose_b, batch)
    spec = Matmul.dense(m, n, k, TYPES[dtype], transpose_a, transpose_b, batch, **between)
    c = np.full((*((batch,) if batch else ()), m, n), np.nan, dtype)
    start = rng.standard_normal(c.shape).astype(dtype) if epilogue is add_tile else c
    extra = {"epilogue": epilogue} if epilogue else {}
    result = run_kernel(
        lambda module: emit_matmul(module, spec, a=slot(0), b=slot(1), c=slot(2), workspace=slot(3), **extra),
        [a, b, start], dtype, at_end,
    )[2]  # fmt: skip
    check(result, turned(a, transpose_a), turned(b, transpose_b), dtype, start if epilogue is add_tile else 0.0)


EDGES = [
    (1, 1, 1),
    (1, 40, 7),
    (40, 1, 7),
    (5, 7, 3),
    (16, 16, 16),
    (13, 37, 600),
    (33, 100, 1030),
    (3, 1024, 512),
    (64, 48, 1),
]


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("sizes", EDGES, ids=str)
def test_shapes_at_the_edges(sizes, dtype, isa):
    for transpose_a, transpose_b, at_end in itertools.product([False, True], repeat=3):
        product(*sizes, dtype, transpose_a, transpose_b, at_end=at_end)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize(("sizes", "parts"), [((13, 100, 404), 2), ((30, 70, 202), 2), ((30, 70, 203), 1)], ids=str)
def test_parts_of_k(sizes, parts, dtype, isa):
    assert parts_of(Matmul.dense(*sizes, TYPES[dtype], updated=True), host()) == parts
    for transpose_a, transpose_b, epilogue in itertools.product([False, True], [False, True], [None, add_tile]):
        product(*sizes, dtype, transpose_a, transpose_b, epilogue=epilogue, updated=True)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize(
    ("sizes", "computed", "parts"),
    [
        ((70, 33, 300), True, 2),
        ((512, 64, 200), False, 1),
        ((70, 33, 301), True, 1),
        ((512, 10, 64), True, 2),
        ((512, 10, 62), True, 1),
    ],
    ids=str,
)
def test_parts_of_a_sum_over_rows(sizes, computed, parts, dtype, isa):
    """A weight's gradient, of arrays whose rows the steps before have computed."""
    assert parts_of(Matmul.dense(*sizes, TYPES[dtype], transpose_a=True, computed=computed), host()) == parts
    for epilogue in None, add_tile:
        product(*sizes, dtype, True, False, epilogue=epilogue, computed=computed)


def test_parts_that_no_cache_holds_are_not_made():
    spec = Matmul.dense(1024, 1024, 1024, F32, transpose_a=True)
    assert [parts_of(spec, replace(host(), l2=size << 20)) for size in (2, 4)] == [1, 2]


@pytest.mark.parametrize("level", ["", "avx2", "sse"])
@settings(max_examples=25, deadline=None)
@given(
    sizes=st.tuples(st.integers(1, 90), st.integers(1, 90), st.integers(1, 90)),
    dtype=st.sampled_from(sorted(TYPES)),
    transposed=st.tuples(st.booleans(), st.booleans()),
    batch=st.sampled_from([0, 1, 3]),
    at_end=st.booleans(),
    accumulate=st.booleans(),
)
def test_any_shape(level, sizes, dtype, transposed, batch, at_end, accumulate):
    if host().arch != "x86_64" and level:
        pytest.skip("no such instructions here")
    with flags.using(TAPEFLOW_ISA=level):
        product(*sizes, dtype, *transposed, batch, at_end, add_tile if accumulate else None)


@pytest.mark.parametrize("transposed", list(itertools.product([False, True], repeat=2)), ids=str)
def test_packed_operands_and_blocks_of_k(transposed, isa):
    m, n, k = 64, 1024, 1024
    spec = Matmul.dense(m, n, k, F32, *transposed)
    small = replace(host(), l1=PAGE, l2=128 << 10)  # a cache of one way, so that A is packed too
    plan = make_plan(spec, small)
    assert plan.pack_a and plan.blocks_k > 1
    assert plan.pack_b == transposed[1]
    assert plan.fill_b == (not transposed[1] and not reads_ahead(plan.rows, plan.panel // small.lanes(4)))
    a, b = operands((m, n, k), "float32", *transposed)

    def write(module):
        module.target = small
        return emit_matmul(module, spec, a=slot(0), b=slot(1), c=slot(2), workspace=slot(3))

    result = run_kernel(write, [a, b, np.full((m, n), np.nan, "f")], "float32")[2]
    check(result, turned(a, transposed[0]), turned(b, transposed[1]), "float32")


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize(("l2", "n", "batch"), [(64 << 10, 100, 2), (1100 << 10, 300, 0)], ids=str)
def test_first_tiles_fill_the_panels(dtype, l2, n, batch, transposed, isa):
    """With k in blocks where the second cache is small; the last panel is narrower, and some strips of tiles are taller."""
    m, k = 461, 531
    spec, small = Matmul.dense(m, n, k, TYPES[dtype], transposed, batch=batch), replace(host(), l2=l2)
    plan = make_plan(spec, small)
    assert plan.fill_b and plan.tiles_down > 1 and (plan.blocks_k > 1) == (l2 < 1 << 20 or transposed)
    a, b = operands((m, n, k), dtype, transposed, False, batch)

    def write(module):
        module.target = small
        return emit_matmul(module, spec, a=slot(0), b=slot(1), c=slot(2), workspace=slot(3))

    c = np.full((*((batch,) if batch else ()), m, n), np.nan, dtype)
    for at_end in False, True:
        check(run_kernel(write, [a, b, c], dtype, at_end)[2], turned(a, transposed), b, dtype)
    check(same_bits_on_any_threads(write, [a, b, c], dtype), turned(a, transposed), b, dtype)


def test_a_batch_axis_may_stand_still():
    """b has one matrix for all of axis 0, and a one for all of axis 1."""
    a, b = rng.standard_normal((2, 5, 7)).astype("f"), rng.standard_normal((3, 7, 130)).astype("f")
    c = np.full((2, 3, 5, 130), np.nan, "f")
    batch = ((2, 5 * 7 * 4, 0, 3 * 5 * 130 * 4), (3, 0, 7 * 130 * 4, 5 * 130 * 4))
    for rows in (b, np.swapaxes(b, 1, 2).copy()):  # read in place, and packed
        strides = (130 * 4, 4) if rows is b else (4, 7 * 4)
        spec = Matmul(5, 130, 7, F32, (7 * 4, 4), strides, 130 * 4, batch)
        result = run_kernel(
            lambda module, spec=spec: emit_matmul(module, spec, a=slot(0), b=slot(1), c=slot(2), workspace=slot(3)),
            [a, rows, c], "float32",
        )[2]  # fmt: skip
        check(result, a[:, None], b[None], "float32")


def test_operands_of_any_strides():
    """Rows of B stand apart and so do its columns; A is read backwards."""
    a, b = rng.standard_normal((6, 10)).astype("f"), rng.standard_normal((10, 3, 21)).astype("f")
    spec = Matmul(6, 21, 10, F32, (-40, 4), (3 * 21 * 4, 4), 21 * 4)
    wide = Matmul(6, 3, 10, F32, (40, 4), (3 * 21 * 4, 21 * 4), 3 * 4)
    c = np.full((6, 21), np.nan, "f")
    place = {"b": slot(1), "c": slot(2), "workspace": slot(3)}
    result = run_kernel(
        lambda module: emit_matmul(module, spec, a=slot(0, 5 * 40), **place), [a, b[:, :1].repeat(3, 1), c], "f4"
    )[2]
    check(result, a[::-1], b[:, 0], "float32")
    result = run_kernel(
        lambda module: emit_matmul(module, wide, a=slot(0), **place), [a, b, np.full((6, 3), np.nan, "f")], "f4"
    )[2]
    check(result, a, b[:, :, 0], "float32")


def bias_and_relu(tile):
    """max(value + bias[column], 0), and the row's number beside it to see that rows and columns are told right."""
    f = tile.f
    bias = f.load(tile.table + 8 * 4, PTR)

    def write(i, j, value):
        value = value + tile.load(bias + tile.column(j) * value.type.bytes, j)
        row = f.splat(f.convert(f.convert(tile.row(i), F32), F32), value.type.lanes)
        return f.maximum(0.0, value) + row

    tile.map(write)


@pytest.mark.parametrize("sizes", [(32, 784, 128), (30, 50, 1500), (100, 10, 128)], ids=str)
def test_epilogues_see_rows_and_columns(sizes, isa):
    m, n, k = sizes
    a, b = operands(sizes, "float32", False, False)
    bias = rng.standard_normal(n).astype("f")
    spec = Matmul.dense(m, n, k, F32)
    kernel_slots = {"a": slot(0), "b": slot(1), "c": slot(2), "workspace": slot(5)}
    result = run_kernel(
        lambda module: emit_matmul(module, spec, epilogue=bias_and_relu, **kernel_slots),
        [a, b, np.full((m, n), np.nan, "f"), np.zeros(1, "f"), bias], "float32",
    )[2]  # fmt: skip
    exact = np.maximum(a.astype(float) @ b + bias, 0) + np.arange(m)[:, None]
    assert np.abs(result - exact).max() < 1e-6 * k


@pytest.mark.parametrize(
    "sizes", [(200, 130, 700), (64, 1024, 1024), (905, 1024, 1024), (905, 40, 2100), (7, 9, 5)], ids=str
)
@pytest.mark.parametrize("transposed", [(False, False), (True, False), (False, True)], ids=str)
def test_the_same_bits_on_any_number_of_threads(sizes, transposed):
    m, n, k = sizes
    a, b = operands(sizes, "float32", *transposed)
    spec = Matmul.dense(m, n, k, F32, *transposed)
    result = same_bits_on_any_threads(
        lambda module: emit_matmul(module, spec, a=slot(0), b=slot(1), c=slot(2), workspace=slot(3)),
        [a, b, np.full((m, n), np.nan, "f")], "float32",
    )  # fmt: skip
    check(result, turned(a, transposed[0]), turned(b, transposed[1]), "float32")


def test_split_is_even():
    for size, most in itertools.product(range(1, 60), range(1, 20)):
        parts = split(size, most)
        assert sum(part * count for _, part, count in parts) == size
        assert max(part for _, part, _ in parts) <= most
        assert sum(count for *_, count in parts) == -(-size // most)


def test_register_tiles_fit_the_registers():
    for registers, lanes in ((32, 16), (16, 8), (16, 4), (32, 4)):
        for m, n, k in ((1, 1, 1), (32, 128, 784), (1000, 10, 3), (5, 1000, 1000)):
            shape = choose_shape(m, n, k, lanes, registers)
            assert shape.rows * shape.vectors + shape.vectors + 1 <= registers


def test_an_error_of_a_thousandth_is_found():
    with pytest.raises(AssertionError):
        product(20, 30, 40, "float32", False, False, epilogue=lambda tile: tile.map(lambda i, j, value: value * 1.001))
