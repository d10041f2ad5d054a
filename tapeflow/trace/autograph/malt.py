"""What is used of diastatic-malt; the only place that imports it.

Its packages import much by themselves that is not used here (`unittest`, `tempfile`, `logging`, a conversion of their own): four times
what is. So the packages' own code is left out until somebody asks a package for a name.
"""

import importlib.util
import sys


def _prepare(name):
    """Have a package in place, without having run its code."""
    spec = importlib.util.find_spec(name)
    package = importlib.util.module_from_spec(spec)

    def attribute(asked):
        if package.__dict__.pop("__getattr__", None) is not None:
            spec.loader.exec_module(package)
        if asked not in package.__dict__:
            raise AttributeError(f"module {name!r} has no attribute {asked!r}")
        return package.__dict__[asked]

    package.__getattr__ = attribute
    sys.modules[name] = package
    parent, _, child = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], child, package)


for _name in ("malt", "malt.operators"):
    if _name not in sys.modules:
        _prepare(_name)

import malt.operators.py_builtins as py_builtins  # noqa: E402
from malt.converters import (  # noqa: E402
    asserts,
    break_statements,
    conditional_expressions,
    continue_statements,
    control_flow,
    directives,
    lists,
    logical_expressions,
    return_statements,
    slices,
    variables,
)
from malt.core import converter  # noqa: E402
from malt.lang.directives import set_loop_options  # noqa: E402
from malt.operators.data_structures import ListPopOpts, ListStackOpts  # noqa: E402
from malt.operators.slices import GetItemOpts  # noqa: E402
from malt.operators.variables import Undefined, UndefinedReturnValue, ld, ldu  # noqa: E402
from malt.pyct import anno, cfg, inspect_utils, naming, qual_names, templates, transformer  # noqa: E402
from malt.pyct.static_analysis import activity, liveness, reaching_definitions, reaching_fndefs  # noqa: E402

__all__ = [
    "GetItemOpts",
    "ListPopOpts",
    "ListStackOpts",
    "Undefined",
    "UndefinedReturnValue",
    "activity",
    "anno",
    "asserts",
    "break_statements",
    "cfg",
    "conditional_expressions",
    "continue_statements",
    "control_flow",
    "converter",
    "directives",
    "inspect_utils",
    "ld",
    "ldu",
    "lists",
    "liveness",
    "logical_expressions",
    "naming",
    "py_builtins",
    "qual_names",
    "reaching_definitions",
    "reaching_fndefs",
    "return_statements",
    "set_loop_options",
    "slices",
    "templates",
    "transformer",
    "variables",
]
