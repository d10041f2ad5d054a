"""Measures tapeflow beside its peers and prints the table: `python benchmarks/run.py --help`."""

import argparse
import importlib
import json
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path

from row import LIBRARIES

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
WORKLOADS = (
    "scalar_add",
    "tape",
    "second_order",
    "mlp_step",
    "keras_step",
    "data_shuffle",
    "data_map",
    "data_images",
    "data_overlap",
    "data_records",
    "records",
    "import_time",
    "import_memory",
    "dropped_tapes",
    "kept_losses",
)
NAMES = {"tapeflow": "tapeflow", "tensorflow": "TensorFlow", "torch": "PyTorch", "jax": "JAX"}
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"}


def main():
    options = parse_arguments()
    interpreters = find_interpreters(options.peer)
    results = [measure(name, interpreters, options.rounds) for name in options.only or WORKLOADS]
    print_table(results)
    if options.json:
        report = {"machine": machine(), "rows": [as_record(result) for result in results]}
        Path(options.json).write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    return int(any("tapeflow" in result.failures for result in results))


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=PYTHON", type=parse_peer,
                        help=f"the interpreter that has one of {', '.join(LIBRARIES)}; may be repeated")
    parser.add_argument("--rounds", type=int, help="how many processes of each library measure each row")
    parser.add_argument("--only", nargs="+", choices=WORKLOADS, metavar="ROW", help=f"some of {', '.join(WORKLOADS)}")
    parser.add_argument("--json", metavar="FILE", help="also write every measured figure to FILE")
    return parser.parse_args()


def parse_peer(text):
    name, separator, python = text.partition("=")
    if not separator or name not in LIBRARIES:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=PYTHON with a NAME of {', '.join(LIBRARIES)}")
    return name, python


def find_interpreters(given):
    """The interpreter of every library that is here: the one given, or the one that `make bench-peers` made."""
    places = {name: ROOT / ".venv-peers" / name / "bin" / "python" for name in LIBRARIES}
    places |= {"tapeflow": sys.executable, **dict(given)}
    return {name: str(python) for name, python in places.items() if Path(python).exists()}


class Result:
    """The figures of one row: for each library those of all its rounds, or the reason why there are none."""

    def __init__(self, workload):
        self.workload = workload
        self.row = importlib.import_module(f"workloads.{workload}").ROW
        self.rounds, self.versions, self.failures = {}, {}, {}

    def value(self, library):
        if library in self.failures or library not in self.rounds:
            return None
        return (statistics.median if self.row.median else min)(self.rounds[library])

    def ratio(self):
        ours, theirs = self.value("tapeflow"), self.value(self.row.peer)
        return theirs / ours if ours and theirs else None

    def reached(self):
        """Whether the target is reached; None where there is none, or no figure to judge it by."""
        if self.row.faster is not None:
            ratio = self.ratio()
            return None if ratio is None else ratio >= self.row.faster
        ours = self.value("tapeflow")
        return None if self.row.limit is None or ours is None else ours < self.row.limit


def measure(workload, interpreters, rounds):
    """Runs a workload in the libraries' own processes by turns, so that what disturbs one disturbs its neighbour."""
    result = Result(workload)
    libraries = [name for name in result.row.libraries if name in interpreters]
    for turn in range(rounds or result.row.rounds):
        for library in libraries:
            if library in result.failures:
                continue
            say(f"{result.row.title}: {library}, round {turn + 1}")
            answer, failure = run_child(workload, library, interpreters[library])
            if failure:
                result.failures[library] = failure
            else:
                result.rounds.setdefault(library, []).append(answer["value"])
                result.versions[library] = answer["version"]
    say("")
    return result


def say(text):
    """Shows what is being measured in one line that the next one replaces."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def run_child(workload, library, python):
    """The answer of one process, and what went wrong where it gave none."""
    environment = os.environ | QUIET
    if library == "tapeflow":  # this checkout, installed or not
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    command = [python, str(HERE / "child.py"), workload, library]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    except subprocess.TimeoutExpired:
        return None, "no answer within 600 s"
    if done.returncode:
        return None, (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
    return json.loads(done.stdout.splitlines()[-1]), None


def print_table(results):
    """Prints the table in Markdown, so that it can be pasted where it is quoted."""
    cells = [("", *NAMES.values(), "ratio", "target", "reached")]
    cells += [row_cells(result) for result in results]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    cells.insert(1, tuple("-" * width for width in widths))
    for row in cells:
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |")
    versions = {name: version for result in results for name, version in result.versions.items()}
    print(f"\n{machine()}; " + ", ".join(f"{name} {version}" for name, version in versions.items()) + ".")
    print("Times: the best of all rounds; import and memory: the median. Ratio: the peer's value over tapeflow's.")
    for result in results:
        for library, failure in result.failures.items():
            print(f"{result.row.title}, {library}: {failure}")


def row_cells(result):
    row, ratio = result.row, result.ratio()
    values = [
        "failed" if name in result.failures else "-" if (value := result.value(name)) is None else shorten(value)
        for name in LIBRARIES
    ]
    return (
        f"{row.title}, {row.unit}",
        *values,
        "-" if ratio is None else f"{shorten(ratio)} x {NAMES[row.peer]}",
        describe_target(row),
        {True: "yes", False: "no", None: "-"}[result.reached()],
    )


def describe_target(row):
    if row.faster is not None:
        return f"{row.faster} x {NAMES[row.peer]}" if row.faster > 1 else f"faster than {NAMES[row.peer]}"
    return "-" if row.limit is None else f"< {row.limit} {row.unit}"


def shorten(value):
    """Three significant digits, without an exponent."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def machine():
    """The processor and the Python that all figures belong to."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        models = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        name = models[0] if models else name
    return f"{name}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"


def as_record(result):
    row = result.row
    return {
        "workload": result.workload,
        "title": row.title,
        "unit": row.unit,
        "values": {name: result.value(name) for name in LIBRARIES},
        "rounds": result.rounds,
        "versions": result.versions,
        "failures": result.failures,
        "peer": row.peer,
        "ratio": result.ratio(),
        "target": {"faster": row.faster, "limit": row.limit},
        "reached": result.reached(),
    }


if __name__ == "__main__":
    sys.exit(main())
