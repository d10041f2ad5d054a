"""Random numbers in native code, with the bits of the NumPy kernels (`ops/random_bits.py`)."""

import functools
import math

from tapeflow.base.dtypes import bfloat16, float16, float32, float64
from tapeflow.compile import array_threefry
from tapeflow.compile.array_threefry import is_threefry
from tapeflow.compile.arrays import ArrayOp
from tapeflow.compile.libm import logf, sincosf
from tapeflow.compile.philox import WORD, blocks, philox, stream_at
from tapeflow.compile.text import F32, F64, I32, I64, INDEX, PTR
from tapeflow.ops.random_bits import AUTO_SELECT, PHILOX, THREEFRY

MANTISSA = {float16: 10, bfloat16: 7, float32: 23}
SCRAMBLE_KEY = 0x02461E293EC8F720
TILE = 1024  # blocks of a tile, about
SMALLEST = 1e-7


# From the words of blocks to the numbers of each: lists of vectors, in the order in which the numbers of a block stand.


def _units32(mantissa):
    def convert(f, words):
        scale = 0.5**mantissa
        return [f.convert(f.convert(w, I32) & ((1 << mantissa) - 1), F32) * scale for w in words]

    return convert


def _units64(f, words):
    pairs = ((words[0], words[1]), (words[2], words[3]))
    return [f.convert((a & 0xFFFFF) << 32 | b, F64) * 0.5**52 for a, b in pairs]


def _normals32(f, words):
    units = _units32(23)(f, words)
    found = []
    for u, v in ((units[0], units[1]), (units[2], units[3])):
        radius = f.sqrt(logf(f, f.maximum(SMALLEST, u)) * -2.0)
        angle = f.convert(f.convert(v, F64) * (2 * math.pi), F32)
        found += [part * radius for part in sincosf(f, angle)]
    return found


def _ints(dtype):
    def convert(f, words):
        if dtype.size == 8:
            return [words[0] | words[1] << 32, words[2] | words[3] << 32]
        return [f.convert(w, I32) for w in words]

    return convert


def _by_dtype(choose):
    """What `_fill` wants, of a function from the result's dtype to a conversion."""
    return lambda call, f: functools.partial(choose(call.outputs[0].dtype), f)


def _between(call, f):
    """From full-range integers to those in [minval, maxval): remainders."""
    low, high = [x.load(f, call.pointer(f, x)) for x in call.inputs[1:]]
    empty = low >= high
    call.failures(f)(f, empty, "Need minval < maxval, got minval = {value}", low)
    span = f.where(empty, 1, high - low)
    return lambda x: f.urem(x, f.splat(span, x.type.lanes)) + f.splat(low, x.type.lanes)


def _ints_between(call, f):
    between = _between(call, f)
    return lambda words: [between(x) for x in _ints(call.outputs[0].dtype)(f, words)]


def _interleaved(f, parts):
    """A vector of the first elements of all parts, then the second ones, ..."""
    while len(parts) > 1:
        half = len(parts) // 2
        lanes = parts[0].type.lanes
        zip_ = [i for lane in range(lanes) for i in (lane, lanes + lane)]
        parts = [f.shuffle(a, b, zip_) for a, b in zip(parts[:half], parts[half:], strict=True)]
    return parts[0]


def _fill(prepare):
    """What writes an array of numbers made of blocks in turn; `prepare(call, f)` gives what makes the numbers of the words."""

    def emit(call):
        stream, out = call.inputs[0], call.outputs[0]
        each = 16 // max(out.size, 4)  # numbers of a block
        lanes = call.module.target.vector_bytes // 8
        size = math.prod(out.dims)
        vectors = -(-size // (each * lanes))
        tiles = max(1, min(64, vectors * lanes // TILE))
        turns = -(-vectors // tiles)
        tiles = -(-vectors // turns)
        with call.phase(tiles) as f:
            convert = prepare(call, f)
            state = stream_at(f, call.pointer(f, stream))
            target = call.pointer(f, out)
            first = f.arguments[1] * turns

            def vector(number, active=None):
                values = _interleaved(f, convert(blocks(f, state, number * lanes, lanes)))
                out.store(f, values, target + number * (each * lanes * out.size), active)

            whole, left = divmod(size, each * lanes)
            with f.loop(first, f.minimum(whole, first + turns)) as loop:
                vector(loop.index)
            if left:
                with f.when(f.arguments[1].equals(tiles - 1)):
                    vector(f.index(whole), left)

    return emit


def _truncated_normals(call):
    """Normals within (-2, 2): each four numbers have 256 blocks, whose first normals that fit they are."""
    stream, out = call.inputs[0], call.outputs[0]
    redo = _group_again(call.module, out)
    lanes = call.module.target.vector_bytes // 8
    size = math.prod(out.dims)
    vectors = -(-size // (4 * lanes))
    turns = -(-vectors // max(1, min(64, vectors * lanes // TILE)))
    with call.phase(-(-vectors // turns)) as f:
        state = stream_at(f, call.pointer(f, stream))
        target = call.pointer(f, out)
        misfits = f.stack(8 * lanes)

        def vector(number, active=None):
            first = number * lanes
            normals = _normals32(f, blocks(f, state, first, lanes, 256))
            out.store(f, _interleaved(f, normals), target + first * (4 * out.size), active)
            wrong = functools.reduce(lambda a, b: a | b, [f.compare("oge", f.abs(x), 2.0) for x in normals])
            with f.when(f.any(wrong)):
                f.store(f.where(wrong, f.constant(I64.vector(lanes), 1), 0), misfits)
                with f.loop(0, lanes) as lane, f.when(f.load(misfits + lane.index * 8, I64).differs(0)):
                    group = first + lane.index
                    left = f.minimum(4, size - group * 4)
                    f.call(redo, None, *state, group, target + group * (4 * out.size), left)

        whole, left = divmod(size, 4 * lanes)
        start = f.arguments[1] * turns
        with f.loop(start, f.minimum(whole, start + turns)) as loop:
            vector(f.index(loop.index))
        if left:
            with f.when((start <= whole) & (f.index(whole) < start + turns)):
                vector(f.index(whole), left)


def _group_again(module, out):
    """The function that fills one group with the first normals that fit, block by block."""

    def make():
        name = module.fresh("truncated")
        arguments = [("low", I64), ("high", I64), ("key", I64), ("group", INDEX), ("target", PTR), ("count", INDEX)]
        with module.function(name, arguments, internal=True, attributes="nounwind noinline cold") as f:
            *state, group, target, count = f.arguments
            with f.forever([f.index(0), f.index(0)]) as loop:
                block, taken = loop.values
                loop.leave_unless(taken < count)
                for x in _normals32(f, blocks(f, state, group * 256 + block, 1)):
                    fits = (f.abs(x) < 2.0) & (taken < count)
                    with f.when(fits):
                        out.store(f, x, target + taken * out.size)
                    taken = taken + f.where(fits, f.index(1), 0)
                loop.next = [block + 1, taken]
        return name

    return module.once(("truncated", out.dtype), make)


def _is_philox(node):
    return node.attrs.get("alg", PHILOX) in (PHILOX, AUTO_SELECT) and node.inputs[0].dims == (3,)


def _by_stream(philox, threefry):
    """What writes numbers of a Philox stream, or of a ThreeFry one."""
    return lambda call: (threefry if call.attrs.get("alg") == THREEFRY else philox)(call)


def _has_stream(node):
    return _is_philox(node) or is_threefry(node)


def _seed_stream(call):
    """The stream of a seed: its two words, hashed; for ThreeFry its lower halves are the key."""
    seed, out = call.inputs[0], call.outputs[0]
    with call.phase() as f:
        source, target = call.pointer(f, seed), call.pointer(f, out)
        first, second = [f.convert(seed.load(f, source + seed.size * i), I64) for i in range(2)]
        if out.dims == (2,):
            f.store(f.constant(I64, 0), target)
            f.store((first & WORD) | second << 32, target + 8)
            return
        words = philox(f, f.constant(I64, SCRAMBLE_KEY), first, second)
        for i, value in enumerate((f.constant(I64, 0), words[2] | words[3] << 32, words[0] | words[1] << 32)):
            f.store(value, target + 8 * i)


def _skip_stream(call):
    """The stream so many blocks on; the low half of their number carries once only, as in TensorFlow."""
    source, out = call.inputs[0], call.outputs[0]
    count = call.attrs["blocks"]
    with call.phase() as f:
        low, high, key = stream_at(f, call.pointer(f, source))
        c0 = (low & WORD) + (count & WORD)
        step = f.lshr(c0, 32) + (count >> 32) & WORD
        c1 = f.lshr(low, 32) + step
        target = call.pointer(f, out)
        for i, value in enumerate(((c0 & WORD) | c1 << 32, high + f.lshr(c1, 32), key)):
            f.store(value, target + 8 * i)


def _permutation(call):
    """Fisher and Yates from the front: each element changes places with itself or one behind it."""
    words, out = call.inputs[0], call.outputs[0]
    n = out.dims[0]
    with call.phase() as f:
        source, target = call.pointer(f, words), call.pointer(f, out)
        with f.loop(0, n) as loop:
            out.store(f, f.convert(loop.index, out.machine), target + loop.index * out.size)
        with f.loop(0, n - 1) as loop:
            number = f.convert(f.index(loop.index), I32)
            there = number + f.urem(words.load(f, source + loop.index * words.size), n - number)
            place, other = target + loop.index * out.size, target + f.convert(there, INDEX) * out.size
            first, second = out.load(f, place), out.load(f, other)
            out.store(f, second, place)
            out.store(f, first, other)


def _any(node):
    return True


RANDOM = {
    "permutation": ArrayOp(_any, _permutation),
    "seed_stream": ArrayOp(_any, _seed_stream),
    "skip_stream": ArrayOp(_any, _skip_stream, in_place=True),
    "random_uniform": ArrayOp(
        _has_stream,
        _by_stream(
            _fill(_by_dtype(lambda dtype: _units64 if dtype is float64 else _units32(MANTISSA[dtype]))),
            array_threefry.fill(array_threefry.units),
        ),
    ),
    "random_normal": ArrayOp(
        lambda node: _is_philox(node) and node.outputs[0]._dtype is not float64, _fill(_by_dtype(lambda dtype: _normals32))
    ),
    "truncated_normal": ArrayOp(lambda node: _is_philox(node) and node.outputs[0]._dtype is not float64, _truncated_normals),
    "random_full_int": ArrayOp(
        _has_stream, _by_stream(_fill(_by_dtype(_ints)), array_threefry.fill(lambda call, f: lambda x: x))
    ),
    "random_uniform_int": ArrayOp(
        _has_stream, _by_stream(_fill(_ints_between), array_threefry.fill(_between)), may_fail=True
    ),
}

__all__ = ["RANDOM"]
