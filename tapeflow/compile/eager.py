"""Eager ops as native code: a product, convolution or softmax that comes again and again becomes a program of its own.

A program takes tens of milliseconds to make, or a few where the disk cache has it, and LLVM has to be loaded first. So an op
stays on its NumPy kernel until it has done so much work on inputs of the same shapes that this pays: programs that are short,
or whose shapes always differ, never load LLVM.

Native sums are in another order than NumPy's, and `exp` may differ in the last bit. So only ops that are mostly sums come here
(an elementwise op that was rounded another way would be a surprise), and an op changes over once, at a call that is the same
in every run. `tf.config.experimental.enable_op_determinism` keeps them all on their kernels.
"""

import threading

from tapeflow.base import flags
from tapeflow.base.dtypes import float32, float64
from tapeflow.base.log import log
from tapeflow.core.graph import Graph
from tapeflow.core.primitive import PRIMITIVES, bind
from tapeflow.core.state import paused, tracing
from tapeflow.core.tensor import Tensor, wrap

# The ops, with how much work they are beside a product of matrices of the same sizes.
HOT = {"matmul": 1, "conv": 9, "conv_input": 9, "conv_filter": 9, "softmax": 1, "log_softmax": 1, "sparse_xent": 1}
HOT |= {"dense_xent": 1, "max_pool": 4, "max_pool_grad": 4, "avg_pool": 4, "avg_pool_grad": 4}
WORK = 1 << 28  # multiplications, of some 5 ms, after which an op becomes native
LEAST = 1 << 18  # what the dozen calls of NumPy in a kernel cost, though there is little to multiply
MOST = 64  # shapes of one op that are known at a time


class Hot:
    """What `bind` asks first for an op of the table."""

    def __init__(self, op):
        self.op = op
        self.known = {}  # shapes, dtypes and attrs -> the work so far, then a `Native`, or None where there can be none
        self.lock = threading.Lock()

    def __call__(self, inputs, attrs):
        """The op's result, or None where the kernel has to compute it."""
        for x in inputs:
            if x.__class__ is not Tensor:
                return None
        try:
            if len(inputs) == 2:
                x, y = inputs
                key = x._value.shape, y._value.shape, x._dtype.bit, y._dtype.bit, *attrs.items()
            else:
                key = *[(x._value.shape, x._dtype.bit) for x in inputs], *attrs.items()
            found = self.known.get(key, 0)
        except TypeError:  # an attr that cannot be a key
            return None
        if found.__class__ is Native:
            return found.run(inputs)
        if found is not None and flags.COMPILE and not flags.VALIDATE:
            self._count(key, found, inputs, attrs)
        return None

    def _count(self, key, done, inputs, attrs):
        """Count the work of one more call; after the last the op is compiled, and the next call is native."""
        if inputs[0]._dtype is not float32 and inputs[0]._dtype is not float64:
            return
        done += work_of(self.op, inputs)
        if not self.lock.acquire(blocking=False):
            return  # another thread counts, or compiles
        try:
            if len(self.known) >= MOST and key not in self.known:
                self.known.clear()
            if self.known.get(key, 0).__class__ is int:  # no other thread was quicker
                self.known[key] = done if done < WORK else self._compiled(inputs, attrs)
        finally:
            self.lock.release()

    def _compiled(self, inputs, attrs):
        try:
            return compiled(self.op, inputs, attrs)
        except Exception as error:
            log.warning(
                "%s cannot be compiled and stays on NumPy: %s: %s. Please report it.",
                self.op.name,
                type(error).__name__,
                error,
            )
            return None


def work_of(op, inputs):
    """About how many multiplications an op does."""
    width = inputs[1]._value.shape[-1:] if len(inputs) > 1 else ()
    return max(LEAST, HOT[op.name] * inputs[0]._value.size * (width[0] if width else 1))


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
    from tapeflow.compile.executable import Executable  # it loads LLVM
    from tapeflow.compile.program import Program

    graph = Graph(op.name)
    with paused(), tracing(graph):
        results = bind(op, tuple([graph.placeholder(*x.spec) for x in inputs]), attrs)
    graph.outputs = results if op.multiple else (results,)
    program = Executable(graph, closed=True).program(tuple([x._value.shape for x in inputs]))
    return Native(op, program) if isinstance(program, Program) and program.native else None


def set_steady(value):
    """Keep everything on the kernels from now on (True), or let ops of the table become native."""
    for name in HOT:
        op = PRIMITIVES[name]
        op.hot = None if value else Hot(op)


__all__ = ["Hot", "set_steady"]
