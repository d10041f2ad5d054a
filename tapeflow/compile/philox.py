"""The Philox generator on vectors: each lane of 64 bits computes a block of four words (see `ops/random_bits.py`)."""

from tapeflow.compile.text import I64

WORD = 0xFFFFFFFF
MULTIPLIERS = 0xD2511F53, 0xCD9E8D57
KEY_STEPS = 0x9E3779B9, 0xBB67AE85
ROUNDS = 10


def philox(f, key, low, high):
    """The four words of each block, as integers of 64 bits.

    Args:
        key: the key, a scalar.
        low, high: the halves of the counters, scalars or vectors.
    """
    lanes = low.type.lanes
    keys = [key & WORD, f.lshr(key, 32)]
    c0, c1, c2, c3 = low & WORD, f.lshr(low, 32), high & WORD, f.lshr(high, 32)
    for turn in range(ROUNDS):
        k0, k1 = [f.splat(k + turn * step & WORD, lanes) for k, step in zip(keys, KEY_STEPS, strict=True)]
        p0, p1 = c0 * MULTIPLIERS[0], c2 * MULTIPLIERS[1]
        c0, c1, c2, c3 = f.lshr(p1, 32) ^ c1 ^ k0, p1 & WORD, f.lshr(p0, 32) ^ c3 ^ k1, p0 & WORD
    return c0, c1, c2, c3


def blocks(f, stream, first, lanes, step=1):
    """The words of `lanes` blocks of a stream of 128-bit counter and key: those of number `first` * `step` (an index) and so on."""
    low, high, key = stream
    type = I64.vector(lanes)
    offsets = (f.splat(f.convert(first, I64), lanes) + f.iota(type)) * step
    at = offsets + f.splat(low, lanes)
    carried = f.compare("ult", at, offsets)
    return philox(f, key, at, f.splat(high, lanes) + f.where(carried, f.constant(type, 1), 0))


def stream_at(f, pointer):
    """The counter's halves and the key of a stream in memory."""
    return [f.load(pointer + 8 * i, I64) for i in range(3)]


__all__ = ["WORD", "blocks", "philox", "stream_at"]
