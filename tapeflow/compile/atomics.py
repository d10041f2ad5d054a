"""Atomic instructions, waiting and waking, for code that several threads run."""

import sys

from tapeflow.compile.text import I1, I32, I64

FUTEX = {"x86_64": 202, "aarch64": 98}  # the number of the system call
WAIT, WAKE = 128, 129  # within one process


def load_atomic(f, pointer, type, order="acquire"):
    """Read what another thread may be writing."""
    return f.emit(type, f"load atomic {type}, ptr {pointer} {order}, align {type.bytes}")


def store_atomic(f, value, pointer, order="release"):
    """Write what another thread may be reading."""
    f.line(f"store atomic {value!r}, ptr {pointer} {order}, align {value.type.bytes}")


def fetch(f, op, pointer, value, order="seq_cst"):
    """Apply "add", "sub", ... to memory; its value before."""
    return f.emit(value.type, f"atomicrmw {op} ptr {pointer}, {value!r} {order}")


def exchange_if(f, pointer, expected, new, order="acq_rel acquire"):
    """Write `new` if memory holds `expected`; whether it did."""
    type = new.type
    pair = f.emit(type, f"cmpxchg ptr {pointer}, {expected!r}, {new!r} {order}")
    return f.emit(I1, f"extractvalue {{{type}, i1}} {pair}, 1")


def relax(f, turn):
    """One turn of a waiting loop: the other thread of the core runs; now and then another thread of the machine does.

    Without the yield a waiting thread may hold the very core that the awaited one needs: on a machine with more busy
    threads than cores a step took 1000 us instead of 105.
    """
    if f.module.target.arch == "x86_64":
        f.module.declare("llvm.x86.sse2.pause", "void")
        f.call("llvm.x86.sse2.pause", None)
    elif f.module.target.arch == "aarch64":
        f.module.declare("llvm.aarch64.hint", "void", I32)
        f.call("llvm.aarch64.hint", None, f.constant(I32, 1))
    f.module.declare("sched_yield", I32)
    with f.when((turn & 511).equals(511)):
        f.call("sched_yield", I32)


def sleep_while(f, word, value):
    """Sleep for as long as a 32-bit word has a value; may also wake for no reason."""
    if _futex(f.module.target.arch):
        _system_call(f, word, WAIT, value)
    else:  # a nap: waking late costs one step after idleness its second thread
        f.module.declare("usleep", I32, I32)
        f.call("usleep", I32, f.constant(I32, 100))


def wake_all(f, word):
    """Wake whoever sleeps on a word."""
    if _futex(f.module.target.arch):
        _system_call(f, word, WAKE, f.constant(I32, 1 << 30))


def _futex(arch):
    return sys.platform == "linux" and arch in FUTEX


def _system_call(f, word, operation, value):
    f.module.declare("syscall", I64, I64, variadic=True)
    number = FUTEX[f.module.target.arch]
    rest = ", ".join(["i64 0"] * 3)
    f.emit(I64, f"call i64 (i64, ...) @syscall(i64 {number}, {word!r}, i64 {operation}, {value!r}, {rest})")
