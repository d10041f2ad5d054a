"""The part of LLVM that is used here: llvmlite's library, called by the C names of its functions.

llvmlite's own Python modules take 20 ms to load, most of it for what is not used here, and let one thread into LLVM at a time. The C
names are no promise of llvmlite's, so `pyproject.toml` names the releases that have them.
"""

import ctypes
import functools
import itertools
import os
import threading
import weakref
from ctypes import c_bool, c_char_p, c_int, c_size_t, c_uint, c_void_p

OBJECT, SYMBOLS = 2, 3  # what is linked: object code; the symbols of a library, of this process where it has no name
_numbers = itertools.count()
_lock = threading.RLock()
if hasattr(os, "register_at_fork"):  # a child gets no lock that a thread holds which it does not have
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)


class _Element(ctypes.Structure):
    _fields_ = [("kind", ctypes.c_uint8), ("value", c_char_p), ("size", c_size_t)]


class _Symbol(ctypes.Structure):
    _fields_ = [("name", c_char_p), ("address", ctypes.c_uint64)]


# Each function's result and arguments. A last `c_void_p` takes the address of a text that the function may leave there.
FUNCTIONS = {
    "ContextCreate": (c_void_p,),
    "ContextDispose": (None, c_void_p),
    "CreateLLJITCompiler": (c_void_p, c_void_p, c_bool, c_bool, c_void_p),
    "CreateTargetMachine": (c_void_p, c_void_p, *[c_char_p] * 3, c_int, c_char_p, c_char_p, c_int, c_int, c_char_p),
    "DisposeMemoryBuffer": (None, c_void_p),
    "DisposeModule": (None, c_void_p),
    "DisposeString": (None, c_void_p),
    "DisposeTargetMachine": (None, c_void_p),
    "GetBufferSize": (c_size_t, c_void_p),
    "GetBufferStart": (c_void_p, c_void_p),
    "GetDefaultTargetTriple": (None, c_void_p),
    "GetHostCPUFeatures": (c_int, c_void_p),
    "GetHostCPUName": (None, c_void_p),
    "GetTargetFromTriple": (c_void_p, c_char_p, c_void_p),
    "GetVersionInfo": (c_uint,),
    "InitializeNativeAsmPrinter": (None,),
    "InitializeNativeTarget": (None,),
    "LLJIT_Dylib_Tracker_Dispose": (c_bool, c_void_p, c_void_p),
    "LLJIT_Link": (c_void_p, c_void_p, c_char_p, *[c_void_p, c_size_t] * 3, c_void_p),
    "ParseAssembly": (c_void_p, c_void_p, c_char_p, c_void_p),
    "TargetMachineEmitToMemory": (c_void_p, c_void_p, c_void_p, c_int, c_void_p),
    "VerifyModule": (c_bool, c_void_p, c_void_p),
}


@functools.cache
def _opened():
    import llvmlite
    from llvmlite.utils import get_library_name

    opened = ctypes.CDLL(os.path.join(os.path.dirname(llvmlite.__file__), "binding", get_library_name()))
    for name, (result, *arguments) in FUNCTIONS.items():
        function = getattr(opened, f"LLVMPY_{name}")
        function.restype, function.argtypes = result, arguments
        setattr(opened, name, function)
    opened.InitializeNativeTarget()
    opened.InitializeNativeAsmPrinter()
    opened.version = f"llvmlite {llvmlite.__version__} llvm {opened.GetVersionInfo():x}"
    return opened


def library():
    """The library, with its functions as attributes; loaded when it is first asked for."""
    with _lock:
        return _opened()


def version():
    """What code depends on besides its text and its target."""
    return library().version


def _with_text(name, *arguments):
    """What a function returns, and the text that it leaves."""
    place = c_void_p()
    result = getattr(library(), name)(*arguments, ctypes.byref(place))
    if not place.value:
        return result, ""
    text = ctypes.string_at(place.value).decode(errors="replace")
    library().DisposeString(place)
    return result, text


def host_cpu():
    """LLVM's name of this machine's processor."""
    return _with_text("GetHostCPUName")[1]


def host_features():
    """The names of the processor's features, and whether it has each."""
    _, text = _with_text("GetHostCPUFeatures")
    return {feature[1:]: feature[0] == "+" for feature in text.split(",") if feature}


class Machine:
    """A target machine; one is for one thread."""

    def __init__(self, cpu, features, level):
        _, triple = _with_text("GetDefaultTargetTriple")
        target, error = _with_text("GetTargetFromTriple", triple.encode())
        if not target:
            raise RuntimeError(error)
        triple += "-elf" * (os.name == "nt")  # what the linker can read
        self.pointer = library().CreateTargetMachine(
            target, triple.encode(), cpu.encode(), features.encode(), level, b"default", b"jitdefault", 0, 1, b""
        )
        if not self.pointer:
            raise RuntimeError(f"LLVM has no target machine for {cpu}.")
        weakref.finalize(self, library().DisposeTargetMachine, self.pointer).atexit = False

    def emit(self, text, assembly=False):
        """The object code of a module's text, or its assembly, as bytes.

        Raises:
            RuntimeError: the text is not a valid module.
        """
        llvm = library()
        context, module = llvm.ContextCreate(), None
        try:
            module, error = _with_text("ParseAssembly", context, text.encode())
            if not module:
                raise RuntimeError(f"LLVM cannot read a module: {error}")
            wrong, error = _with_text("VerifyModule", module)  # it would end the process in code generation
            if wrong:
                raise RuntimeError(f"LLVM refuses a module: {error}")
            buffer, error = _with_text("TargetMachineEmitToMemory", self.pointer, module, int(not assembly))
            if not buffer:
                raise RuntimeError(error)
            try:
                return ctypes.string_at(llvm.GetBufferStart(buffer), llvm.GetBufferSize(buffer))
            finally:
                llvm.DisposeMemoryBuffer(buffer)
        finally:
            if module:
                llvm.DisposeModule(module)
            llvm.ContextDispose(context)


_linker = None


def linker(make_machine):
    """What links code into this process; made for the first `make_machine()`, and stays."""
    global _linker
    with _lock:
        if _linker is None:
            machine = make_machine()
            # By JITLink: it keeps a module's parts together. The older linker ends the process where they lie too far apart.
            _linker, error = _with_text("CreateLLJITCompiler", machine.pointer, False, True)
            if not _linker:
                raise RuntimeError(error)
        return _linker


class Linked:
    """Object code in memory, which is given back with this object.

    Args:
        linker: what `linker` gave.
        objects: the object code of each module; they may refer to each other.
        names: the functions and variables whose addresses are wanted.
        imports: addresses of what the code refers to, by name, besides what this process has.

    Raises:
        RuntimeError: it cannot be linked.
    """

    def __init__(self, linker, objects, names, imports):
        parts = [(OBJECT, code, len(code)) for code in objects] + [(SYMBOLS, b"", 0)]
        elements = (_Element * len(parts))(*parts)
        exported = (_Symbol * len(names))(*[(name.encode(), 0) for name in names])
        imported = (_Symbol * len(imports))(*[(name.encode(), address) for name, address in imports.items()])
        tables = [x for table in (elements, imported, exported) for x in (table, len(table))]
        with _lock:
            tracker, error = _with_text("LLJIT_Link", linker, b"tapeflow%d" % next(_numbers), *tables)
        if not tracker:
            raise RuntimeError(error)
        self.addresses = {symbol.name.decode(): symbol.address for symbol in exported}
        weakref.finalize(self, _unload, tracker).atexit = False


def _unload(tracker):
    with _lock:
        failed, error = _with_text("LLJIT_Dylib_Tracker_Dispose", tracker)
    if failed:
        raise RuntimeError(error)
