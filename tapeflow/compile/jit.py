"""LLVM text to machine code that can be called.

No IR pass pipeline is run: the text is in SSA with explicit vectors already, and passes doubled the time to compile a
training step (102 to 184..268 ms) without making it faster. Code generation at level 2; level 0 made code 7 times slower.
"""

import ctypes
import itertools
import sys
import threading
import time

from tapeflow.base import flags
from tapeflow.compile.cache import cache, key_of
from tapeflow.compile.host import host

LEVEL = 2
_numbers = itertools.count()
_lock = threading.RLock()  # llvmlite's objects are not made for several threads
_machines: dict = {}
_jit = None


class Code:
    """The loaded machine code of one module, freed with this object.

    Whoever runs the code must hold the object until it is done: `function` gives a callable that does. A worker of the
    pool enters code only for a tile that its caller waits for, so it is never inside when the last holder lets go.
    """

    def __init__(self, tracker, names, text="", seconds=0.0, size=0):
        self._tracker = tracker
        self.names = tuple(names)
        self.text = text
        self.seconds = seconds  # to make it, or to load it where the disk had it
        self.size = size  # bytes of object code

    def __getitem__(self, name):
        """The address of an exported function."""
        return self._tracker[name]

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


def compile_text(text, names, imports=None):
    """The `Code` of a module in LLVM's textual form, from the disk cache where it is there.

    Args:
        text: the module.
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
    target = host()
    store = cache()
    key = key_of(text, target.cpu, target.features, str(LEVEL), _version())
    code = store.get(key) if store else None
    with _lock:
        if code is not None:
            try:
                tracker = _load(code, names, imports)
            except RuntimeError:  # sound, yet not what this LLVM links: compiled anew below
                code = None
        if code is None:
            code = _emit(text, target)
            if store:
                store.put(key, code)
            tracker = _load(code, names, imports)
    return Code(tracker, names, text, time.perf_counter() - start, len(code))


def assembly(text):
    """The assembly that a module becomes, for people (`DEBUG=5`, `explain`)."""
    with _lock:
        return _machine(host()).emit_assembly(_parse(text))


def _version():
    import llvmlite.binding as llvm

    return f"llvmlite {sys.modules['llvmlite'].__version__} llvm {llvm.llvm_version_info}"


def _parse(text):
    import llvmlite.binding as llvm

    _initialize()
    module = llvm.parse_assembly(text)
    module.verify()  # 3 % of the time; what is wrong would end the process in code generation
    return module


def _emit(text, target):
    if flags.DEBUG >= 4:
        print(text, file=sys.stderr)
    if flags.DEBUG >= 5:
        print(assembly(text), file=sys.stderr)
    return _machine(target).emit_object(_parse(text))


def _load(code, names, imports):
    import llvmlite.binding as llvm

    global _jit
    if _jit is None:
        _jit = llvm.create_lljit_compiler(_machine(host()))
    builder = llvm.JITLibraryBuilder().add_object_img(code).add_current_process()
    for name in names:
        builder.export_symbol(name)
    for name, address in (imports or {}).items():
        builder.import_symbol(name, address)
    return builder.link(_jit, f"tapeflow{next(_numbers)}")


def _initialize():
    import llvmlite.binding as llvm

    if not _machines:
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()


def _machine(target):
    import llvmlite.binding as llvm

    machine = _machines.get((target.cpu, target.features))
    if machine is None:
        _initialize()
        machine = llvm.Target.from_default_triple().create_target_machine(
            cpu=target.cpu, features=target.features, opt=LEVEL, codemodel="jitdefault", jit=True, reloc="default"
        )
        _machines[target.cpu, target.features] = machine
    return machine
