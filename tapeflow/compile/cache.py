"""Compiled objects on disk: content-addressed, private to the user, bounded, and never trusted when damaged.

An entry is one file named by its key. It holds a digest of the key and the object, so that a file that was cut short,
altered or renamed is a miss. A file is written under a temporary name and renamed, which is atomic: two processes that
write one entry at once both succeed, and one that is killed leaves a temporary file that the next cleaning removes.
"""

import contextlib
import hashlib
import os
import stat
import time
import warnings
from pathlib import Path

from tapeflow.base import flags

LIMIT = 256 << 20  # bytes in the folder; an MLP's training step is 20 KB of object code
CLEAN_EVERY = 64  # entries written by this process between two looks at the folder's size
STALE = 3600  # seconds after which a temporary file is left over from a killed process
DIGEST = hashlib.sha256().digest_size


def key_of(*parts):
    """The key of an entry: a digest of texts, each with its length so that no two lists of parts run together."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode()
        digest.update(b"%d:" % len(data))
        digest.update(data)
    return digest.hexdigest()


class Cache:
    """The entries of one folder.

    Example:
        >>> import tempfile
        >>> from tapeflow.compile.cache import Cache
        >>> cache = Cache(tempfile.mkdtemp())
        >>> cache.put("abc", b"code")
        >>> cache.get("abc"), cache.get("abd")
        (b'code', None)
    """

    def __init__(self, folder, limit=LIMIT):
        self.folder = Path(folder).expanduser()
        self.limit = limit
        self.written = 0
        self.usable = self._prepare()

    def _prepare(self):
        """Make the folder; whoever can write it can make this process run code, so it must be the user's alone."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            found = self.folder.stat()
        except OSError as error:
            return self._refuse(f"it cannot be made ({error.strerror})")
        if not hasattr(os, "getuid"):  # Windows: folders of a user's profile are private
            return True
        if found.st_uid != os.getuid():
            return self._refuse(f"it belongs to user {found.st_uid}")
        if stat.S_IMODE(found.st_mode) & 0o022:
            return self._refuse(f"others may write to it (mode {stat.S_IMODE(found.st_mode):o}); chmod 700 mends it")
        return True

    def _refuse(self, reason):
        warnings.warn(f"Compiled code is not kept in {self.folder}: {reason}.", RuntimeWarning, stacklevel=4)
        return False

    def get(self, key):
        """The object of an entry, or None where there is none or it is damaged."""
        if not self.usable:
            return None
        path = self.folder / key
        try:
            data = path.read_bytes()
        except OSError:
            return None
        code = data[DIGEST:]
        if data[:DIGEST] != _digest(key, code):
            return None
        with contextlib.suppress(OSError):  # the time of access: many file systems do not keep it themselves
            os.utime(path)
        return code

    def put(self, key, code):
        """Keep an object; a full disk or a folder that vanished only means that nothing is kept."""
        if not self.usable:
            return
        with contextlib.suppress(OSError):
            self._write(self.folder / key, _digest(key, code) + code)
        if self.written % CLEAN_EVERY == 0:
            self.clean()
        self.written += 1

    def _write(self, path, data):
        name = self.folder / f".{os.urandom(8).hex()}"
        handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            os.replace(name, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(name)
            raise

    def clean(self):
        """Drop what killed writers left, and the entries that were not used for longest while there are too many."""
        entries = []
        now = time.time()
        with contextlib.suppress(OSError), os.scandir(self.folder) as found:
            for entry in found:
                with contextlib.suppress(OSError):
                    state = entry.stat(follow_symlinks=False)
                    if not entry.name.startswith("."):
                        entries.append((state.st_mtime, state.st_size, entry.path))
                    elif now - state.st_mtime > STALE:
                        os.unlink(entry.path)
        total = sum(size for _, size, _ in entries)
        for _, size, path in sorted(entries):
            if total <= self.limit:
                break
            with contextlib.suppress(OSError):  # another process was quicker
                os.unlink(path)
            total -= size


def _digest(key, code):
    return hashlib.sha256(key.encode() + code).digest()


_caches: dict[str, Cache] = {}


def cache():
    """The `Cache` in the folder that `TAPEFLOW_CACHE` names, or None where it is empty."""
    folder = flags.TAPEFLOW_CACHE
    if not folder:
        return None
    if folder not in _caches:
        _caches[folder] = Cache(folder)
    return _caches[folder]
