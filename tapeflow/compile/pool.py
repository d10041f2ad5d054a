"""The thread pool: bare operating system threads that run native code alone. `runtime` is what they run.

They hold no Python state: no lock of the interpreter, no part in its shutdown. Signals are blocked in them, so Ctrl-C
reaches Python's thread. After a fork the child has none, and makes its own when it first needs them. A step that finds the
pool taken by another Python thread runs alone, on that thread.
"""

import atexit
import contextlib
import ctypes
import importlib
import mmap
import os
import signal
import threading
import time

from tapeflow.compile import kept, pool_memory
from tapeflow.compile.host import cores
from tapeflow.compile.threads import set_thread_count as set_thread_count
from tapeflow.compile.threads import settings as settings

MOST_THREADS = 64
EXIT_WAIT = 0.05  # seconds that the interpreter's exit waits for workers


_lock = threading.RLock()
_pool = None


def thread_count():
    """How many threads a step may use, the caller's among them."""
    return min(MOST_THREADS, settings.threads or cores())


def ensure():
    """Have a pool of the present settings; whoever runs native steps calls it where `settings.stale` is not 0."""
    global _pool
    with _lock:
        if not settings.stale.value:
            return
        if _pool is not None:
            _pool.stop()
        settings.stale.value = 0  # first: who changes the number now makes it stale again
        count = thread_count()
        _pool = Pool(count, settings.scratch) if count > 1 else None
        _current().value = _pool.address if _pool else None


def reserve(scratch):
    """Have so many bytes of scratch memory for each thread, before a program that wants them is run."""
    with _lock:
        if scratch > settings.scratch:
            settings.scratch = scratch
            if _pool is not None:
                _pool.give_scratch(scratch)


def imports():
    """The addresses of the functions that a step calls, by name, for the linker."""
    return {name: _runtime()[name] for name in pool_memory.NAMES}


def allocator():
    """The addresses of the functions that NumPy calls for memory."""
    return [_runtime()[name] for name in pool_memory.ALLOCATOR]


_code = None
_preparing = None  # the thread that makes it


def prepare():
    """Begin to make the runtime's code on a thread of its own: 30 ms of LLVM's own work, while a program is planned."""
    global _preparing
    if _code is None and _preparing is None:
        _preparing = threading.Thread(target=_prepare, name="tapeflow-runtime")
        with contextlib.suppress(RuntimeError):  # the interpreter is ending, or there are too many: who needs it makes it
            _preparing.start()


def _prepare():
    with contextlib.suppress(Exception):  # who needs it has the words for it
        _runtime()


def _wait():
    """Before a fork: the child would have what the thread holds of LLVM, and not the thread."""
    if _preparing is not None and _preparing.is_alive():
        _preparing.join()


def _runtime():
    """The runtime's code, which stays for ever: a worker may be in it."""
    global _code
    with _lock:
        if _code is None:
            names = [*pool_memory.NAMES, *pool_memory.ALLOCATOR, pool_memory.CURRENT]
            _code = kept.code_of("runtime", _text, names)
        return _code


def _text():
    return importlib.import_module("tapeflow.compile.runtime").runtime_text()


def _current():
    """The native variable that names the pool."""
    return ctypes.c_void_p.from_address(_runtime()[pool_memory.CURRENT])


class Pool:
    """So many threads, of which the caller is one.

    Its memory is never given back: a step on another thread may be looking at it when it is stopped.
    """

    def __init__(self, threads, scratch):
        self.threads = threads
        self._memory = mmap.mmap(-1, pool_memory.SHARES + pool_memory.LINE * threads)
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))
        self._scratch = []
        self._word(pool_memory.THREADS).value = threads
        self.give_scratch(scratch)
        self._starts = [(ctypes.c_uint64 * 2)(self.address, number) for number in range(1, threads)]
        self._start()

    def _word(self, offset, type=ctypes.c_int32):
        return type.from_address(self.address + offset)

    def _start(self):
        libc = ctypes.CDLL(None)
        worker = ctypes.c_void_p(_runtime()["tapeflow_worker"])
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # workers inherit the mask
        try:
            for start in self._starts:
                thread = ctypes.c_ulong()
                error = libc.pthread_create(ctypes.byref(thread), None, worker, ctypes.byref(start))
                if error:
                    raise OSError(error, f"A thread of the pool cannot be started: {os.strerror(error)}")
                libc.pthread_detach(thread)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)

    def give_scratch(self, size):
        """Give each thread so much scratch memory. What it had stays, for a tile may be using it."""
        size = -(-size // mmap.PAGESIZE) * mmap.PAGESIZE
        if not size:
            return
        for number in range(self.threads):
            memory = mmap.mmap(-1, size)
            self._scratch.append(memory)
            place = pool_memory.SHARES + pool_memory.LINE * number + pool_memory.SCRATCH
            self._word(place, ctypes.c_void_p).value = ctypes.addressof(ctypes.c_char.from_buffer(memory))

    @property
    def live(self):
        """How many workers run."""
        return self._word(pool_memory.LIVE).value

    def stop(self):
        """End the workers, once no step runs on them."""
        _retired.append(self)
        ctypes.CFUNCTYPE(None, ctypes.c_void_p)(_runtime()["tapeflow_stop"])(self.address)


_retired: list = []


def _stop_at_exit():
    if _pool is None:
        return
    _pool.stop()
    end = time.monotonic() + EXIT_WAIT
    while _pool.live and time.monotonic() < end:
        time.sleep(0.001)


def _forget():
    """In a forked child: the workers are not there."""
    global _pool, _lock
    _lock = threading.RLock()
    if _pool is not None:
        _retired.append(_pool)
        _current().value = None
        _pool = None
    settings.stale.value = 1


atexit.register(_stop_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_wait, after_in_child=_forget)
