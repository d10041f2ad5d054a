"""Indexing, gathering, scattering, and segments."""

import numpy as np
from calls import (
    FLOATS,
    NUMBERS,
    REALS,
    WITH_STRINGS,
    Array,
    Case,
    Raw,
    array,
    call,
    pick,
    program,
    shapes,
)
from hypothesis import strategies as st


def key(draw, rank):
    """The text between the brackets of an index."""
    number = st.integers(-3, 3).map(str)
    part = st.one_of(st.none(), st.integers(-4, 4)).map(lambda n: "" if n is None else str(n))
    step = st.sampled_from(["", ":1", ":2", ":-1", ":-2", ":"])
    slices = st.builds("{}:{}{}".format, part, part, step)
    one = st.one_of(number, slices, st.sampled_from(["...", "tf.newaxis", ":", "tf.constant(1)", "None"]))
    return ", ".join(draw(st.lists(one, min_size=1, max_size=rank + 2)))


def getitem(draw):
    x = array(draw, pick(draw, *WITH_STRINGS), draw(shapes(3)), special=False)
    return program(f"x[{key(draw, x.value.ndim)}]", x=x, order=draw(st.integers(1, 2)))


def bad_key(draw):
    x = array(draw, pick(draw, "float32", "int32"), draw(shapes(3)), special=False)
    wrong = [
        "1.5",
        "'a'",
        "1.0:2",
        "[0, 1]",
        "True",
        "tf.constant([0, 1])",
        "tf.constant(1.0)",
        "..., ...",
        "99",
        "-99",
        "{}",
        "::0",
    ]
    wrong += [
        "(0, 1)",
        "np.int64(0)",
        "np.array([0])",
        "0:tf.constant(2)",
        "tf.constant(0):",
        "tf.constant([True])",
        "x",
        "0, 0, 0, 0, 0",
    ]
    return program(f"x[{pick(draw, *wrong)}]", x=x)


def slice_(draw):
    x = array(draw, pick(draw, *WITH_STRINGS), draw(shapes(3)), special=False)
    begin = [draw(st.integers(0, n)) for n in x.value.shape]
    size = [pick(draw, -1, max(0, n - b), 1) for n, b in zip(x.value.shape, begin, strict=True)]
    return call("tf.slice", x, begin, size, order=2)


def strided_slice(draw):
    x = array(draw, pick(draw, *WITH_STRINGS), draw(shapes(3, 1)), special=False)
    n = draw(st.integers(1, x.value.ndim))
    parts = [[draw(st.integers(-4, 4)) for _ in range(n)] for _ in "ab"]
    masks = {
        m: draw(st.integers(0, 3)) for m in ("begin_mask", "end_mask", "shrink_axis_mask") if draw(st.integers(0, 3)) == 0
    }
    return call("tf.strided_slice", x, *parts, [pick(draw, 1, 2, -1) for _ in range(n)], **masks)


def indices(draw, n, shape, dtype=None):
    """Indices below n."""
    pool = draw(st.lists(st.integers(0, max(n - 1, 0)), min_size=1, max_size=6))
    dtype = dtype or pick(draw, "int32", "int64")
    size = int(np.prod(shape))
    return Array(np.array([pool[i % len(pool)] for i in range(size)], dtype).reshape(shape))


def gather(draw):
    shape = draw(shapes(3, 1))
    x = array(draw, pick(draw, *WITH_STRINGS), shape, special=False)
    batch = draw(st.integers(0, len(shape) - 1)) if draw(st.booleans()) else 0
    axis = draw(st.integers(batch, len(shape) - 1))
    where = indices(draw, shape[axis], shape[:batch] + draw(shapes(2)))
    kwargs = {"axis": axis - len(shape) if draw(st.booleans()) else axis} if axis or draw(st.booleans()) else {}
    if batch:
        kwargs["batch_dims"] = batch
    return call("tf.gather", x, where, order=draw(st.integers(1, 2)), **kwargs)


def gather_nd(draw):
    shape = draw(shapes(3, 1, empty=False))
    depth = draw(st.integers(0, len(shape)))
    where = indices(draw, min(shape), (*draw(shapes(2)), depth))
    return call("tf.gather_nd", array(draw, pick(draw, *WITH_STRINGS), shape, special=False), where, order=2)


def gather_out_of_range(draw):
    where = pick(draw, "[5]", "[-1]", "3", "[[0, 9]]", "[2**31 - 1]")
    name = pick(
        draw, "tf.gather(x, {})", "tf.gather_nd(x, [{}])", "tf.nn.embedding_lookup(x, {})", "tf.scatter_nd([{}], x, [3])"
    )
    return program(name.format(where), x=array(draw, "float32", (3, 2), special=False))


def scatter_nd(draw):
    n = draw(st.integers(0, 4))
    dtype = pick(draw, *NUMBERS)
    where = indices(draw, 5, (n, 1))
    return call(
        "tf.scatter_nd", where, array(draw, dtype, (n, 2), special=False), Raw(f"tf.constant([5, 2], tf.{where.dtype})")
    )


def tensor_scatter(name, dtypes):
    def build(draw):
        n = draw(st.integers(0, 4))
        dtype = pick(draw, *dtypes)
        x = array(draw, dtype, (5, 2), special=False)
        return call(name, x, indices(draw, 5, (n, 1)), array(draw, dtype, (n, 2), special=False))

    return build


def segment(name, dtypes, unsorted=False, sparse=False):
    def build(draw):
        n = draw(st.integers(0, 6))
        data = array(draw, pick(draw, *dtypes), (n, *draw(shapes(1, empty=False))), special=False)
        ids = indices(draw, 4, (n,))
        if not unsorted:
            ids.value.sort()
        if sparse:
            return call(name, data, indices(draw, n, (n,)), ids)
        return call(name, data, ids, *([draw(st.integers(4, 6))] if unsorted else []))

    return build


def dynamic_partition(draw):
    n = draw(st.integers(0, 6))
    x = array(draw, pick(draw, *WITH_STRINGS), (n, 2), special=False)
    return call("tf.dynamic_partition", x, indices(draw, 3, (n,), "int32"), 3)


def dynamic_stitch(draw):
    dtype = pick(draw, *WITH_STRINGS)
    sizes = [draw(st.integers(0, 3)) for _ in "ab"]
    where = [indices(draw, 5, (n,), "int32") for n in sizes]
    return call("tf.dynamic_stitch", where, [array(draw, dtype, (n, 2), special=False) for n in sizes])


def embedding_lookup(draw):
    x = array(draw, pick(draw, *FLOATS), (5, 3), special=False)
    kwargs = {"max_norm": pick(draw, 1.0, 0.5)} if draw(st.booleans()) else {}
    return call("tf.nn.embedding_lookup", x, indices(draw, 5, draw(shapes(2))), **kwargs)


def unravel_index(draw):
    return call("tf.unravel_index", indices(draw, 24, draw(shapes(1))), [2, 3, 4])


SCATTERS = {"update": WITH_STRINGS, "add": NUMBERS, "sub": NUMBERS, "max": REALS, "min": REALS}
SEGMENTS = {"sum": NUMBERS, "prod": NUMBERS, "max": REALS, "min": REALS, "mean": NUMBERS, "sqrt_n": NUMBERS}

CASES = [
    Case("x[...]", getitem, "exact", share=6),
    Case("x[bad]", bad_key, "exact", share=2),
    Case("tf.slice", slice_, "exact"),
    Case("tf.strided_slice", strided_slice, "exact"),
    Case("tf.gather", gather, "exact", share=2),
    Case("tf.gather_nd", gather_nd, "exact"),
    Case("gather out of range", gather_out_of_range, "exact"),
    Case("tf.scatter_nd", scatter_nd),
    Case("tf.dynamic_partition", dynamic_partition, "exact"),
    Case("tf.dynamic_stitch", dynamic_stitch, "exact"),
    Case("tf.nn.embedding_lookup", embedding_lookup),
    Case("tf.unravel_index", unravel_index, "exact"),
]
CASES += [
    Case(f"tf.tensor_scatter_nd_{how}", tensor_scatter(f"tf.tensor_scatter_nd_{how}", dtypes))
    for how, dtypes in SCATTERS.items()
]
CASES += [
    Case(f"tf.math.segment_{how}", segment(f"tf.math.segment_{how}", dtypes), "norm", 16)
    for how, dtypes in SEGMENTS.items()
    if how != "sqrt_n"
]
CASES += [
    Case(f"tf.math.unsorted_segment_{how}", segment(f"tf.math.unsorted_segment_{how}", dtypes, True), "norm", 16)
    for how, dtypes in SEGMENTS.items()
]
CASES += [
    Case(f"tf.sparse.segment_{how}", segment(f"tf.sparse.segment_{how}", FLOATS, sparse=True), "norm", 16)
    for how in ("sum", "mean", "sqrt_n")
]
