"""Making, reshaping, moving, joining and ordering tensors."""

from calls import (
    EVERY,
    INTS,
    NUMBERS,
    REALS,
    WIDE,
    WITH_STRINGS,
    Array,
    Case,
    Raw,
    array,
    axes_of,
    axis_of,
    broadcast_pair,
    call,
    pick,
    shapes,
    spread,
)
from hypothesis import strategies as st


def some(draw, dtypes=WITH_STRINGS, max_rank=3, min_rank=0):
    """A tensor of any dtype."""
    return array(draw, pick(draw, *dtypes), draw(shapes(max_rank, min_rank)), special=False)


def dims(draw, shape):
    """A shape as an argument: a list, a tuple or a tensor."""
    shape = list(shape)
    how = draw(st.integers(0, 3))
    if how == 0:
        return Raw(f"tf.constant({shape}, tf.{pick(draw, 'int32', 'int64')})")
    return tuple(shape) if how == 1 else shape


def reshape(draw):
    x = some(draw)
    size, shape = x.value.size, list(x.value.shape)
    options = [
        [-1],
        [size],
        [1, size],
        [size, 1, -1] if size else [size],
        list(reversed(shape)),
        [-1, *shape],
        [2, -1],
        shape,
    ]
    return call("tf.reshape", x, dims(draw, pick(draw, *options)), order=2)


def transpose(draw):
    x = some(draw)
    rank = x.value.ndim
    if draw(st.booleans()):
        return call("tf.transpose", x, order=2)
    perm = draw(st.permutations(range(rank)))
    return call("tf.transpose", x, [i - rank if draw(st.integers(0, 4)) == 0 else i for i in perm], order=2)


def with_axis(name, none=False, **more):
    def build(draw):
        x = some(draw)
        return call(name, x, axis=axis_of(draw, x.value.ndim, none), **more)

    return build


def expand_dims(draw):
    x = some(draw)
    return call("tf.expand_dims", x, draw(st.integers(-x.value.ndim - 1, x.value.ndim)))


def squeeze(draw):
    x = some(draw)
    return call("tf.squeeze", x, **({"axis": axes_of(draw, x.value.ndim)} if draw(st.booleans()) else {}))


def broadcast_to(draw):
    a, b = broadcast_pair(draw)
    return call("tf.broadcast_to", array(draw, pick(draw, *WITH_STRINGS), a, special=False), dims(draw, b), order=2)


def tile(draw):
    x = some(draw)
    return call("tf.tile", x, dims(draw, [draw(st.integers(0, 3)) for _ in x.value.shape]), order=2)


def joined(name):
    def build(draw):
        dtype, shape = pick(draw, *WITH_STRINGS), draw(shapes(3))
        axis = axis_of(draw, len(shape) + (name == "tf.stack"), none=False)
        parts = []
        for _ in range(draw(st.integers(1, 3))):
            part = list(shape)
            if name == "tf.concat" and shape:
                part[axis] = draw(st.integers(0, 3))
            parts.append(array(draw, dtype, tuple(part), special=False))
        return call(name, parts, axis=axis)

    return build


def unstack(draw):
    x = some(draw)
    return call("tf.unstack", x, axis=axis_of(draw, x.value.ndim, none=False))


def split(draw):
    x = some(draw, min_rank=1)
    axis = axis_of(draw, x.value.ndim, none=False)
    n = x.value.shape[axis]
    first = draw(st.integers(0, n))
    how = pick(draw, [first, n - first], [first, -1], 1, 2, max(n, 1), [n])
    return call("tf.split", x, how, axis=axis)


def pad(draw):
    x = some(draw)
    paddings = [[draw(st.integers(0, 2)), draw(st.integers(0, 2))] for _ in x.value.shape]
    mode = pick(draw, "CONSTANT", "REFLECT", "SYMMETRIC", "constant")
    kwargs = {"constant_values": pick(draw, 0, 1, 2)} if mode == "CONSTANT" and draw(st.booleans()) else {}
    return call("tf.pad", x, paddings or Raw("tf.zeros([0, 2], tf.int32)"), mode, **kwargs)


def reverse(draw):
    x = some(draw)
    axes = axes_of(draw, x.value.ndim)
    return call("tf.reverse", x, axes if isinstance(axes, list) else [0])


def roll(draw):
    x = some(draw, min_rank=1)
    axis = axis_of(draw, x.value.ndim, none=False)
    if draw(st.booleans()):
        return call("tf.roll", x, draw(st.integers(-7, 7)), axis)
    return call("tf.roll", x, [draw(st.integers(-7, 7)), 1], [axis, 0])


def repeat(draw):
    x = some(draw)
    axis = axis_of(draw, x.value.ndim)
    n = x.value.size if axis is None or not x.value.ndim else x.value.shape[axis]
    repeats = pick(draw, 0, 2, [1], [i % 3 for i in range(n)] or 1)
    return call("tf.repeat", x, repeats, axis=axis)


def meshgrid(draw):
    parts = [some(draw, max_rank=1) for _ in range(draw(st.integers(1, 3)))]
    return call("tf.meshgrid", *parts, indexing=pick(draw, "xy", "ij"))


def one_hot(draw):
    x = array(draw, pick(draw, "int32", "int64", "uint8", "int8"), draw(shapes(2)), special=False)
    kwargs = {}
    if draw(st.booleans()):
        kwargs = {"on_value": pick(draw, 1.0, 5, True), "off_value": pick(draw, 0.0, -1, False)}
    if draw(st.booleans()):
        kwargs["axis"] = pick(draw, -1, 0, x.value.ndim)
    if draw(st.booleans()):
        kwargs["dtype"] = Raw("tf." + pick(draw, *EVERY))
    return call("tf.one_hot", x, pick(draw, 0, 3, 5), **kwargs)


def sequence_mask(draw):
    x = array(draw, pick(draw, "int32", "int64"), draw(shapes(2)), special=False, positive=True)
    kwargs = {"maxlen": pick(draw, 0, 4)} if draw(st.booleans()) else {}
    return call("tf.sequence_mask", x, **kwargs, dtype=Raw("tf." + pick(draw, *EVERY)))


def space_batch(draw):
    block = draw(st.integers(1, 3))
    shape = (draw(st.integers(0, 2)), 2 * block, 3 * block, 2)
    x = array(draw, pick(draw, *NUMBERS), shape, special=False)
    return call("tf.space_to_batch", x, [block, block], [[0, 0], [0, pick(draw, 0, block)]])


def batch_to_space(draw):
    x = array(draw, pick(draw, *NUMBERS), (4 * draw(st.integers(0, 2)), 2, 3, 1), special=False)
    return call("tf.batch_to_space", x, [2, 2], [[0, pick(draw, 0, 1)], [pick(draw, 0, 1), 0]])


def depth_space(name):
    def build(draw):
        shape = (2, 2, 4, 3) if name.endswith("depth") else (2, 3, 2, 8)
        return call(name, array(draw, pick(draw, *NUMBERS), shape, special=False), 2)

    return build


def fill(draw):
    return call("tf.fill", dims(draw, draw(shapes())), array(draw, pick(draw, *WITH_STRINGS), (), special=False))


def zeros(name):
    def build(draw):
        dtype = pick(draw, *WITH_STRINGS) if name == "tf.zeros" else pick(draw, *EVERY)
        return call(name, dims(draw, draw(shapes())), Raw("tf." + dtype))

    return build


def make_range(draw):
    numbers = [
        pick(draw, 0, 1, 3, 7, -2, 0.5, 2.5, Array(array(draw, pick(draw, *REALS), (), special=False).value)) for _ in "ab"
    ]
    kwargs = {"delta": pick(draw, 1, 2, -1, 0.25, 0)} if draw(st.booleans()) else {}
    if draw(st.booleans()):
        kwargs["dtype"] = Raw("tf." + pick(draw, *REALS))
    return call("tf.range", *numbers[: draw(st.integers(1, 2))], **kwargs)


def linspace(draw):
    a, b = pick(draw, (0.0, 1.0), (1, 5), (2.0, -3.0), (Raw("[0.0, 1.0]"), Raw("[5.0, 3.0]")))
    return call("tf.linspace", a, b, pick(draw, 1, 2, 5, 10), **({"axis": pick(draw, 0, -1)} if draw(st.booleans()) else {}))


def eye(draw):
    kwargs = {"batch_shape": pick(draw, [2], [2, 3])} if draw(st.booleans()) else {}
    columns = pick(draw, None, 2, 5)
    return call("tf.eye", draw(st.integers(0, 4)), columns, dtype=Raw("tf." + pick(draw, *NUMBERS)), **kwargs)


def about(name, **kwargs):
    def build(draw):
        return call(name, some(draw), order=0, **kwargs)

    return build


def sort(name):
    def build(draw):
        shape = draw(shapes(3, 1))
        dtype = pick(draw, *REALS)
        kwargs = {"direction": pick(draw, "ASCENDING", "DESCENDING")} if draw(st.booleans()) else {}
        x = array(draw, dtype, shape, special=dtype in INTS)
        return call(name, x, axis=axis_of(draw, len(shape), none=False), **kwargs)

    return build


def top_k(draw):
    x = array(draw, pick(draw, *REALS), draw(shapes(3, 1)), special=False)
    return call("tf.math.top_k", x, draw(st.integers(0, 4)), **({"sorted": True} if draw(st.booleans()) else {}))


def in_top_k(draw):
    n = draw(st.integers(0, 4))
    targets = array(draw, pick(draw, "int32", "int64"), (n,), special=False)
    return call("tf.math.in_top_k", targets, array(draw, "float32", (n, 5)), draw(st.integers(0, 4)))


def unique(name):
    def build(draw):
        x = some(draw, max_rank=1, min_rank=1)
        return call(name, x, **({"out_idx": Raw("tf." + pick(draw, "int32", "int64"))} if draw(st.booleans()) else {}))

    return build


def searchsorted(draw):
    rows = draw(shapes(1))
    dtype = pick(draw, *WIDE, "int32", "int64")
    x = array(draw, dtype, (*rows, draw(st.integers(0, 5))), special=False)
    x.value.sort()
    values = array(draw, dtype, (*rows, draw(st.integers(0, 5))), special=False)
    return call("tf.searchsorted", x, values, side=pick(draw, "left", "right"))


def invert_permutation(draw):
    n = draw(st.integers(0, 5))
    perm = draw(st.permutations(range(n)))
    return call("tf.math.invert_permutation", Raw(f"tf.constant({list(perm)}, tf.{pick(draw, 'int32', 'int64')})"))


def boolean_mask(draw):
    x = some(draw, min_rank=1)
    rank = draw(st.integers(1, x.value.ndim))
    return call("tf.boolean_mask", x, array(draw, "bool", x.value.shape[:rank]))


def where_indices(draw):
    return call("tf.where", array(draw, pick(draw, *EVERY), draw(shapes(3)), special=False))


def reverse_sequence(draw):
    x = array(draw, pick(draw, *WITH_STRINGS), (3, 4, 2), special=False)
    lengths = Raw(f"[{', '.join(str(draw(st.integers(0, 4))) for _ in range(3))}]")
    return call("tf.reverse_sequence", x, lengths, seq_axis=1, batch_axis=0)


def triangle(draw):
    x = some(draw, NUMBERS, 3, 2)
    return call("tf.linalg.band_part", x, draw(st.integers(-1, 3)), draw(st.integers(-1, 3)))


def diag(draw):
    kwargs = {"k": pick(draw, 0, 1, -2)} if draw(st.booleans()) else {}
    return call("tf.linalg.diag", some(draw, NUMBERS, 2, 1), **kwargs)


def diag_part(draw):
    kwargs = {"k": pick(draw, 0, 1, -1, (-1, 0))} if draw(st.booleans()) else {}
    return call("tf.linalg.diag_part", some(draw, NUMBERS, 3, 2), **kwargs)


def set_diag(draw):
    shape = draw(shapes(3, 2))
    dtype = pick(draw, *NUMBERS)
    diagonal = array(draw, dtype, (*shape[:-2], min(shape[-2:])), special=False)
    return call("tf.linalg.set_diag", array(draw, dtype, shape, special=False), diagonal)


def patches(draw):
    x = spread(draw, pick(draw, *REALS), (2, 5, 6, 3))
    return call(
        "tf.image.extract_patches", x, [1, 2, 3, 1], [1, 2, 1, 1], [1, 1, pick(draw, 1, 2), 1], pick(draw, "SAME", "VALID")
    )


def required_paddings(draw):
    return call("tf.required_space_to_batch_paddings", [draw(st.integers(1, 7)), 4], [2, draw(st.integers(1, 3))])


def guarantee(name):
    def build(draw):
        x = some(draw)
        return call(name, x, list(x.value.shape) if draw(st.booleans()) else [None] * x.value.ndim)

    return build


BUILDERS = {
    "tf.reshape": reshape,
    "tf.transpose": transpose,
    "tf.expand_dims": expand_dims,
    "tf.squeeze": squeeze,
    "tf.broadcast_to": broadcast_to,
    "tf.tile": tile,
    "tf.concat": joined("tf.concat"),
    "tf.stack": joined("tf.stack"),
    "tf.unstack": unstack,
    "tf.split": split,
    "tf.pad": pad,
    "tf.reverse": reverse,
    "tf.roll": roll,
    "tf.repeat": repeat,
    "tf.meshgrid": meshgrid,
    "tf.one_hot": one_hot,
    "tf.sequence_mask": sequence_mask,
    "tf.space_to_batch": space_batch,
    "tf.batch_to_space": batch_to_space,
    "tf.nn.space_to_depth": depth_space("tf.nn.space_to_depth"),
    "tf.nn.depth_to_space": depth_space("tf.nn.depth_to_space"),
    "tf.fill": fill,
    "tf.zeros": zeros("tf.zeros"),
    "tf.ones": zeros("tf.ones"),
    "tf.range": make_range,
    "tf.eye": eye,
    "tf.shape": about("tf.shape"),
    "tf.size": about("tf.size"),
    "tf.rank": about("tf.rank"),
    "tf.sort": sort("tf.sort"),
    "tf.argsort": sort("tf.argsort"),
    "tf.math.top_k": top_k,
    "tf.math.in_top_k": in_top_k,
    "tf.unique": unique("tf.unique"),
    "tf.unique_with_counts": unique("tf.unique_with_counts"),
    "tf.searchsorted": searchsorted,
    "tf.math.invert_permutation": invert_permutation,
    "tf.boolean_mask": boolean_mask,
    "tf.where/indices": where_indices,
    "tf.reverse_sequence": reverse_sequence,
    "tf.linalg.band_part": triangle,
    "tf.linalg.diag": diag,
    "tf.linalg.diag_part": diag_part,
    "tf.linalg.set_diag": set_diag,
    "tf.image.extract_patches": patches,
    "tf.required_space_to_batch_paddings": required_paddings,
    "tf.ensure_shape": guarantee("tf.ensure_shape"),
}
CASES = [Case(name, build, "exact") for name, build in BUILDERS.items()]
CASES += [Case("tf.linspace", linspace, "norm", 4)]
