"""Runs one workload in one library and prints the figure as JSON: `python child.py scalar_add torch`."""

import importlib
import json
import sys


def main(workload, library):
    functions = importlib.import_module(f"workloads.{workload}")
    if hasattr(functions, "any_library"):  # imports the library itself
        value = functions.any_library(library)
    else:
        api = "tensorflow" if library == "tapeflow" else library
        value = getattr(functions, api)(importlib.import_module(library))
    version = importlib.import_module(library).__version__
    print(json.dumps({"value": value, "version": version}))


if __name__ == "__main__":
    main(*sys.argv[1:])
