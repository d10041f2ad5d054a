"""Random numbers in native code, with the bits of the NumPy kernels (`ops/random_bits.py`)."""

import functools
import math

from tapeflow.base.dtypes import bfloat16, float16, float32, float64
from tapeflow.compile.arrays import ArrayOp
from tapeflow.compile.libm import logf, sincosf
from tapeflow.compile.philox import WORD, blocks, philox, stream_at
from tapeflow.compile.text import F32, F64, I32, I64
from tapeflow.ops.random_bits import AUTO_SELECT, PHILOX

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


def _ints_between(call, f):
    """Integers in [minval, maxval): the remainder of full-range ones."""
    low, high = [x.load(f, call.pointer(f, x)) for x in call.inputs[1:]]
    empty = low >= high
    call.failures(f)(f, empty, "Need minval < maxval, got minval = {value}", low)
    span = f.where(empty, 1, high - low)

    def convert(words):
        found = _ints(call.outputs[0].dtype)(f, words)
        lanes = found[0].type.lanes
        return [f.urem(x, f.splat(span, lanes)) + f.splat(low, lanes) for x in found]

    return convert


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


def _is_philox(node):
    return node.attrs.get("alg", PHILOX) in (PHILOX, AUTO_SELECT) and node.inputs[0].dims == (3,)


def _seed_stream(call):
    """The stream of a seed: its two words, hashed."""
    seed, out = call.inputs[0], call.outputs[0]
    with call.phase() as f:
        source, target = call.pointer(f, seed), call.pointer(f, out)
        first, second = [f.convert(seed.load(f, source + seed.size * i), I64) for i in range(2)]
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


def _any(node):
    return True


RANDOM = {
    "seed_stream": ArrayOp(lambda node: node.outputs[0].dims == (3,), _seed_stream),
    "skip_stream": ArrayOp(_any, _skip_stream, in_place=True),
    "random_uniform": ArrayOp(
        _is_philox, _fill(_by_dtype(lambda dtype: _units64 if dtype is float64 else _units32(MANTISSA[dtype])))
    ),
    "random_normal": ArrayOp(
        lambda node: _is_philox(node) and node.outputs[0]._dtype is not float64, _fill(_by_dtype(lambda dtype: _normals32))
    ),
    "random_full_int": ArrayOp(_is_philox, _fill(_by_dtype(_ints))),
    "random_uniform_int": ArrayOp(_is_philox, _fill(_ints_between), may_fail=True),
}

__all__ = ["RANDOM"]
