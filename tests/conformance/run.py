"""Compares tapeflow with the real TensorFlow, call by call, over generated inputs.

    python tests/conformance/run.py --tensorflow PATH_TO_PYTHON_WITH_TENSORFLOW [--area NAME ...] [--examples N] [--seed N]

Two long-lived workers, one with each library in its own interpreter, evaluate the same calls: Python source over
named inputs, and the inputs to differentiate, all plain data over a pipe. This process draws the calls with
Hypothesis from the tables in `cases/` (one row an op, also with bad input), compares the answers (dtype, shape and
exception class exactly, values to a few units in the last place, NaN and infinities by position), and lets Hypothesis
shrink each difference to a small reproducing line of Python.

Differences that are meant stand in `deviations.txt` with their reasons; one that did not occur is reported. The exit
status is 1 where there are other differences.
"""

import argparse
import collections
import fnmatch
import importlib
import itertools
import json
import os
import pathlib
import re
import select
import subprocess
import sys
import time

import hypothesis
from calls import spoiled
from compare import difference
from hypothesis import strategies as st

FOLDER = pathlib.Path(__file__).resolve().parent
ENVIRONMENT = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "2",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_ENABLE_ONEDNN_OPTS": "0",
    "CUDA_VISIBLE_DEVICES": "-1",
}
PATIENCE = 60  # seconds for one answer
CRASHES = 3  # of TensorFlow in one row, after which the row is left


class Worker:
    """One interpreter with one library; it is started again where a call kills it or takes too long."""

    def __init__(self, python, library):
        self.command = [python, str(FOLDER / "worker.py"), library]
        self.library = library
        self.process = None

    def start(self):
        """Start the interpreter unless it runs."""
        if self.process is None:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, **ENVIRONMENT},
            )
            self.buffer = b""
            ready = self.receive(300)
            if "ready" not in ready:
                sys.exit(f"{self.library} does not start: {' '.join(self.command)}")

    def send(self, line):
        """Hand over a call."""
        self.start()
        try:
            self.process.stdin.write(line)
            self.process.stdin.flush()
        except BrokenPipeError:
            pass

    def receive(self, patience=PATIENCE):
        """The answer; {"lost": why} where the worker died or hangs."""
        end = time.monotonic() + patience
        pipe = self.process.stdout.fileno()
        while b"\n" not in self.buffer:
            if not select.select([pipe], [], [], max(0, end - time.monotonic()))[0]:
                return self.lost("hangs")
            data = os.read(pipe, 1 << 20)
            if not data:
                return self.lost("crashes")
            self.buffer += data
        line, _, self.buffer = self.buffer.partition(b"\n")
        return json.loads(line)

    def lost(self, why):
        self.stop()
        return {"lost": why}

    def stop(self):
        """End the interpreter."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


class Deviations:
    """The rows of `deviations.txt`: case, kind, a pattern of the source and the detail, and the reason."""

    def __init__(self, path):
        self.rows = []
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if line.strip() and not line.startswith("#"):
                fields = [field.strip() for field in line.split("::")]
                if len(fields) != 4 or not fields[3]:
                    sys.exit(f"{path.name}:{number}: four fields are needed, cases :: kinds :: pattern :: reason")
                self.rows.append((number, *fields))
        self.used = set()

    def allows(self, name, kind, text):
        """Whether a difference is meant."""
        for number, case, kinds, pattern, _ in self.rows:
            if (
                any(fnmatch.fnmatch(name, c) for c in case.split(";"))
                and any(fnmatch.fnmatch(kind, k) for k in kinds.split())
                and re.search(pattern, text)
            ):
                self.used.add(number)
                return True
        return False

    def unused(self, names):
        """The rows that concern some of the cases run and did not occur."""
        return [
            row for row in self.rows if row[0] not in self.used and any(fnmatch.filter(names, c) for c in row[1].split(";"))
        ]


class Difference(Exception):
    """A call whose answers differ; each kind is a class of its own, so that Hypothesis shrinks it apart."""


KINDS = collections.defaultdict(lambda: type("Kind", (Difference,), {}))


class Session:
    """The two workers and what was found."""

    def __init__(self, options):
        self.workers = Worker(sys.executable, "tapeflow"), Worker(options.tensorflow, "tensorflow")
        self.deviations = Deviations(FOLDER / "deviations.txt")
        self.examples = options.examples
        self.seed = options.seed
        self.calls = 0
        self.meant = 0

    def ask(self, made_call):
        """The answers of both libraries to one call."""
        line = json.dumps(made_call.data()).encode() + b"\n"
        for worker in self.workers:
            worker.send(line)
        self.calls += 1
        return [worker.receive() for worker in self.workers]

    def check(self, case, made_call, bad=False):
        """The difference of one call: (kind, text), or None where the answers agree or the difference is meant."""
        ours, theirs = self.ask(made_call)
        if "lost" in ours:
            found = ours["lost"], f"tapeflow {ours['lost']}"
        elif "lost" in theirs:
            raise ConnectionError(theirs["lost"])
        else:
            found = difference(ours, theirs, case, bad)
        if found and self.deviations.allows(case.name, found[0], f"{made_call.source} {found[1]}"):
            self.meant += 1
            return None
        return found

    def run(self, case):
        """The smallest difference of each kind in one row: {kind: (call, text)}."""
        smallest = {}
        crashes = itertools.count(1)

        def once(made_call, bad=False):
            try:
                found = self.check(case, made_call, bad)
            except ConnectionError as lost:
                print(f"  (TensorFlow {lost}: {made_call.python()!r:.600})", flush=True)
                if next(crashes) >= CRASHES:
                    raise KeyboardInterrupt from None
                return
            if found:
                before = smallest.get(found[0])
                if before is None or len(made_call.python()) <= len(before[0].python()):
                    smallest[found[0]] = made_call, found[1]
                raise KINDS[found[0]](found[1])

        def good(data):
            once(case.build(data.draw))

        def bad(data):
            made_call = case.build(data.draw)
            if made_call.parts and (made_call.parts[1] or made_call.parts[2]):
                once(spoiled(data.draw, made_call), bad=True)

        for examine, examples in ((good, case.share), (bad, case.share / 2 if case.bad else 0)):
            self.explore(examine, max(1, int(self.examples * examples)) if examples else 0)
        return smallest

    def explore(self, examine, examples):
        """Let Hypothesis draw and shrink."""
        if not examples:
            return
        test = hypothesis.seed(self.seed)(hypothesis.given(st.data())(examine))
        test = hypothesis.settings(
            max_examples=examples,
            database=None,
            deadline=None,
            phases=(hypothesis.Phase.generate, hypothesis.Phase.shrink),
            suppress_health_check=list(hypothesis.HealthCheck),
            print_blob=False,
            verbosity=hypothesis.Verbosity.quiet,
        )(test)
        try:
            test()
        except (Difference, BaseExceptionGroup, hypothesis.errors.Flaky):
            pass
        except KeyboardInterrupt:
            print("  (TensorFlow crashes here again and again: the rest of the row is left out)")


def areas():
    """The areas in the order of their tables."""
    return [name for name in importlib.import_module("cases").AREAS]


def main():
    """Run the areas and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tensorflow", required=True, help="a Python interpreter that has TensorFlow")
    parser.add_argument("--area", action="append", choices=areas(), help="run only this area (may be given again)")
    parser.add_argument("--case", default="*", help="run only the rows whose name fits this pattern")
    parser.add_argument("--examples", type=int, default=100, help="calls a row, before differences are shrunk")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    session = Session(options)
    started = time.monotonic()
    passed, failed, names = 0, [], []
    for area in options.area or areas():
        before, found = session.calls, 0
        for case in importlib.import_module(f"cases.{area}").CASES:
            if not fnmatch.fnmatch(case.name, options.case):
                continue
            names.append(case.name)
            differences = session.run(case)
            found += len(differences)
            if differences:
                failed.append(case.name)
            else:
                passed += 1
            for kind, (made_call, text) in differences.items():
                print(f"{case.name}: {kind}: {text}\n    {made_call.python()}", flush=True)
        print(
            f"-- {area}: {session.calls - before} calls, {found} differences, {time.monotonic() - started:.0f} s", flush=True
        )
    for number, case, kinds, _, reason in session.deviations.unused(names) if options.examples >= 100 else ():
        print(f"deviations.txt:{number}: did not occur: {case} {kinds}: {reason}")
    print(f"{session.meant} calls deviated as listed")
    print(f"{passed} passed, {len(failed)} failed")
    for worker in session.workers:
        worker.stop()
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
