"""The printing of what was measured."""

import os
import platform
import sys
from pathlib import Path


def print_table(cells):
    """Prints rows of cells, of which the first are the titles, in Markdown, so that they can be pasted where they are quoted."""
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    cells = [cells[0], tuple("-" * width for width in widths), *cells[1:]]
    for row in cells:
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |")


def print_machine(versions):
    """Prints what all figures belong to: the machine and the libraries' versions."""
    print(f"\n{machine()}; " + ", ".join(f"{name} {version}" for name, version in versions.items()) + ".")


def machine():
    """The processor and the Python that all figures belong to."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        models = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        name = models[0] if models else name
    return f"{name}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"


def shorten(value):
    """Three significant digits, without an exponent."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def say(text):
    """Shows what is being measured in one line that the next one replaces."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
