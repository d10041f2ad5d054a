"""The machine that code is compiled for: its instruction set, vector width, caches and cores."""

import functools
import os
import platform
from dataclasses import dataclass, replace
from pathlib import Path

from tapeflow.base import flags
from tapeflow.base.errors import InvalidArgumentError
from tapeflow.compile import llvm

# What each forced instruction set is compiled as: CPU name, vector bytes, vector registers, fused multiply-add.
LEVELS = {
    "avx512": ("x86-64-v4", 64, 32, True),
    "avx2": ("x86-64-v3", 32, 16, True),
    "sse": ("x86-64-v2", 16, 16, False),
}
CPU_FOLDER = Path("/sys/devices/system/cpu")


@dataclass(frozen=True)
class Host:
    """A target: what LLVM is told, and what the kernel generators choose their tiles by."""

    arch: str  # "x86_64", "aarch64", ...
    cpu: str
    features: str
    vector_bytes: int
    registers: int  # vector registers
    fma: bool  # a fused multiply-add is one instruction
    l1: int = 32 << 10  # bytes of data cache of one core
    l2: int = 1 << 20
    l3: int = 8 << 20  # shared

    def lanes(self, itemsize):
        """How many elements of so many bytes one vector holds."""
        return self.vector_bytes // itemsize


def host():
    """The `Host` that code is compiled for now: this machine, or what `TAPEFLOW_ISA` lowers it to."""
    return _host(flags.TAPEFLOW_ISA)


@functools.cache
def _host(level):
    found = _detect()
    if not level:
        return found
    if level not in LEVELS:
        raise InvalidArgumentError(
            None, None, f"TAPEFLOW_ISA={level!r} is not an instruction set; write one of {', '.join(LEVELS)}."
        )
    cpu, size, registers, fma = LEVELS[level]
    if found.arch != "x86_64" or size > found.vector_bytes:
        raise InvalidArgumentError(
            None, None, f"TAPEFLOW_ISA={level!r}: this machine ({found.arch}, {found.cpu}) has no such instructions."
        )
    return replace(found, cpu=cpu, features="", vector_bytes=size, registers=registers, fma=fma)


def _detect():
    arch = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower(), platform.machine().lower())
    features = llvm.host_features()
    if arch != "x86_64":  # NEON
        size, registers, fma = 16, 32, True
    elif all(features.get(name) for name in ("avx512f", "avx512vl", "avx512bw", "avx512dq")):
        size, registers, fma = 64, 32, True
    elif features.get("avx2") and features.get("fma"):
        size, registers, fma = 32, 16, True
    else:
        size, registers, fma = 16, 16, bool(features.get("fma"))
    listed = ",".join([f"{'+' if has else '-'}{name}" for name, has in sorted(features.items())])
    return Host(arch, llvm.host_cpu(), listed, size, registers, fma, **_caches())


def _caches():
    """The sizes of data caches as Linux tells them; empty elsewhere, so that the defaults stand."""
    sizes = {}
    for folder in (CPU_FOLDER / "cpu0/cache").glob("index*"):
        try:
            level, kind, size = [(folder / name).read_text().strip() for name in ("level", "type", "size")]
            if kind != "Instruction" and level in "123":
                sizes[f"l{level}"] = int(size.rstrip("KM")) << (20 if size.endswith("M") else 10)
        except (OSError, ValueError):
            continue
    return sizes


def cores():
    """How many physical cores this process may use: two threads of one core would only take turns at its multipliers.

    Example:
        >>> from tapeflow.compile.host import cores
        >>> cores() >= 1
        True
    """
    try:
        allowed = os.sched_getaffinity(0)
    except AttributeError:  # not Linux
        return os.cpu_count() or 1
    shared = set()
    for cpu in allowed:
        try:
            shared.add((CPU_FOLDER / f"cpu{cpu}/topology/thread_siblings_list").read_text())
        except OSError:
            shared.add(str(cpu))
    return max(1, min(len(shared), _quota()))


def _quota():
    """The whole cores that a container may use."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return max(1, int(quota) // int(period))
    except (OSError, ValueError):  # no limit ("max"), or no such file
        return os.cpu_count() or 1
