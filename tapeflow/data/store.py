"""Elements kept for later: `cache`."""

from tapeflow.data.dataset import UnaryDataset, method
from tapeflow.data.stream import Plain, Stream


class CacheDataset(UnaryDataset):
    """The elements of the first complete pass, kept in memory."""

    def __init__(self, source):
        super().__init__(source)
        self._kept = None

    def _elements(self, run):
        return CachingStream(self._source._stream(run), self) if self._kept is None else Plain(self._kept)


class CachingStream(Stream):
    """The elements of a stream, which a dataset keeps once it has them all."""

    __slots__ = ("_dataset", "_kept", "_source")

    def __init__(self, source, dataset):
        self._source, self._dataset = source, dataset
        self._kept = []

    def __next__(self):
        try:
            values = next(self._source)
        except StopIteration:
            self._dataset._kept = self._kept
            raise
        self._kept.append(values)
        return values


@method("cache")
def cache(self, filename="", name=None):
    """The same elements, computed in the first complete iteration and kept in memory, or in a file."""
    if filename:
        raise NotImplementedError("later")
    return CacheDataset(self)
