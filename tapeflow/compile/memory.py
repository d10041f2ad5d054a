"""Where values live: one arena for what is computed on the way, a slot of the pointer table for everything else."""

from tapeflow.compile.affine import size

ALIGN = 64  # a cache line, and the widest vector


class Arena:
    """Offsets in one block of memory; places that are given back are used again.

    Attributes:
        size: the bytes that the block must have.
    """

    def __init__(self):
        self.size = 0
        self._free = []  # (offset, bytes), sorted, never touching

    def take(self, count):
        """The offset of `count` bytes: in the smallest gap that has them."""
        count = -(-max(count, 1) // ALIGN) * ALIGN
        fits = [(room, offset) for offset, room in self._free if room >= count]
        if fits:
            room, offset = min(fits)
            self._free.remove((offset, room))
            if room > count:
                self._insert(offset + count, room - count)
            return offset
        if self._free and sum(self._free[-1]) == self.size:  # the last gap reaches the end: let it grow
            offset, _ = self._free.pop()
        else:
            offset = self.size
        self.size = offset + count
        return offset

    def shrink(self, size):
        """Forget what was taken since the block had `size` bytes; nothing was given back in between."""
        self.size = min(size, self.size)

    def give_back(self, offset, count):
        """Let the place be used again."""
        self._insert(offset, -(-max(count, 1) // ALIGN) * ALIGN)

    def _insert(self, offset, room):
        gaps = sorted([*self._free, (offset, room)])
        self._free = gaps[:1]
        for start, count in gaps[1:]:
            last, have = self._free[-1]
            if last + have == start:
                self._free[-1] = (last, have + count)
            else:
                self._free.append((start, count))


def bytes_of(value):
    """How many bytes a value takes in memory."""
    return size(value.dims) * value._dtype.size


__all__ = ["ALIGN", "Arena", "bytes_of"]
