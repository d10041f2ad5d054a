"""The fast call: a builtin function, made at run time, that checks its tensors in native code and enters a step.

`entry(*tensors)` compares each argument's type, dtype, shape and layout with what the step was compiled for, puts the
addresses of the data into the step's table, runs it and returns new tensors: 0.1 to 0.2 us besides the step, and 0.05 us
for each variable. Whatever does not fit gives `NotImplemented` before anything was done, and the caller goes the ordinary way.

There is no fast call where objects are not laid out as `objects` takes them to be.
"""

import ctypes
import sys
from typing import Any, NamedTuple

import numpy as np

from tapeflow.compile.jit import compile_text
from tapeflow.compile.objects import (
    AVAILABLE,
    BYTES,
    CHANGEABLE,
    COUNT,
    DATA,
    DESCR,
    DIMS,
    FLAGS,
    OFFSETS,
    PAYLOAD,
    POINTER,
    RANK,
    TYPE,
    USABLE,
    Owner,
)
from tapeflow.compile.text import I8, I32, I64, INDEX, PTR, Module, type_of
from tapeflow.core.tensor import Tensor, ndarray, wrap

FASTCALL = 0x80

# The first words of an entry's constants; those of arguments and results follow
STEP, TABLE, BUSY, TENSOR, NDARRAY, REFUSED, NONE, EMPTY, VALUE_NAME = range(9)


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


class Held(NamedTuple):
    """A variable that the step reads, where it finds its value, and whether it changes it there.

    An array is changed in place if nobody but the variable holds it, else the call is refused. A scalar that was changed
    is read from its cell afterwards, and becomes the variable's. Where `variable` is None, the call's arguments after the
    tensors are such variables, in their order.
    """

    variable: Any
    dtype: np.dtype
    shape: tuple
    slot: int = 0
    cell: int = 0
    written: bool = False


def make_entry(
    step, table, arguments, results, *, held=(), failures=(), failed=None, release=False, refuse_at=None, keep=()
):
    """A builtin function of tensors that runs a step, or None where there is no fast call.

    Args:
        step: the address of native code that takes the table's address.
        table: the address of the table, which nobody else uses.
        arguments: an `Argument` for each tensor, in order.
        results: a `Result` for each tensor of the result; one is returned as it is, several as a tuple.
        held: `Held` variables.
        failures: addresses of 64-bit words that are not 0 after the step has failed.
        failed: called where the step failed, to raise its error and set those words to 0. Without it the words are set
            to 0 and the call is refused, so that the ordinary way runs the step again and finds the error: only for a
            step without effects.
        release: let other Python threads run during the step, which takes 0.05 us: for steps of more than some
            microseconds. A call that comes meanwhile is refused.
        refuse_at: the address of a 64-bit word; a call that finds it not 0 is refused. With `release` only.
        keep: objects that must live as long as the function.

    Returns:
        the function. It gives `NotImplemented` where an argument does not fit.

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
    if not AVAILABLE or not all(_known(x.dtype) for x in (*arguments, *results, *held)):
        return None
    busy = np.zeros(1, np.int64)
    constants = _Constants(step, table, busy.ctypes.data)
    module = Module()
    _write(module, constants, arguments, results, held, _Ending(failures, failed, release, refuse_at))
    code = compile_text(str(module), ["entry"])
    return _builtin(code, constants.packed(), (keep, busy))


class _Ending(NamedTuple):
    failures: tuple
    failed: Any
    release: bool
    refuse_at: Any


def _known(dtype):
    """Whether the scalars of a dtype are NumPy's own, whose values stand behind the header."""
    return dtype.isbuiltin == 1 and dtype.kind in "fiubc"


class _Constants:
    """Addresses that the code reads from its `self`, so that the text is the same in every process and is cached."""

    def __init__(self, step, table, busy):
        self.kept = [Tensor, ndarray, NotImplemented, None, np.empty, sys.intern("_tensor")]
        self.words = [step, table, busy, *map(id, self.kept)]

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


def _write(module, constants, arguments, results, held, ending):
    signature = [("self", PTR), ("args", PTR), ("count", INDEX)]
    with module.function("entry", signature, PTR) as f:
        own, args, count = f.arguments
        writer = _Writer(f, constants, own)
        given = [one for one in held if one.variable is None]
        writer.check(count.equals(len(arguments) + len(given)))
        if ending.release:
            writer.check(f.load(writer.word(BUSY), I64).equals(0))
            if ending.refuse_at is not None:
                writer.check(f.load(writer.thing(ending.refuse_at), I64).equals(0))
        values = [writer.check_argument(f.load(args + 8 * i, PTR), argument) for i, argument in enumerate(arguments)]
        writer.made = [writer.prepare(result) for result in results]
        # From here to the step no Python code runs: no other call comes between, and no variable is assigned.
        places = iter(range(8 * len(arguments), 8 * (len(arguments) + len(given)), 8))
        owners = [f.load(args + next(places), PTR) if one.variable is None else writer.thing(one.variable) for one in held]
        tensors = [writer.check_held(owner, one) for owner, one in zip(owners, held, strict=True)]
        for value, argument in zip(values, arguments, strict=True):
            writer.take(value, argument)
        for tensor, one in zip(tensors, held, strict=True):
            writer.take(f.load(tensor + OFFSETS["_value"], PTR), one)
        for array, result in zip(writer.made, results, strict=True):
            if array is not None:
                f.store(f.load(array + DATA, PTR), writer.table + 8 * result.slot)
        writer.run(ending.release, tensors)
        for owner, tensor, one in zip(owners, tensors, held, strict=True):
            writer.give_back(owner, tensor, one)
            if ending.release:
                _drop(f, tensor)
        writer.check_failures(ending)
        arrays, writer.made = writer.made, []  # which the tensors now own
        made = [writer.tensor(result, value) for result, value in zip(results, arrays, strict=True)]
        if ending.release:
            f.store(f.constant(I64, 0), writer.word(BUSY))
        f.ret(made[0] if len(made) == 1 else writer.tuple(made))


def _hold(f, thing):
    """Count one more reference."""
    f.module.declare("Py_IncRef", "void", PTR)
    f.call("Py_IncRef", None, thing)


def _drop(f, thing):
    f.module.declare("Py_DecRef", "void", PTR)
    f.call("Py_DecRef", None, thing)


class _Writer:
    def __init__(self, f, constants, own):
        self.f, self.constants, self.own = f, constants, own
        self.table = self.word(TABLE)
        self.made = []  # arrays for results, which go where the call is refused

    def word(self, number, type=PTR):
        """A word of the constants."""
        return self.f.load(self.own + (BYTES + 8 * number), type)

    def thing(self, thing):
        """An object or an address, as a word of the constants."""
        return self.word(self.constants.add(thing))

    def drop_made(self):
        """Let go of the arrays for results."""
        for array in self.made:
            if array is not None:
                _drop(self.f, array)

    def give_up(self):
        """Return `NotImplemented`."""
        self.drop_made()
        refused = self.word(REFUSED)
        _hold(self.f, refused)
        self.f.ret(refused)

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

    def check_argument(self, tensor, argument, flags=USABLE):
        """Check one argument; its ndarray or NumPy scalar."""
        f = self.f
        self.check(self._is(tensor, self.word(TENSOR)))
        value = f.load(tensor + OFFSETS["_value"], PTR)
        if not argument.shape:
            self.check(self._is(value, self.thing(argument.dtype.type)))
            return value
        self.check(self._is(value, self.word(NDARRAY)))
        fits = f.load(value + DESCR, PTR).equals(self.thing(argument.dtype))
        fits = fits & f.load(value + RANK, I32).equals(len(argument.shape))
        fits = fits & (f.load(value + FLAGS, I32) & flags).equals(flags)
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
            _copy_scalar(f, self.thing(argument.cell), value + PAYLOAD, argument.dtype.itemsize)

    def check_held(self, owner, held):
        """Check a variable's tensor, which the variable keeps alive; its array must be the variable's alone to be changed."""
        f = self.f
        f.module.declare("PyObject_GetAttr", PTR, PTR, PTR)
        tensor = f.call("PyObject_GetAttr", PTR, owner, self.word(VALUE_NAME))
        self._need(tensor)
        _drop(f, tensor)
        changes = held.written and bool(held.shape)
        value = self.check_argument(tensor, held, CHANGEABLE if changes else USABLE)
        if changes:
            self.check(f.load(tensor + COUNT, I32).equals(1) & f.load(value + COUNT, I32).equals(1))
        return tensor

    def run(self, release, tensors):
        """Run the step."""
        f = self.f
        if not release:
            f.line(f"call void {self.word(STEP)}(ptr {self.table})")
            return
        f.module.declare("PyEval_SaveThread", PTR)
        f.module.declare("PyEval_RestoreThread", "void", PTR)
        f.store(f.constant(I64, 1), self.word(BUSY))
        for tensor in tensors:  # meanwhile the variable may be assigned
            _hold(f, tensor)
        thread = f.call("PyEval_SaveThread", PTR)
        f.line(f"call void {self.word(STEP)}(ptr {self.table})")
        f.call("PyEval_RestoreThread", None, thread)

    def give_back(self, owner, tensor, held):
        """What changes of a variable that the step has written: its tensor is another for tapes, a scalar is a new one."""
        f = self.f
        if not held.written:
            return
        if held.shape:
            none, mark = self.word(NONE), f.load(tensor + OFFSETS["_mark"], PTR)
            _hold(f, none)
            f.store(none, tensor + OFFSETS["_mark"])
            _drop(f, mark)
            return
        f.module.declare("PyObject_SetAttr", I32, PTR, PTR, PTR)
        made = self.tensor(held, None)
        f.call("PyObject_SetAttr", I32, owner, self.word(VALUE_NAME), made)
        _drop(f, made)

    def prepare(self, result):
        """A new array for a result; None for a scalar."""
        if not result.shape:
            return None
        f = self.f
        f.module.declare("PyObject_Call", PTR, PTR, PTR, PTR)
        arguments = self.thing((result.shape, result.dtype))
        array = f.call("PyObject_Call", PTR, self.word(EMPTY), arguments, f.constant(PTR, 0))
        self._need(array)
        return array

    def _need(self, thing):
        """Leave with Python's exception where an object could not be made."""
        f = self.f
        no, yes = f.name("no"), f.name("yes")
        f.branch(thing.equals(0), no, yes)
        f.label(no)
        self.drop_made()
        f.ret(f.constant(PTR, 0))
        f.label(yes)

    def check_failures(self, ending):
        """Leave where the step failed."""
        f = self.f
        if not ending.failures:
            return
        cells = [self.thing(address) for address in ending.failures]
        failed = [f.load(cell, I64) for cell in cells]
        for more in failed[1:]:
            failed[0] = failed[0] | more
        no, yes = f.name("no"), f.name("yes")
        f.branch(failed[0].differs(0), no, yes)
        f.label(no)
        if ending.release:
            f.store(f.constant(I64, 0), self.word(BUSY))
        if ending.failed is None:
            for cell in cells:
                f.store(f.constant(I64, 0), cell)
            self.give_up()
        else:
            self.drop_made()
            f.module.declare("PyObject_CallNoArgs", PTR, PTR)
            f.ret(f.call("PyObject_CallNoArgs", PTR, self.thing(ending.failed)))
        f.label(yes)

    def tensor(self, result, value):
        """A new tensor of an array or of a scalar's place."""
        f = self.f
        if value is None:
            value = self._scalar(result)
        made = self._new(self.word(TENSOR))
        none = self.word(NONE)
        dtype = self.thing(wrap(np.zeros((), result.dtype)[()])._dtype)
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
        f = self.f
        cell = self.thing(result.cell)
        if result.dtype.kind == "b":  # there are two of them
            yes, no = self.thing(np.True_), self.thing(np.False_)
            value = f.where(f.load(cell, I8).differs(0), yes, no)
            _hold(f, value)
            return value
        made = self._new(self.thing(result.dtype.type))
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
    owner = Owner(data)
    owner.kept = (code, method, objects, keep)
    return _new_builtin(ctypes.addressof(method), owner, None)


def _new_builtin(method, owner, module):
    make = ctypes.pythonapi.PyCFunction_NewEx
    make.restype = ctypes.py_object
    make.argtypes = [POINTER, ctypes.py_object, POINTER]
    return make(method, owner, module)
