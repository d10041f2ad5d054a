"""Measures tapeflow beside its peers and prints the table: `python benchmarks/run.py --help`."""

import argparse
import importlib
import json
import statistics
import subprocess
import sys
from pathlib import Path

import peers
from peers import NAMES
from row import LIBRARIES
from table import machine, print_machine, print_table, say, shorten

HERE = Path(__file__).resolve().parent
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


def main():
    options = parse_arguments()
    interpreters = peers.find_interpreters(options.peer)
    results = [measure(name, interpreters, options.rounds) for name in options.only or WORKLOADS]
    print_results(results)
    if options.json:
        report = {"machine": machine(), "rows": [as_record(result) for result in results]}
        Path(options.json).write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    return int(any("tapeflow" in result.failures for result in results))


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    peers.add_argument(parser)
    parser.add_argument("--rounds", type=int, help="how many processes of each library measure each row")
    parser.add_argument("--only", nargs="+", choices=WORKLOADS, metavar="ROW", help=f"some of {', '.join(WORKLOADS)}")
    parser.add_argument("--json", metavar="FILE", help="also write every measured figure to FILE")
    return parser.parse_args()


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


def run_child(workload, library, python):
    """The answer of one process, and what went wrong where it gave none."""
    command = [python, str(HERE / "child.py"), workload, library]
    try:
        done = subprocess.run(command, env=peers.environment(library), capture_output=True, text=True, timeout=600)
    except subprocess.TimeoutExpired:
        return None, "no answer within 600 s"
    if done.returncode:
        return None, peers.last_words(done.stderr, done.returncode)
    return json.loads(done.stdout.splitlines()[-1]), None


def print_results(results):
    print_table([("", *NAMES.values(), "ratio", "target", "reached"), *map(row_cells, results)])
    versions = {name: version for result in results for name, version in result.versions.items()}
    print_machine(versions)
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
