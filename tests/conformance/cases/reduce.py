"""Reductions, scans and what is counted."""

from calls import (
    COMPLEX,
    EVERY,
    FLOATS,
    INEXACT,
    INTS,
    NUMBERS,
    REALS,
    WITH_STRINGS,
    Case,
    Raw,
    array,
    axes_of,
    axis_of,
    call,
    pick,
    shapes,
    spread,
)
from hypothesis import strategies as st

REDUCTIONS = [  # name, dtypes, tolerance, ulps, whether infinities and NaN are drawn
    ("tf.reduce_sum", NUMBERS, "norm", 16, False),
    ("tf.reduce_mean", NUMBERS, "norm", 16, False),
    ("tf.reduce_prod", NUMBERS, "norm", 32, False),
    ("tf.reduce_max", REALS, "exact", 4, True),
    ("tf.reduce_min", REALS, "exact", 4, True),
    ("tf.reduce_all", ("bool",), "exact", 0, False),
    ("tf.reduce_any", ("bool",), "exact", 0, False),
    ("tf.reduce_logsumexp", FLOATS, "norm", 16, True),
    ("tf.math.reduce_std", INEXACT, "norm", 64, False),
    ("tf.math.reduce_variance", INEXACT, "norm", 64, False),
    ("tf.math.reduce_euclidean_norm", NUMBERS, "norm", 32, False),
    ("tf.math.count_nonzero", WITH_STRINGS, "exact", 0, True),
]


def reduction(name, dtypes, special):
    """A reduction over some axes."""

    def build(draw):
        dtype = pick(draw, *dtypes)
        shape = draw(shapes(4))
        x = spread(draw, dtype, shape) if dtype in NUMBERS and draw(st.booleans()) else array(draw, dtype, shape, special)
        kwargs = {"axis": axes_of(draw, len(shape))} if draw(st.booleans()) else {}
        if draw(st.booleans()):
            kwargs["keepdims"] = draw(st.booleans())
        return call(name, x, order=draw(st.integers(1, 2)), **kwargs)

    return build


def scan(name, dtypes):
    def build(draw):
        shape = draw(shapes(3, 1))
        x = spread(draw, pick(draw, *dtypes), shape)
        flags = {flag: draw(st.booleans()) for flag in ("exclusive", "reverse") if draw(st.booleans())}
        return call(name, x, axis=axis_of(draw, len(shape), none=False), **flags)

    return build


def arg(name):
    def build(draw):
        shape = draw(shapes(3, 1))
        x = array(draw, pick(draw, *EVERY), shape)
        kwargs = {"output_type": Raw("tf." + pick(draw, "int32", "int64", "int16"))} if draw(st.booleans()) else {}
        return call(name, x, axis=axis_of(draw, len(shape)), **kwargs)

    return build


def bincount(draw):
    x = array(draw, pick(draw, "int32", "int64"), draw(shapes(2)), special=False, positive=True)
    kwargs = {}
    if draw(st.booleans()):
        kwargs["weights"] = spread(draw, pick(draw, "float32", "int32", "float64"), x.value.shape)
    for key in ("minlength", "maxlength"):
        if draw(st.booleans()):
            kwargs[key] = pick(draw, 0, 4, 9)
    if draw(st.booleans()):
        kwargs["axis"] = pick(draw, 0, -1)
    return call("tf.math.bincount", x, order=0, **kwargs)


def one_argument(name, dtypes, rank=0):
    def build(draw):
        return call(name, array(draw, pick(draw, *dtypes), draw(shapes(3, rank)), special=False))

    return build


def norm(draw):
    shape = draw(shapes(3))
    kwargs = {"ord": pick(draw, "euclidean", 1, 2, 3.0, float("inf"), "fro")} if draw(st.booleans()) else {}
    if draw(st.booleans()):
        kwargs["axis"] = axes_of(draw, len(shape))
    if draw(st.booleans()):
        kwargs["keepdims"] = draw(st.booleans())
    return call("tf.norm", spread(draw, pick(draw, *FLOATS, *COMPLEX), shape), **kwargs)


def clip_by_norm(draw):
    shape = draw(shapes(3))
    x = spread(draw, pick(draw, *FLOATS), shape)
    return call("tf.clip_by_norm", x, pick(draw, 1.0, 0.5, 100.0), axes=axes_of(draw, len(shape)))


def l2_normalize(draw):
    shape = draw(shapes(3))
    return call("tf.math.l2_normalize", spread(draw, pick(draw, *FLOATS), shape), axis=axes_of(draw, len(shape)))


def confusion_matrix(draw):
    n = draw(st.integers(0, 5))
    dtype = pick(draw, "int32", "int64")
    labels = [array(draw, dtype, (n,), special=False, positive=True) for _ in "ab"]
    kwargs = {"num_classes": pick(draw, 8, 10, None)} if draw(st.booleans()) else {}
    if draw(st.booleans()):
        kwargs["weights"] = array(draw, pick(draw, "float32", "int32"), (n,), special=False)
    return call("tf.math.confusion_matrix", *labels, order=0, **kwargs)


def histogram(draw):
    dtype = pick(draw, *FLOATS[:2], "int32", "int64")
    x = array(draw, dtype, draw(shapes(2)), special=False)
    return call("tf.histogram_fixed_width", x, [-1, 4] if dtype in INTS else [-1.0, 4.0], nbins=pick(draw, 1, 5, 10))


CASES = [
    Case(name, reduction(name, dtypes, special), tolerance, ulps or 2)
    for name, dtypes, tolerance, ulps, special in REDUCTIONS
]
CASES += [
    Case("tf.cumsum", scan("tf.cumsum", NUMBERS), "norm", 16),
    Case("tf.math.cumprod", scan("tf.math.cumprod", NUMBERS), "norm", 32),
    Case("tf.math.cumulative_logsumexp", scan("tf.math.cumulative_logsumexp", FLOATS), "norm", 16),
    Case("tf.argmax", arg("tf.argmax"), "exact"),
    Case("tf.argmin", arg("tf.argmin"), "exact"),
    Case("tf.math.bincount", bincount, "norm"),
    Case("tf.math.zero_fraction", one_argument("tf.math.zero_fraction", NUMBERS)),
    Case("tf.math.is_non_decreasing", one_argument("tf.math.is_non_decreasing", REALS)),
    Case("tf.math.is_strictly_increasing", one_argument("tf.math.is_strictly_increasing", REALS)),
    Case("tf.math.lbeta", one_argument("tf.math.lbeta", FLOATS), "norm", 64),
    Case("tf.norm", norm, "norm", 16),
    Case("tf.clip_by_norm", clip_by_norm, "norm", 16),
    Case("tf.math.l2_normalize", l2_normalize, "norm", 16),
    Case("tf.math.confusion_matrix", confusion_matrix),
    Case("tf.histogram_fixed_width", histogram),
]
