"""Ops that change a part of a variable, in place where nobody else holds its value."""

import math

import numpy as np

from tapeflow.base.errors import OutOfRangeError, invalid
from tapeflow.base.shape import broadcast
from tapeflow.core.primitive import P, Primitive
from tapeflow.core.tensor import Spec
from tapeflow.ops.index import check_indices, refuse_index_dtype
from tapeflow.ops.movement import listed
from tapeflow.ops.scatter import check_scatter, rows_and_data, scatter_into
from tapeflow.ops.slicing import resolve


def _spec(variable):
    return Spec(variable._shape._dims, variable._dtype)


def _slice_kernel(value, *, variable, key):
    def change(array):
        array[resolve(key)] = value

    variable._change(change)
    return variable._tensor._value


def _slice_infer(value, *, variable, key):
    target = P.strided_slice.infer(_spec(variable), key=key).shape
    if value.shape is not None and target is not None:
        try:
            fits = broadcast(value.shape, target) == target or None in (*target, *value.shape)
        except ValueError:
            fits = False
        if not fits:
            raise invalid(
                "assign_slice", f"Cannot broadcast input shape {listed(value.shape)} into final shape {listed(target)}"
            )
    return _spec(variable)


assign_slice = Primitive("assign_slice", _slice_kernel, _slice_infer, stateful=True, uniform=False)


# scatter_variable: whole rows of the first axis (nd=False), or whatever coordinates name (nd=True)


def _scatter_kernel(indices, updates, *, variable, how, nd):
    def change(array):
        if nd:
            rows, data = rows_and_data("scatter_variable", array.shape, indices, updates, 0, False)
            outer = math.prod(array.shape[: indices.shape[-1]])
        else:
            check_indices("scatter_variable", indices, len(array))
            rows, outer = np.reshape(indices, -1), len(array)
            if updates.shape not in ((), np.shape(indices) + array.shape[1:]):
                raise ValueError(updates.shape)
            data = np.broadcast_to(updates, (*np.shape(indices), *array.shape[1:])).reshape(
                rows.size, math.prod(array.shape[1:])
            )
        scatter_into(array.reshape(outer, data.shape[1]), rows, data, how)

    variable._change(change)
    return variable._tensor._value


def _scatter_infer(indices, updates, *, variable, how, nd):
    spec = _spec(variable)
    refuse_index_dtype("scatter_variable", indices)
    if nd:
        check_scatter("scatter_variable", spec.shape, indices, updates, 0)
    elif None not in (indices.shape, updates.shape, spec.shape) and updates.shape != ():
        wanted = indices.shape + spec.shape[1:]
        if len(wanted) != len(updates.shape) or any(
            None not in pair and pair[0] != pair[1] for pair in zip(wanted, updates.shape, strict=True)
        ):
            raise invalid(
                "scatter_variable",
                "Must have updates.shape = indices.shape + params.shape[1:] or updates.shape = [], got updates.shape "
                f"{listed(updates.shape)}, indices.shape {listed(indices.shape)}, params.shape {listed(spec.shape)}",
            )
    return spec


scatter_variable = Primitive("scatter_variable", _scatter_kernel, _scatter_infer, stateful=True, uniform=False)


def _count_kernel(*, variable, limit):
    before = variable._tensor._value
    if np.shape(before) or before.dtype.kind not in "iu":
        raise ValueError(before)
    if before >= limit:
        raise OutOfRangeError(None, None, f"Reached limit of {limit} [Op:count_up_to]")
    variable._store("assign", before + before.dtype.type(1))
    return before


def _count_infer(*, variable, limit):
    if not variable._dtype.is_integer:
        raise invalid(
            "count_up_to",
            f"Value for attr 'T' of {variable._dtype.c_name} is not in the list of allowed values: int32, int64",
        )
    if variable._shape._dims != ():
        raise invalid("count_up_to", f"input is not a scalar: {listed(variable._shape._dims)}")
    return _spec(variable)


count_up_to = Primitive("count_up_to", _count_kernel, _count_infer, stateful=True, uniform=False, parameters=())
