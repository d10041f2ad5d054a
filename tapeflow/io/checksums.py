"""CRC32C (Castagnoli) as TFRecord files mask it, so that the checksum of data that holds checksums is no trap."""

import functools

_MASK = 0xA282EAD8


@functools.cache
def crc32c():
    """The function that gives the CRC32C of some bytes; a C extension, loaded with the first file of records.

    Example:
        >>> hex(crc32c()(b"123456789"))  # the check value of the algorithm
        '0xe3069283'
    """
    import google_crc32c

    return google_crc32c.value


def masked(data):
    """The checksum of some bytes as it stands in a file: rotated by 15 bits, plus a constant.

    Example:
        >>> masked(b"") == _MASK
        True
    """
    crc = crc32c()(data)
    return ((crc >> 15 | crc << 17) + _MASK) & 0xFFFFFFFF
