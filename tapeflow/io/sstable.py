"""Sorted tables of bytes by keys, in the file format of LevelDB: the index of a checkpoint is one.

A table is blocks of entries, each followed by a byte (0: not compressed) and the checksum of both; then an index block, whose
entries say where the blocks are; then a footer, which says where the index is. A key leaves out what it shares with the key
before, but for every sixteenth, at which readers may start.
"""

import struct

from tapeflow.base.errors import UnimplementedError
from tapeflow.io.checksums import masked
from tapeflow.io.files import damaged

MAGIC = 0xDB4775248B80FB57
FOOTER = 48
RESTART_INTERVAL = 16
BLOCK_SIZE = 1 << 18
_TRAILER = struct.Struct("<BI")
_INT = struct.Struct("<I")


def varint(n):
    """A number that is not negative in bytes of seven bits each, the lowest first.

    Example:
        >>> varint(300)
        b'\\xac\\x02'
    """
    found = bytearray()
    while n > 0x7F:
        found.append(n & 0x7F | 0x80)
        n >>= 7
    found.append(n)
    return bytes(found)


def read_varint(data, place):
    """The number at a place and the place behind it.

    Raises:
        ValueError: the data end within it, or it is longer than 64 bits.

    Example:
        >>> read_varint(b"\\xac\\x02", 0)
        (300, 2)
    """
    n = shift = 0
    while True:
        if place >= len(data) or shift > 63:
            raise ValueError("no number")
        byte = data[place]
        n |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            return n, place


def encoded(items):
    """The bytes of a table.

    Args:
        items: pairs of a key and a value, both `bytes`, sorted by their keys, which differ.

    Example:
        >>> table = encoded([(b"a", b"1"), (b"ab", b"22")])
        >>> len(table), decoded(table, "example")
        (105, {b'a': b'1', b'ab': b'22'})
    """
    file, index, entries, size = bytearray(), [], [], 0
    for key, value in items:
        entries.append((key, value))
        size += len(key) + len(value)
        if size >= BLOCK_SIZE:
            index.append((key, _append(file, entries)))
            entries, size = [], 0
    if entries:
        index.append((entries[-1][0], _append(file, entries)))
    handles = _append(file, []) + _append(file, index)
    return bytes(file) + handles.ljust(FOOTER - 8, b"\0") + struct.pack("<Q", MAGIC)


def _append(file, entries):
    """Put a block behind what stands in a file; returns its handle: where it is and how long."""
    block, restarts, before = bytearray(), [], b""
    for number, (key, value) in enumerate(entries):
        if number % RESTART_INTERVAL == 0:
            restarts.append(len(block))
            before = b""
        shared = _shared(before, key)
        block += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        before = key
    restarts = restarts or [0]
    block += struct.pack(f"<{len(restarts) + 1}I", *restarts, len(restarts))
    handle = varint(len(file)) + varint(len(block))
    file += block + _TRAILER.pack(0, masked(bytes(block) + b"\0"))
    return handle


def _shared(a, b):
    """The length of what two keys begin with."""
    length = min(len(a), len(b))
    return next((i for i in range(length) if a[i] != b[i]), length)


def decoded(data, path):
    """The values of a table by their keys.

    Args:
        data: the bytes of the file.
        path: its name, for errors.

    Raises:
        DataLossError: it is no table, or damaged.
        UnimplementedError: its blocks are compressed.
    """
    try:
        footer = len(data) - FOOTER
        if footer < 0 or struct.unpack_from("<Q", data, len(data) - 8)[0] != MAGIC:
            raise damaged(path, max(footer, 0), "not an sstable (bad magic number)")
        _, _, place = _handle(data, footer)
        offset, size, _ = _handle(data, place)
        found = {}
        for _, handle in _entries(data, offset, size, path):
            found.update(_entries(data, *_handle(handle, 0)[:2], path))
        return found
    except (ValueError, struct.error) as error:
        raise damaged(path, 0, "corrupted sstable: its footer or index holds no numbers") from error


def _handle(data, place):
    offset, place = read_varint(data, place)
    size, place = read_varint(data, place)
    return offset, size, place


def _entries(data, offset, size, path):
    """The pairs of a block."""
    end = offset + size
    if end + _TRAILER.size > len(data):
        raise damaged(path, offset, "truncated block of an sstable")
    compression, crc = _TRAILER.unpack_from(data, end)
    block = data[offset:end]
    if masked(data[offset : end + 1]) != crc:
        raise damaged(path, offset, "block checksum mismatch in an sstable")
    if compression:
        raise UnimplementedError(None, None, f"Compressed blocks of sstables (type {compression}) are not read: {path}")
    limit = len(block) - 4 * (1 + _INT.unpack_from(block, len(block) - 4)[0])
    found, place, key = [], 0, b""
    while place < limit:
        shared, place = read_varint(block, place)
        rest, place = read_varint(block, place)
        length, place = read_varint(block, place)
        if shared > len(key) or place + rest + length > limit:
            raise damaged(path, offset + place, "corrupted entry of an sstable")
        key = key[:shared] + block[place : place + rest]
        place += rest
        found.append((key, block[place : place + length]))
        place += length
    return found
