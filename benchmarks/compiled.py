"""Compiled functions beside TensorFlow, PyTorch and JAX, compiled and not: `python benchmarks/compiled.py --help`.

Every library runs a program in a process of its own, on the same weights and data; that all compute the same is checked before
anything is measured. The processes measure by turns, so that what disturbs one disturbs its neighbour. Times are minima.
"""

import argparse
import contextlib
import json
import os
import select
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

import peers
from compiled_programs import PACKAGES, PROGRAMS
from table import print_machine, print_table, say, shorten

CHILD = Path(__file__).resolve().parent / "compiled_child.py"
FIRST_CALLS = "first_calls"  # the two rows about these
WINDOW = 0.4  # seconds of measuring in a round
PATIENCE = 240  # seconds that an answer may take
UNITS = {"µs": 1.0, "ms": 1e3, "s": 1e6}


class Failed(Exception):
    """Why a library has no figure."""


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    names = (*PROGRAMS, FIRST_CALLS)
    parser.add_argument("only", nargs="*", metavar="ROW", choices=[*names, []], help=f"some of {', '.join(names)}")
    parser.add_argument("--rounds", type=int, default=3, help="how often each library measures each row")
    peers.add_argument(parser)
    options = parser.parse_args()
    runner = Runner(peers.find_interpreters(options.peer), options.rounds)
    rows = []
    for name in options.only or names:
        rows += first_calls(runner) if name == FIRST_CALLS else [steps(runner, name)]
    say("")
    print_table([("", *PACKAGES, "ratio", "to reach", "reached", "GFLOP/s"), *[row.cells() for row in rows]])
    print_machine(runner.versions)
    print(__doc__.split("\n\n")[1].strip())
    print("Ratio: the best peer's time over tapeflow's. GFLOP/s: tapeflow's, with the share of all cores' peak.")
    for failure in dict.fromkeys(failure for row in rows for failure in row.failures):
        print(f"- {failure}")
    return int(any("tapeflow" not in row.times for row in rows))


class Row:
    """The least times of a row in microseconds, by library."""

    def __init__(self, title, unit, target=None, flops=0):
        self.title, self.unit, self.target, self.flops = title, unit, target, flops
        self.times, self.failures = {}, []
        self.peak = None  # operations in a microsecond, of all cores

    def add(self, library, time):
        self.times[library] = min(time, self.times.get(library, time))

    def cells(self):
        ours, others = self.times.get("tapeflow"), {k: v for k, v in self.times.items() if k != "tapeflow"}
        ratio = reached = speed = "-"
        if ours and others:
            best = min(others, key=others.get)
            ratio = f"{shorten(others[best] / ours)} x {best}"
            if self.target:
                reached = "yes" if others[best] / ours >= self.target else "no"
        if ours and self.peak:
            speed = f"{self.flops / ours / 1e3:.0f} ({self.flops / ours / self.peak:.0%})"
        times = [shorten(self.times[x] / UNITS[self.unit]) if x in self.times else "-" for x in PACKAGES]
        return f"{self.title}, {self.unit}", *times, ratio, f"{self.target} x" if self.target else "-", reached, speed


def steps(runner, name):
    """The row of a program."""
    program = PROGRAMS[name]
    row = Row(program.title, program.unit, program.target, program.flops)
    with contextlib.ExitStack() as stack:
        children = runner.start_all(stack, row, program.libraries, name)
        for library, child in list(children.items()):
            ours = children["tapeflow"].answer["values"] if "tapeflow" in children else child.answer["values"]
            if not np.allclose(child.answer["values"], ours, rtol=program.tolerance, atol=0):
                row.failures.append(f"{name}, {library}: gives {child.answer['values']}, tapeflow {ours}")
                children.pop(library).close()
        peak = runner.start(stack, "peak", "tapeflow") if program.flops else None
        fastest = float("inf")
        for turn in range(runner.rounds):
            for library, child in list(children.items()):
                say(f"{program.title}: {library}, round {turn + 1}")
                try:
                    row.add(library, child.ask(WINDOW))
                except Failed as failure:
                    row.failures.append(f"{name}, {library}: {failure}")
                    children.pop(library).close()
            if peak:
                fastest = min(fastest, peak.ask(WINDOW / 2))
                row.peak = os.cpu_count() * peak.answer["flops"] / fastest
    return row


def first_calls(runner, name="mlp32"):
    """The rows of a step's first call: nothing is kept on disk, and in a second process, where what the first kept is there."""
    program = PROGRAMS[name]
    cold = Row(f"first call of {program.title}: nothing kept", "ms")
    kept = Row(f"first call of {program.title}: a second process", "ms")
    for _ in range(min(runner.rounds, 2)):
        with tempfile.TemporaryDirectory() as folder:
            for row in cold, kept:
                with contextlib.ExitStack() as stack:
                    for library, child in runner.start_all(stack, row, program.libraries, name, folder).items():
                        row.add(library, child.answer["first"] * 1e3)
    return cold, kept


class Runner:
    """Starts processes of the libraries that are here; what they compile is kept for the time of the run."""

    def __init__(self, interpreters, rounds):
        self.interpreters, self.rounds, self.versions = interpreters, rounds, {}
        self.folder = tempfile.TemporaryDirectory()

    def start_all(self, stack, row, libraries, name, folder=None):
        """The children of all libraries, by name; the row is told why one is absent."""
        children = {}
        for library in libraries:
            say(f"{row.title}: {library}, first call")
            try:
                children[library] = self.start(stack, name, library, folder)
                self.versions[PACKAGES[library]] = children[library].answer["version"]
            except Failed as failure:
                row.failures.append(str(failure))
        return children

    def start(self, stack, name, library, folder=None):
        """A `Child` that ends with the stack."""
        package = PACKAGES[library]
        if package not in self.interpreters:
            raise Failed(f"{library}: {package} is not here; `make bench-peers` installs it")
        folder = folder or self.folder.name
        caches = {"TAPEFLOW_CACHE": f"{folder}/tapeflow", "TORCHINDUCTOR_CACHE_DIR": f"{folder}/torch"}
        command = [self.interpreters[package], str(CHILD), name, library]
        child = Child(command, peers.environment(package) | caches)
        stack.callback(child.close)
        try:
            child.answer = child.read()
        except Failed as failure:
            raise Failed(f"{name}, {library}: {failure}") from None
        return child


class Child:
    """A process of `compiled_child.py`, with its first answer."""

    answer = None

    def __init__(self, command, environment):
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  (`close` closes it)
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": self.errors}
        self.process = subprocess.Popen(command, env=environment, text=True, **pipes)

    def ask(self, seconds):
        """The least time of a call in a window of so many seconds."""
        self.process.stdin.write(f"{seconds}\n")
        self.process.stdin.flush()
        return self.read()

    def read(self):
        if not select.select([self.process.stdout], [], [], PATIENCE)[0]:
            raise Failed(f"no answer within {PATIENCE} s")
        line = self.process.stdout.readline()
        if not line:
            status = self.process.wait()
            self.errors.seek(0)
            raise Failed(peers.last_words(self.errors.read(), status))
        return json.loads(line)

    def close(self):
        self.process.kill()
        self.process.wait()
        for file in self.process.stdin, self.process.stdout, self.errors:
            file.close()


if __name__ == "__main__":
    sys.exit(main())
