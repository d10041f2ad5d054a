"""Results too small for a normal number become 0 while native code runs, as in TensorFlow, XLA and JAX.

A processor takes some hundred cycles for each denormal result, and a moment of Adam decays into them and never to 0: an epoch of MNIST
took up to 1.4 times as long. Denormal operands keep their value; the mode of the caller's thread is put back.
"""

from tapeflow.compile.text import I32, I64, PTR

FLUSH_TO_ZERO = {"x86_64": 1 << 15, "aarch64": 1 << 24}


def flush_denormals(f):
    """Emit the change of the thread's mode; the mode before, for `restore_mode`."""
    arch = f.module.target.arch
    if arch == "x86_64":
        f.module.declare("llvm.x86.sse.stmxcsr", "void", PTR)
        place = f.stack(4)
        f.call("llvm.x86.sse.stmxcsr", None, place)
        before = f.load(place, I32)
    elif arch == "aarch64":
        f.module.declare("llvm.aarch64.get.fpcr", I64)
        before = f.call("llvm.aarch64.get.fpcr", I64)
    else:
        return None
    restore_mode(f, before | FLUSH_TO_ZERO[arch])
    return before


def restore_mode(f, mode):
    """Emit the change back."""
    if mode is None:
        return
    if mode.type is I32:
        f.module.declare("llvm.x86.sse.ldmxcsr", "void", PTR)
        place = f.stack(4)
        f.store(mode, place)
        f.call("llvm.x86.sse.ldmxcsr", None, place)
    else:
        f.module.declare("llvm.aarch64.set.fpcr", "void", I64)
        f.call("llvm.aarch64.set.fpcr", None, mode)


__all__ = ["flush_denormals", "restore_mode"]
