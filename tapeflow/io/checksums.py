"""CRC32C (Castagnoli) as TensorFlow's files mask it, so that the checksum of data that holds checksums is no trap."""

import functools

_MASK = 0xA282EAD8
_BITS = 0xFFFFFFFF


@functools.cache
def crc32c():
    """The function that gives the CRC32C of some bytes; a C extension, loaded with the first file of records.

    Example:
        >>> hex(crc32c()(b"123456789"))  # the check value of the algorithm
        '0xe3069283'
    """
    import google_crc32c

    return google_crc32c.value


def extended(crc, data):
    """The checksum of what has the checksum `crc` and then `data`.

    Example:
        >>> extended(crc32c()(b"12345"), b"6789") == crc32c()(b"123456789")
        True
    """
    import google_crc32c

    return google_crc32c.extend(crc, data)


def mask(crc):
    """A checksum as it stands in a file: rotated by 15 bits, plus a constant."""
    return ((crc >> 15 | crc << 17) + _MASK) & _BITS


def unmask(stored):
    """The checksum that stands masked in a file.

    Example:
        >>> unmask(mask(0xE3069283)) == 0xE3069283
        True
    """
    rotated = (stored - _MASK) & _BITS
    return (rotated >> 17 | rotated << 15) & _BITS


def masked(data):
    """The checksum of some bytes as it stands in a file.

    Example:
        >>> masked(b"") == _MASK
        True
    """
    return mask(crc32c()(data))
