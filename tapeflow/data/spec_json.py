"""Nests of specs as JSON: what `save` writes down of a dataset, so that `load` need not be told."""

import collections

from tapeflow.base.dtypes import as_dtype
from tapeflow.base.shape import TensorShape
from tapeflow.base.specs import TensorSpec
from tapeflow.data.structure import RAGGED, NoneTensorSpec


def to_json(spec):
    """What `json.dumps` takes.

    Raises:
        TypeError: a spec of another kind.
    """
    if isinstance(spec, dict):
        return {"dict": [[key, to_json(spec[key])] for key in spec]}
    if isinstance(spec, tuple):
        named = [type(spec).__name__, list(spec._fields)] if hasattr(spec, "_fields") else None
        return {"tuple": [to_json(part) for part in spec], "named": named}
    if isinstance(spec, NoneTensorSpec):
        return {"none": True}
    if type(spec) is TensorSpec:
        return {"tensor": [_dims(spec.shape), spec.dtype.name]}
    if type(spec) is RAGGED["spec"]:
        return {"ragged": [_dims(spec.shape), spec.dtype.name, spec.ragged_rank, spec.row_splits_dtype.name]}
    if type(spec) is RAGGED["sparse_spec"]:
        return {"sparse": [_dims(spec.shape), spec.dtype.name]}
    raise TypeError(f"Elements of type {type(spec).__name__} cannot be saved.")


def _dims(shape):
    return None if shape.rank is None else shape.as_list()


def from_json(value):
    """The nest of specs that `to_json` has made `value` of.

    Raises:
        ValueError: it has made nothing like this.
    """
    try:
        return _made(value)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"This is no nest of specs: {value!r}") from error


def _made(value):
    match value:
        case {"dict": pairs}:
            return {key: _made(part) for key, part in pairs}
        case {"tuple": parts, "named": None}:
            return tuple(map(_made, parts))
        case {"tuple": parts, "named": [name, fields]}:
            return collections.namedtuple(name, fields)(*map(_made, parts))
        case {"none": True}:
            return NoneTensorSpec()
        case {"tensor": [dims, dtype]}:
            return TensorSpec(TensorShape(dims), as_dtype(dtype))
        case {"ragged": [dims, dtype, rank, splits]}:
            return RAGGED["spec"](TensorShape(dims), as_dtype(dtype), rank, as_dtype(splits))
        case {"sparse": [dims, dtype]}:
            return RAGGED["sparse_spec"](TensorShape(dims), as_dtype(dtype))
        case _:
            raise ValueError(f"This is no nest of specs: {value!r}")
