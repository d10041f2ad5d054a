"""Eager ops as native code: what comes again and again, and is enough work to pay for it, becomes a program of its own.

A program takes tens of milliseconds to make, or a few where the disk cache has it, and LLVM has to be loaded first. So an op
stays on its NumPy kernel until it has done so much work on inputs of the same shapes that this pays: programs that are short,
or whose shapes always differ, never load LLVM.

Native sums are in another order than NumPy's, and `exp` may differ in the last bit. So only ops come here that are mostly sums
(`HOT`, and on large arrays `SUMS`), or whose every result is the nearest number (on large arrays `LIGHT`): an elementwise op that
was rounded another way would be a surprise. An op changes over once, at a call that is the same in every run.
`tf.config.experimental.enable_op_determinism` keeps them all on their kernels.

A second core helps with what is short only while each finds in its own cache what it wrote before: products, elementwise work
on their results and updates of variables (`HotUpdate`) are cut by the same rows.
"""

import threading

import numpy as np

from tapeflow.base import flags
from tapeflow.base.dtypes import float32, float64
from tapeflow.base.errors import OpError
from tapeflow.base.log import log
from tapeflow.core.graph import Graph
from tapeflow.core.primitive import PRIMITIVES, bind
from tapeflow.core.state import paused, tracing
from tapeflow.core.tensor import Tensor, wrap
from tapeflow.core.variable import Variable, update_variable

# The ops, with how much work they are beside a product of matrices of the same sizes.
HOT = {"matmul": 1, "conv": 9, "conv_input": 9, "conv_filter": 9, "softmax": 1, "log_softmax": 1, "sparse_xent": 1}
HOT |= {"dense_xent": 1, "max_pool": 4, "max_pool_grad": 4, "avg_pool": 4, "avg_pool_grad": 4}
LIGHT = ("add", "sub", "mul", "truediv", "neg", "abs", "square", "sqrt", "maximum", "minimum", "relu", "gate")
SUMS = ("sum", "mean", "sum_to")
WORK = 1 << 28  # multiplications, of some 5 ms, after which an op becomes native
# What small ops cost in a program, whose other work leaves neither NumPy's code nor their data in the first caches: 3 to 15 times
# what a loop of one op measures. The least that one of `HOT` costs, some 20 us; a call of NumPy, and an element's way from
# memory and back.
LEAST = 1 << 20
CALL, PASS = 1 << 19, 8
MOST = 64  # shapes of one op that are known at a time


class Known:
    """The native code of one op, by what it depends on: how much work was done before, then the code, or None if there is none."""

    def __init__(self, name):
        self.name = name
        self.code = {}
        self.lock = threading.Lock()

    def count(self, key, inputs, make):
        """Count one more call; after the last the op is compiled by `make()`, and the next call is native."""
        done = self.code.get(key, 0)
        if done.__class__ is not int or not flags.COMPILE or flags.VALIDATE:
            return
        if inputs[0]._dtype is not float32 and inputs[0]._dtype is not float64:
            return
        done += work_of(self.name, inputs)
        if not self.lock.acquire(blocking=False):
            return  # another thread counts, or compiles
        try:
            if len(self.code) >= MOST and key not in self.code:
                self.code.clear()
            if self.code.get(key, 0).__class__ is int:  # no other thread was quicker
                self.code[key] = done if done < WORK else self._made(make)
        finally:
            self.lock.release()

    def _made(self, make):
        try:
            return make()
        except OpError:  # the inputs are wrong: the kernel tells
            return None
        except Exception as error:
            log.warning(
                "%s cannot be compiled and stays on NumPy: %s: %s. Please report it.",
                self.name,
                type(error).__name__,
                error,
            )
            return None


class Hot:
    """What `bind` asks first for an op: one of `HOT`, or on large arrays one of `SUMS`, and of `LIGHT` once a result was large."""

    def __init__(self, op):
        self.op = op
        self.known = Known(op.name)
        self.fast = {}  # shapes -> the attrs and the fast call of what ran last on them: it checks the rest itself

    def __call__(self, inputs, attrs):
        """The op's result, or None where the kernel has to compute it."""
        if len(inputs) == 2:
            x, y = inputs
            if x.__class__ is not Tensor or y.__class__ is not Tensor:
                return None
            shapes = x._value.shape, y._value.shape
        else:
            for x in inputs:
                if x.__class__ is not Tensor:
                    return None
            shapes = tuple([x._value.shape for x in inputs])
        found = self.fast.get(shapes)
        if found is not None and found[0] == attrs:
            result = found[1](*inputs)
            if result is not NotImplemented:
                return result
        return self._find(shapes, inputs, attrs)

    def _find(self, shapes, inputs, attrs):
        """What the dtypes and attrs lead to; count the call where there is no native code."""
        try:
            key = shapes, *[x._dtype.bit for x in inputs], *attrs.items()
            found = self.known.code.get(key)
        except TypeError:  # an attr that cannot be a key
            return None
        if found.__class__ is Native:
            if found.entry is not None:
                if len(self.fast) >= MOST:
                    self.fast.clear()
                self.fast[shapes] = attrs, found.entry
            return found.run(inputs)
        self.known.count(key, inputs, lambda: compiled(self.op, inputs, attrs))
        return None


class HotUpdate:
    """What a large variable asks first when something is added to it or subtracted."""

    def __init__(self):
        self.known = Known("update_variable")

    def __call__(self, variable, how, delta):
        """Change the variable in place; False where NumPy has to."""
        key = delta._value.shape, delta._dtype.bit, how
        found = self.known.code.get(key)
        if found is not None and found.__class__ is not int:
            return found(delta, variable) is not NotImplemented
        self.known.count(key, (delta,), lambda: compiled_update(variable, how))
        return False


def work_of(name, inputs):
    """About how many multiplications an op does."""
    if name not in HOT:
        return CALL + PASS * max(x._value.size for x in inputs)
    width = inputs[1]._value.shape[-1:] if len(inputs) > 1 else ()
    return max(LEAST, HOT[name] * inputs[0]._value.size * (width[0] if width else 1))


class Native:
    """One op on inputs of some shapes as native code."""

    def __init__(self, op, program):
        self.multiple = op.multiple
        self.program = program
        self.entry = None if flags.DEBUG else program.entry()

    def run(self, inputs):
        """The result, or None where the native code fails: the kernel has the words for it."""
        if self.entry is not None:
            result = self.entry(*inputs)
            if result is not NotImplemented:
                return result
        try:
            results = self.program.run([x._value for x in inputs])
        except Exception:
            return None
        return tuple([wrap(value) for value in results]) if self.multiple else wrap(results[0])


def compiled(op, inputs, attrs):
    """The `Native` of an op on inputs like these; None where it would not be native code throughout."""
    program = _program(op, [x.spec for x in inputs], attrs)
    return program and Native(op, program)


def compiled_update(variable, how):
    """A builtin function of a tensor and a variable that changes variables like this one in place; None where there is none."""
    zeros = wrap(np.broadcast_to(variable._dtype.numpy_dtype.type(0), variable._tensor.dims))  # without memory
    stand_in = Variable(zeros, trainable=False)
    program = _program(update_variable, [stand_in._tensor.spec], {"variable": stand_in, "how": how})
    return program and program.entry(stand_in)


def _program(op, specs, attrs):
    """An op as a program; None where it would not be native code throughout."""
    from tapeflow.compile.executable import Executable  # it loads LLVM

    graph = Graph(op.name)
    with paused(), tracing(graph):
        results = bind(op, tuple([graph.placeholder(*spec) for spec in specs]), attrs)
    graph.outputs = () if op is update_variable else results if op.multiple else (results,)
    program = Executable(graph, closed=True).program(tuple([spec.shape for spec in specs]))
    return program if getattr(program, "native", False) else None


def set_steady(value):
    """Keep everything on the kernels from now on (True), or let ops that do much work become native."""
    for name in HOT:
        op = PRIMITIVES[name]
        op.hot = None if value else Hot(op)
    for name in LIGHT:
        op = PRIMITIVES[name]
        op.hot, op.light, op.heat = None, True, None if value else _heater(op)
    for name in SUMS:
        op = PRIMITIVES[name]
        op.hot, op.light = None if value else Hot(op), True
    Variable.hot_update = None if value else HotUpdate()


def _heater(op):
    def heat():
        op.hot, op.heat = Hot(op), None

    return heat


__all__ = ["Hot", "set_steady"]
