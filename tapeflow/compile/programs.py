"""Programs on disk: the data of their layouts and the keys of their object code, by what they were compiled of.

So a process that finds a program neither runs passes, nor plans, nor writes LLVM text, nor loads the modules that do.
"""

import base64

import numpy as np

from tapeflow.base import flags
from tapeflow.base.dtypes import as_dtype
from tapeflow.compile import jit, kept, pool
from tapeflow.compile.cache import cache
from tapeflow.compile.description import LARGEST, Description, Undescribed
from tapeflow.compile.layout import Failure, Layout, Result
from tapeflow.compile.native import Native
from tapeflow.compile.places import Held, Place
from tapeflow.core.tensor import Spec

NUMBERS = "slots", "arena", "workspace", "scratch", "shared"


def describe(graph, closed, shapes):
    """The `Description` of a graph for some shapes; None where its program is not kept."""
    if cache() is None or flags.DEBUG or flags.VALIDATE:
        return None
    try:
        return Description(graph, closed, shapes)
    except Undescribed:
        return None


def find(description):
    """The program that was kept for a description, or None."""
    found = description and kept.read(description.key)
    if not found:
        return None
    code = jit.load(found["objects"], [found["name"]], pool.imports())
    return code and Native(_layout_of(found, description), code, found["name"])


def keep(description, program):
    """Keep a program, if it is native throughout and all that it needs is plain data."""
    if description and getattr(program, "native", False):
        found = _data_of(program.layout, description)
        if found is not None:
            kept.write(description.key, {**found, "name": program.name, "objects": program.code.keys})


# Layouts as data: places are pairs, arrays are bytes in base 64; variables and lines are their numbers in the description


def _data_of(layout, description):
    """A `Layout` as data; None where it cannot be."""
    variables = {id(variable): number for number, variable in enumerate(description.variables)}
    lines = {line: number for number, line in enumerate(description.lines)}
    arrays = [*layout.constants.values(), *[x.place for x in layout.results if x.kind == "constant"]]
    if (
        any(x.kind == "step" for x in layout.results)
        or any(failures.__class__ is not list for failures in layout.failures.values())  # an `Assert`
        or any(id(held.variable) not in variables for held in layout.held)
        or any(x.line and x.line not in lines for failures in layout.failures.values() for x in failures)
        or any(array.dtype.hasobject or array.nbytes > LARGEST for array in arrays)
    ):
        return None
    return {
        **{name: getattr(layout, name) for name in NUMBERS},
        "constants": [(slot, _array(array)) for slot, array in layout.constants.items()],
        "inputs": [(_spec(spec), _place(place)) for spec, place in layout.inputs],
        "held": [(variables[id(x.variable)], _place(x.place), _spec(x.spec), x.written) for x in layout.held],
        "results": [
            (x.number, _spec(x.spec), x.dims, x.kind, _array(x.place) if x.kind == "constant" else x.place)
            for x in layout.results
        ],
        "failures": [
            (offset, [(*x[:-1], lines[x.line] if x.line else None) for x in failures])
            for offset, failures in layout.failures.items()
        ],
    }


def _layout_of(found, description):
    """The `Layout` of data."""
    numbers = {name: found[name] for name in NUMBERS}
    lines = description.lines
    return Layout(
        **numbers,
        constants={slot: _array_of(array) for slot, array in found["constants"]},
        inputs=[(_spec_of(spec), _place_of(place)) for spec, place in found["inputs"]],
        held=[
            Held(description.variables[number], _place_of(place), _spec_of(spec), written)
            for number, place, spec, written in found["held"]
        ],
        results=[
            Result(number, _spec_of(spec), _dims_of(dims), kind, _array_of(place) if kind == "constant" else place)
            for number, spec, dims, kind, place in found["results"]
        ],
        failures={
            offset: [Failure(*x, None if line is None else lines[line]) for *x, line in failures]
            for offset, failures in found["failures"]
        },
    )


def _place(place):
    return place and (place.slot, place.offset)


def _place_of(data):
    return data and Place(*data)


def _spec(spec):
    return spec.shape, spec.dtype.name


def _spec_of(data):
    return Spec(_dims_of(data[0]), as_dtype(data[1]))


def _dims_of(data):
    return None if data is None else tuple(data)


def _array(array):
    array = np.asarray(array)
    return array.shape, as_dtype(array.dtype).name, base64.b64encode(array.tobytes()).decode()


def _array_of(data):
    shape, dtype, text = data
    array = np.ndarray(tuple(shape), as_dtype(dtype).numpy_dtype, buffer=base64.b64decode(text)).copy()
    return array if shape else array[()]


__all__ = ["describe", "find", "keep"]
