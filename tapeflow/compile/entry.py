"""The fast call: a builtin function, made at run time, that checks its tensors in native code and enters a step.

`entry(*tensors)` compares each argument's type, dtype, shape and layout with what the step was compiled for, puts the
addresses of the data into the step's table, runs it and returns new tensors: 0.1 to 0.2 us besides the step. Whatever does
not fit gives `NotImplemented`, and the caller goes the ordinary way. So does a step that failed: it has no effects, and the
ordinary way runs it again and finds the words.

The code reads CPython's and NumPy's objects where their headers put things. All of that is checked below against real
objects; where it is otherwise (another interpreter, a build without the lock, another NumPy) there is no fast call.
"""

import ctypes
import sys
import sysconfig
from typing import NamedTuple

import numpy as np

from tapeflow.compile.jit import compile_text
from tapeflow.compile.text import I8, I32, I64, INDEX, PTR, Module, type_of
from tapeflow.core.tensor import Tensor, ndarray, wrap

POINTER = ctypes.c_void_p

# Offsets in objects
TYPE = 8
DATA, RANK, DIMS, DESCR, FLAGS = 16, 24, 32, 56, 64  # of an ndarray
PAYLOAD = 16  # of a NumPy scalar
BYTES = 32  # of the first byte of a `bytes` object
USABLE = 0x1 | 0x100  # C order, aligned

FASTCALL = 0x80

# The first words of an entry's constants; those of arguments and results follow
STEP, TABLE, TENSOR, NDARRAY, REFUSED, NONE, EMPTY = range(7)
FIRST = 7


class Argument(NamedTuple):
    """A tensor that the step reads: an ndarray's address goes into a slot of the table, a scalar's value to an address."""

    dtype: np.dtype
    shape: tuple
    slot: int = 0  # for an ndarray
    cell: int = 0  # for a scalar: the address of its place


class Result(NamedTuple):
    """A tensor that the step makes: a new ndarray whose address goes into a slot, or a scalar read from an address."""

    dtype: np.dtype
    shape: tuple
    slot: int = 0
    cell: int = 0


def make_entry(step, table, arguments, results, failures=(), keep=()):
    """A builtin function of tensors that runs a step, or None where there is no fast call.

    Args:
        step: the address of native code that takes the table's address. It holds the interpreter's lock: for steps that
            take microseconds.
        table: the address of the table.
        arguments: an `Argument` for each tensor, in order.
        results: a `Result` for each tensor of the result; one is returned as it is, several as a tuple.
        failures: addresses of 64-bit words that are not 0 after the step has failed; they are set to 0.
        keep: objects that must live as long as the function.

    Returns:
        the function. It gives `NotImplemented` where an argument does not fit or the step failed.

    Example:
        >>> import numpy as np
        >>> import tapeflow as tf
        >>> from tapeflow.compile.jit import compile_text
        >>> code = compile_text("define void @nothing(ptr %table) { ret void }", ["nothing"])
        >>> cell = np.float32([5])
        >>> scalar = {"dtype": np.dtype("f4"), "shape": (), "cell": cell.ctypes.data}
        >>> entry = make_entry(code["nothing"], 0, [Argument(**scalar)], [Result(**scalar)], keep=(code, cell))
        >>> entry(tf.constant(7.0)), entry(tf.constant(7))
        (<tf.Tensor: shape=(), dtype=float32, numpy=7.0>, NotImplemented)
    """
    if not AVAILABLE or not all(_known(x.dtype) for x in (*arguments, *results)):
        return None
    constants = _Constants(step, table)
    module = Module()
    _write(module, constants, arguments, results, failures)
    code = compile_text(str(module), ["entry"])
    return _builtin(code, constants.packed(), keep)


def _known(dtype):
    """Whether the scalars of a dtype are NumPy's own, whose values stand behind the header."""
    return dtype.isbuiltin == 1 and dtype.kind in "fiubc"


class _Constants:
    """Addresses that the code reads from its `self`, so that the text is the same in every process and is cached."""

    def __init__(self, step, table):
        self.kept = [Tensor, ndarray, NotImplemented, None, np.empty]
        self.words = [step, table, *map(id, self.kept)]

    def add(self, thing):
        """The number of a new word: an object's address, or an int as it is."""
        if thing.__class__ is not int:
            self.kept.append(thing)
            thing = id(thing)
        self.words.append(thing)
        return len(self.words) - 1

    def packed(self):
        """All words as bytes, and the objects that they are of."""
        return np.array(self.words, np.int64).tobytes(), self.kept


def _write(module, constants, arguments, results, failures):
    signature = [("self", PTR), ("args", PTR), ("count", INDEX)]
    with module.function("entry", signature, PTR) as f:
        own, args, count = f.arguments

        def word(number, type=PTR):
            return f.load(own + (BYTES + 8 * number), type)

        def give_up():
            refused = word(REFUSED)
            _hold(f, refused)
            f.ret(refused)

        table = word(TABLE)
        writer = _Writer(f, constants, word, table, give_up)
        writer.check(count.equals(len(arguments)))
        values = [writer.check_argument(f.load(args + 8 * i, PTR), argument) for i, argument in enumerate(arguments)]
        made = [writer.prepare(result) for result in results]
        # From here on no Python code runs, so no other call can come between and use the table.
        for value, argument in zip(values, arguments, strict=True):
            writer.take(value, argument)
        for array, result in zip(made, results, strict=True):
            if array is not None:
                f.store(f.load(array + DATA, PTR), table + 8 * result.slot)
        f.line(f"call void {word(STEP)}(ptr {table})")
        writer.check_failures(failures, made)
        tensors = [writer.tensor(result, value) for result, value in zip(results, made, strict=True)]
        f.ret(tensors[0] if len(tensors) == 1 else writer.tuple(tensors))


def _hold(f, thing):
    """Count one more reference."""
    f.module.declare("Py_IncRef", "void", PTR)
    f.call("Py_IncRef", None, thing)


def _drop(f, thing):
    f.module.declare("Py_DecRef", "void", PTR)
    f.call("Py_DecRef", None, thing)


class _Writer:
    def __init__(self, f, constants, word, table, give_up):
        self.f, self.constants, self.word, self.table, self.give_up = f, constants, word, table, give_up

    def check(self, holds):
        """Leave with `NotImplemented` unless a condition holds."""
        f = self.f
        no, yes = f.name("no"), f.name("yes")
        f.branch(holds, yes, no)
        f.label(no)
        self.give_up()
        f.label(yes)

    def _is(self, thing, type):
        return self.f.load(thing + TYPE, PTR).equals(type)

    def check_argument(self, tensor, argument):
        """Check one argument; its ndarray or NumPy scalar."""
        f, constants = self.f, self.constants
        self.check(self._is(tensor, self.word(TENSOR)))
        value = f.load(tensor + OFFSETS["_value"], PTR)
        if not argument.shape:
            self.check(self._is(value, self.word(constants.add(argument.dtype.type))))
            return value
        self.check(self._is(value, self.word(NDARRAY)))
        fits = f.load(value + DESCR, PTR).equals(self.word(constants.add(argument.dtype)))
        fits = fits & f.load(value + RANK, I32).equals(len(argument.shape))
        fits = fits & (f.load(value + FLAGS, I32) & USABLE).equals(USABLE)
        self.check(fits)
        dims = f.load(value + DIMS, PTR)
        same = [f.load(dims + 8 * axis, I64).equals(size) for axis, size in enumerate(argument.shape)]
        for more in same[1:]:
            same[0] = same[0] & more
        self.check(same[0])
        return value

    def take(self, value, argument):
        """Put a checked argument where the step reads it."""
        f = self.f
        if argument.shape:
            f.store(f.load(value + DATA, PTR), self.table + 8 * argument.slot)
        else:
            cell = self.word(self.constants.add(argument.cell))
            _copy_scalar(f, cell, value + PAYLOAD, argument.dtype.itemsize)

    def prepare(self, result):
        """A new array for a result; None for a scalar."""
        if not result.shape:
            return None
        f = self.f
        f.module.declare("PyObject_Call", PTR, PTR, PTR, PTR)
        arguments = self.word(self.constants.add((result.shape, result.dtype)))
        array = f.call("PyObject_Call", PTR, self.word(EMPTY), arguments, f.constant(PTR, 0))
        self._need(array)
        return array

    def _need(self, thing):
        """Leave with Python's exception where an object could not be made."""
        f = self.f
        with f.when(thing.equals(0)):
            f.ret(f.constant(PTR, 0))
            f.label(f.name("dead"))

    def check_failures(self, failures, made):
        """Leave where the step failed."""
        f = self.f
        if not failures:
            return
        cells = [self.word(self.constants.add(address)) for address in failures]
        failed = [f.load(cell, I64) for cell in cells]
        for more in failed[1:]:
            failed[0] = failed[0] | more
        with f.when(failed[0].differs(0)):
            for cell in cells:
                f.store(f.constant(I64, 0), cell)
            for array in made:
                if array is not None:
                    _drop(f, array)
            self.give_up()
            f.label(f.name("dead"))

    def tensor(self, result, value):
        """A new tensor of an array or of a scalar's place."""
        f, constants = self.f, self.constants
        if value is None:
            value = self._scalar(result)
        made = self._new(self.word(TENSOR))
        none = self.word(NONE)
        dtype = self.word(constants.add(wrap(np.zeros((), result.dtype)[()])._dtype))
        for thing, name in ((dtype, "_dtype"), (none, "_mark")):
            _hold(f, thing)
            f.store(thing, made + OFFSETS[name])
        f.store(value, made + OFFSETS["_value"])
        return made

    def _new(self, type):
        f = self.f
        f.module.declare("PyType_GenericAlloc", PTR, PTR, INDEX)
        made = f.call("PyType_GenericAlloc", PTR, type, f.index(0))
        self._need(made)
        return made

    def _scalar(self, result):
        f, constants = self.f, self.constants
        cell = self.word(constants.add(result.cell))
        if result.dtype.kind == "b":  # there are two of them
            yes, no = (self.word(constants.add(np.bool_(value))) for value in (True, False))
            value = f.where(f.load(cell, I8).differs(0), yes, no)
            _hold(f, value)
            return value
        made = self._new(self.word(constants.add(result.dtype.type)))
        _copy_scalar(f, made + PAYLOAD, cell, result.dtype.itemsize)
        return made

    def tuple(self, things):
        """A new tuple of objects."""
        f = self.f
        f.module.declare("PyTuple_New", PTR, INDEX)
        f.module.declare("PyTuple_SetItem", I32, PTR, INDEX, PTR)
        made = f.call("PyTuple_New", PTR, f.index(len(things)))
        self._need(made)
        for number, thing in enumerate(things):
            f.call("PyTuple_SetItem", I32, made, f.index(number), thing)
        return made


def _copy_scalar(f, target, source, size):
    if size > 8:
        f.copy(target, source, size)
    else:
        f.store(f.load(source, type_of(f"i{8 * size}")), target)


# Builtin functions


class _Method(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("call", POINTER), ("flags", ctypes.c_int), ("doc", ctypes.c_char_p)]


_NAME = b"step"


def _builtin(code, constants, keep):
    """A builtin function of native code; what it needs lives as long as it does."""
    data, objects = constants
    method = _Method(_NAME, code["entry"], FASTCALL, None)
    owner = _Owner(data)
    owner.kept = (code, method, objects, keep)
    return _new_builtin(ctypes.addressof(method), owner, None)


class _Owner(bytes):
    """An entry's constants, which its builtin function has as `self`."""

    kept: tuple


def _new_builtin(method, owner, module):
    make = ctypes.pythonapi.PyCFunction_NewEx
    make.restype = ctypes.py_object
    make.argtypes = [POINTER, ctypes.py_object, POINTER]
    return make(method, owner, module)


# Where things are


def _slot_offset(name):
    """Where a slot of `Tensor` is in the object: the member descriptor knows."""
    member = POINTER.from_address(id(Tensor.__dict__[name]) + 40).value
    return ctypes.c_ssize_t.from_address(member + 16).value


def _word(address):
    return POINTER.from_address(address).value or 0


def _find_offsets():
    """The offsets of `Tensor`'s slots, or None where any object is not laid out as the code takes it."""
    if sys.implementation.name != "cpython" or sysconfig.get_config_var("Py_GIL_DISABLED") or ctypes.sizeof(POINTER) != 8:
        return None
    offsets = {name: _slot_offset(name) for name in ("_value", "_dtype", "_mark")}
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    tensor = wrap(array)
    real, small, constants = np.float64(2.5), np.int8(-3), _Owner(b"constants")
    dims = _word(id(array) + DIMS)
    flags = [ctypes.c_int.from_address(id(x) + FLAGS).value & USABLE for x in (array, array[:, ::2])]
    right = (
        all(_word(id(tensor) + offset) == id(getattr(tensor, name)) for name, offset in offsets.items())
        and _word(id(tensor) + TYPE) == id(Tensor)
        and _word(id(array) + DATA) == array.ctypes.data
        and ctypes.c_int.from_address(id(array) + RANK).value == 2
        and [_word(dims), _word(dims + 8)] == [2, 3]
        and _word(id(array) + DESCR) == id(array.dtype) == id(np.dtype("f4"))
        and flags == [USABLE, USABLE & ~1]
        and ctypes.c_double.from_address(id(real) + PAYLOAD).value == 2.5
        and ctypes.c_int8.from_address(id(small) + PAYLOAD).value == -3
        and ctypes.string_at(id(constants) + BYTES, 9) == b"constants"
    )
    return offsets if right else None


try:
    OFFSETS = _find_offsets() or {}
except (AttributeError, KeyError, TypeError, ValueError):
    OFFSETS = {}
AVAILABLE = bool(OFFSETS)
