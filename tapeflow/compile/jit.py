"""LLVM text to machine code that can be called.

No IR pass pipeline is run: the text is in SSA with explicit vectors already, and passes doubled the time to compile a
training step (102 to 184..268 ms) without making it faster. Code generation at level 2; level 0 made code 7 times slower.
"""

import ctypes
import sys
import threading
import time

from tapeflow.base import flags
from tapeflow.compile import llvm
from tapeflow.compile.cache import cache, key_of
from tapeflow.compile.host import host

LEVEL = 2


class Code:
    """The loaded machine code of one module, freed with this object.

    Whoever runs the code must hold the object until it is done: `function` gives a callable that does. A worker of the
    pool enters code only for a tile that its caller waits for, so it is never inside when the last holder lets go.
    """

    def __init__(self, linked, names, keys, seconds, size):
        self._linked = linked
        self.names = tuple(names)
        self.keys = tuple(keys)  # by which the disk cache has the object code of its texts
        self.seconds = seconds  # to make it, or to load it where the disk had it
        self.size = size  # bytes of object code

    def __getitem__(self, name):
        """The address of an exported function."""
        return self._linked.addresses[name]

    def function(self, name, *arguments, result=None):
        """An exported function as a ctypes callable, which lets other Python threads run during the call.

        Args:
            name: the function.
            arguments: the ctypes type of each argument; a pointer by default takes an integer address.
            result: the ctypes type of its result, or None.
        """
        function = ctypes.CFUNCTYPE(result, *arguments)(self[name])
        function.code = self
        return function


def compile_text(texts, names, imports=None):
    """The `Code` of a module in LLVM's textual form, from the disk cache where it is there.

    Args:
        texts: the module; or a list of modules that refer to each other, which are compiled at the same time.
        names: the functions whose addresses are wanted.
        imports: addresses of functions that the text declares, by name, besides those of the process.

    Raises:
        RuntimeError: the text is not a valid module (an error in a generator, never the user's).

    Example:
        >>> import ctypes
        >>> from tapeflow.compile.jit import compile_text
        >>> code = compile_text("define i64 @twice(i64 %x) { %y = add i64 %x, %x  ret i64 %y }", ["twice"])
        >>> code.function("twice", ctypes.c_int64, result=ctypes.c_int64)(21)
        42
    """
    start = time.perf_counter()
    texts = [texts] if isinstance(texts, str) else texts
    target = host()
    keys = [key_of(text, target.cpu, target.features, str(LEVEL), llvm.version()) for text in texts]
    code = load(keys, names, imports)
    if code is not None:
        return code
    objects = _emit(texts, target)
    store = cache()
    if store:
        for key, made in zip(keys, objects, strict=True):
            store.put(key, made)
    return _linked(objects, names, imports, keys, start)


def load(keys, names, imports=None):
    """The `Code` of modules that were compiled before, by its `keys`; None where the disk cache does not have them all."""
    start = time.perf_counter()
    store = cache()
    objects = [store.get(key) if store else None for key in keys]
    if None in objects:
        return None
    try:
        return _linked(objects, names, imports, keys, start)
    except RuntimeError:  # sound, yet not what this LLVM links: compiled anew
        return None


def _linked(objects, names, imports, keys, start):
    linked = llvm.Linked(_linker(), objects, names, imports or {})
    return Code(linked, names, keys, time.perf_counter() - start, sum(map(len, objects)))


def assembly(text):
    """The assembly that a module becomes, for people (`DEBUG=5`, `explain`)."""
    return _machine(host()).emit(text, assembly=True).decode()


def _emit(texts, target):
    """The object code of each text; the last is made on this thread, the others on their own, which LLVM lets run side by side."""
    for text in texts:
        if flags.DEBUG >= 4:
            print(text, file=sys.stderr)
        if flags.DEBUG >= 5:
            print(assembly(text), file=sys.stderr)
    found = [None] * len(texts)

    def emit(number):
        try:
            found[number] = _machine(target).emit(texts[number])
        except RuntimeError as error:
            found[number] = error

    threads = []
    for number in range(len(texts) - 1):
        thread = threading.Thread(target=emit, args=(number,))
        try:
            thread.start()
        except RuntimeError:  # the interpreter is ending, or there are too many
            emit(number)
        else:
            threads.append(thread)
    emit(len(texts) - 1)
    for thread in threads:
        thread.join()
    for code in found:
        if isinstance(code, RuntimeError):
            raise code
    return found


def _machine(target):
    return llvm.Machine(target.cpu, target.features, LEVEL)


def _linker():
    return llvm.linker(lambda: _machine(host()))
