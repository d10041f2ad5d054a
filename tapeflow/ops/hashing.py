"""Hashes of strings that are the same everywhere: FarmHash's Fingerprint64, SipHash-2-4, MurmurHash64A."""

import struct

MASK = 2**64 - 1
K0, K1, K2 = 0xC3A5C85C97CB3127, 0xB492B66FBE98F273, 0x9AE16A3B2F90404F
CAT = 0xC6A4A7935BD1E995


def _rotate(x, bits):
    x &= MASK
    return (x >> bits | x << (64 - bits)) & MASK


def _mix(x):
    x &= MASK
    return x ^ (x >> 47)


def _word(s, at):
    return int.from_bytes(s[at : at + 8], "little")


def _of_16(u, v, mul):
    a = _mix((u ^ v) * mul)
    return _mix((v ^ a) * mul) * mul & MASK


def _short(s, n):
    if n >= 8:
        mul = K2 + n * 2
        a, b = _word(s, 0) + K2, _word(s, n - 8)
        return _of_16((_rotate(b, 37) * mul + a) & MASK, (_rotate(a, 25) + b) * mul & MASK, mul)
    if n >= 4:
        first, last = int.from_bytes(s[:4], "little"), int.from_bytes(s[-4:], "little")
        return _of_16(n + (first << 3), last, K2 + n * 2)
    if n:
        return _mix(((s[0] + (s[n >> 1] << 8)) * K2) ^ ((n + (s[-1] << 2)) * K0)) * K2 & MASK
    return K2


def _ends(s, n):
    """What strings of 17 to 64 bytes have in common."""
    mul = K2 + n * 2
    first = K1 if n <= 32 else K2
    a, b = _word(s, 0) * first & MASK, _word(s, 8)
    c, d = _word(s, n - 8) * mul & MASK, _word(s, n - 16) * K2 & MASK
    y = (_rotate(a + b, 43) + _rotate(c, 30) + d) & MASK
    return mul, a, y, _of_16(y, (a + _rotate(b + K2, 18) + c) & MASK, mul)


def _weak(s, at, a, b):
    """Two sums of 32 bytes."""
    w, x, y, z = struct.unpack_from("<4Q", s, at)
    a = (a + w) & MASK
    b = _rotate(b + a + z, 21)
    c = a
    a = (a + x + y) & MASK
    b += _rotate(a, 44)
    return (a + z) & MASK, (b + c) & MASK


def _round(s, at, state, mul, v_scale=1, w_scale=1):
    x, y, z, v, w = state
    x = _rotate(x + y + v[0] + _word(s, at + 8), 37) * mul & MASK
    y = _rotate(y + v[1] + _word(s, at + 48), 42) * mul & MASK
    x ^= w[1] * w_scale & MASK
    y = (y + v[0] * v_scale + _word(s, at + 40)) & MASK
    z = _rotate(z + w[0], 33) * mul & MASK
    v = _weak(s, at, v[1] * mul & MASK, (x + w[0]) & MASK)
    w = _weak(s, at + 32, (z + w[1]) & MASK, (y + _word(s, at + 16)) & MASK)
    return z, y, x, v, w


def fingerprint64(s):
    """FarmHash's Fingerprint64 of bytes, a number below 2**64."""
    n = len(s)
    if n <= 16:
        return _short(s, n)
    if n <= 64:
        mul, a, y, z = _ends(s, n)
        if n <= 32:
            return z
        e, f = _word(s, 16) * mul & MASK, _word(s, 24)
        g, h = (y + _word(s, n - 32)) * mul & MASK, (z + _word(s, n - 24)) * mul & MASK
        return _of_16((_rotate(e + f, 43) + _rotate(g, 30) + h) & MASK, (e + _rotate(f + a, 18) + g) & MASK, mul)
    seed = 81
    y = (seed * K1 + 113) & MASK
    state = ((seed * K2 + _word(s, 0)) & MASK, y, _mix(y * K2 + 113) * K2 & MASK, (0, 0), (0, 0))
    end = (n - 1) // 64 * 64
    for at in range(0, end, 64):
        state = _round(s, at, state, K1)
    x, y, z, v, w = state
    mul = K1 + ((z & 0xFF) << 1)
    w = (w[0] + ((n - 1) & 63), w[1])
    v = ((v[0] + w[0]) & MASK, v[1])
    w = ((w[0] + v[0]) & MASK, w[1])
    x, y, z, v, w = _round(s, n - 64, (x, y, z, v, w), mul, 9, 9)
    u = (_of_16(v[0], w[0], mul) + _mix(y) * K0 + z) & MASK
    return _of_16(u, (_of_16(v[1], w[1], mul) + x) & MASK, mul)


def joined_fingerprint(a, b):
    """One fingerprint of two, in order."""
    result = a ^ CAT
    result ^= _mix(b * CAT) * CAT & MASK
    result = result * CAT & MASK
    return _mix(_mix(result) * CAT)


def siphash64(s, key):
    """SipHash-2-4 of bytes with a key of two numbers."""
    k0, k1 = [k & MASK for k in key]
    v = [k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D, k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573]
    n = len(s)
    blocks = [_word(s, at) for at in range(0, n // 8 * 8, 8)]
    blocks.append(int.from_bytes(s[n // 8 * 8 :], "little") | (n & 0xFF) << 56)
    for m in blocks:
        v[3] ^= m
        v = _sip(_sip(v))
        v[0] ^= m
    v[2] ^= 0xFF
    for _ in range(4):
        v = _sip(v)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def _sip(v):
    a, b, c, d = v
    a = (a + b) & MASK
    b = _left(b, 13) ^ a
    a = _left(a, 32)
    c = (c + d) & MASK
    d = _left(d, 16) ^ c
    a = (a + d) & MASK
    d = _left(d, 21) ^ a
    c = (c + b) & MASK
    b = _left(b, 17) ^ c
    return [a, b, _left(c, 32), d]


def _left(x, bits):
    return (x << bits | x >> (64 - bits)) & MASK


def murmur64(s, seed=0xDECAFCAFFE):
    """MurmurHash64A of bytes."""
    n = len(s)
    h = seed ^ (n * CAT & MASK)
    whole = n // 8 * 8
    for at in range(0, whole, 8):
        h = (h ^ (_mix(_word(s, at) * CAT) * CAT & MASK)) * CAT & MASK
    if n > whole:
        h = (h ^ int.from_bytes(s[whole:], "little")) * CAT & MASK
    return _mix(_mix(h) * CAT)
