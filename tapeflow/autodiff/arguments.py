"""What `gradient` and its kin are given: sources, targets and the cotangents to start from."""

import math
import operator

import numpy as np

from tapeflow.base import dtypes, nest
from tapeflow.base.errors import InvalidArgumentError
from tapeflow.base.log import log
from tapeflow.core.backward import add_cotangents
from tapeflow.core.composite import Composite
from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.primitive import P
from tapeflow.core.tensor import Tensor, wrap
from tapeflow.core.variable import Variable

FEW = 4096  # elements of a constant in a graph
# The ones among NumPy's scalars: to make one takes longer than to find it.
ONES = {dtype.type: dtype.type(1) for dtype in dtypes.ALL if dtype.is_trainable}
first = operator.itemgetter(0)


def handle_of(x):
    """The tensor, or the variable behind what acts as one (Keras's variables do)."""
    if isinstance(x, (Tensor, Variable)):
        return x
    return x.handle if getattr(x, "_should_act_as_resource_variable", None) is not None else x


def gradient_parts(structure):
    """The nest with, in place of each sparse or ragged tensor, the tensor that gradients are taken of; itself without any."""
    if isinstance(structure, (Tensor, Variable)):
        return structure
    for x in nest.flatten(structure):
        if isinstance(x, Composite):
            return nest.map_structure(lambda x: x.gradient_part() if isinstance(x, Composite) else x, structure)
    return structure


def with_parts(structure, gradients):
    """The gradients of `gradient_parts(structure)` put back into sparse and ragged tensors."""

    def put_back(x, g):
        return x.with_gradient_part(g) if isinstance(x, Composite) and g is not None else g

    return nest.map_structure(put_back, structure, gradients, check_types=False)


def sources_of(sources):
    """The tensors and variables of a nest of sources, and the function that puts their gradients into a nest like it."""
    cls = sources.__class__
    if (cls is Variable or cls is Tensor) and sources._dtype.is_trainable:
        return (sources,), first
    if cls is list or cls is tuple:  # the usual case, without the cost of walking through a nest
        handles = []
        for x in sources:
            if x.__class__ is not Variable and x.__class__ is not Tensor:
                x = handle_of(x)
                if x.__class__ is not Variable:
                    break
            if not x._dtype.is_trainable:
                break
            handles.append(x)
        else:
            return handles, cls
    parts = gradient_parts(sources)
    handles = [checked_source(x) for x in nest.flatten(parts, expand_composites=True)]

    def pack(gradients):
        packed = nest.pack_sequence_as(parts, gradients, expand_composites=True)
        return packed if parts is sources else with_parts(sources, packed)

    return handles, pack


def checked_source(x):
    """The tensor or variable of a source; raises where it is none."""
    if x.__class__ is Variable and x._dtype.is_trainable:
        return x
    handle = handle_of(x)
    if not isinstance(handle, (Tensor, Variable)):
        raise (TypeError if x is None else ValueError)(
            f"Passed in object {x!r} of type {type(x).__name__!r}, not tf.Tensor or tf.Variable or ExtensionType: "
            "a gradient is taken with respect to these."
        )
    if not handle.dtype.is_trainable:
        log.debug(
            "The dtype of the source tensor must be floating (e.g. tf.float32), got %r: its gradient is None.",
            handle.dtype,
        )
    return handle


def targets_of(target):
    """What was given, as tensors and variables, and the tensors of these; raises where something is neither."""
    handles, targets = [], []
    for x in nest.flatten(target, expand_composites=True):
        handle = handle_of(x)
        if not isinstance(handle, (Tensor, Variable)):
            raise TypeError(
                "Argument `target` should be a list or nested structure of Tensors, Variables or CompositeTensors to be "
                f"differentiated, but received {x!r}."
            )
        tensor = handle._read() if isinstance(handle, Variable) else handle
        if not tensor.dtype.is_trainable:
            log.debug(
                "The dtype of the target tensor must be floating (e.g. tf.float32), got %r: it has no gradient.",
                tensor.dtype,
            )
        handles.append(handle)
        targets.append(tensor)
    return handles, targets


def seeds_of(target, output_gradients):
    """A dict from mark to cotangent to start from, for the targets that carry a gradient; ones where no cotangent is given."""
    if target.__class__ is Tensor and output_gradients is None:  # the usual case, without the cost of nests
        mark = target._mark
        if mark is None or not mark.watchers:
            return {}
        one = ONES.get(target._value.__class__)
        if one is None:
            return {mark: wrap(np.ones(target._value.shape, target._dtype.numpy_dtype))}
        ones = Tensor()
        ones._value = one
        ones._dtype = target._dtype
        ones._mark = None
        return {mark: ones}
    seeds = {}
    for _, x, g in seeded(target, output_gradients):
        if x._mark is not None and x._mark.watchers:
            g = _ones(x) if g is None else _seed(x, g)
            before = seeds.get(x._mark)
            seeds[x._mark] = g if before is None else add_cotangents(g, before)
    return seeds


def seeded(target, output_gradients):
    """For each target what was given, its tensor, and the output gradient or None."""
    handles, targets = targets_of(target)
    flat = [None] * len(targets)
    if output_gradients is not None and targets:
        flat = [g if g is None else convert_to_tensor(g) for g in nest.flatten(output_gradients, expand_composites=True)]
    if len(flat) != len(targets):
        raise ValueError(f"output_gradients has {len(flat)} tensors, target has {len(targets)}.")
    return list(zip(handles, targets, flat, strict=True))


def own_seeds(target, output_gradients, sources, counted):
    """(number of a source, cotangent) for each target that is that source itself, unless `counted(source, its tensor)`."""
    ids = [id(x) for x in sources]
    if not any(id(handle_of(x)) in ids for x in nest.flatten(target, expand_composites=True)):
        return
    for handle, x, g in seeded(target, output_gradients):
        if id(handle) in ids and not counted(handle, x):
            for number, source in enumerate(ids):
                if source == id(handle):
                    yield number, _ones(x) if g is None else _seed(x, g)


def _ones(target):
    """Ones like the target; few ones are not computed from it, so no tape has to record them."""
    dims = target.dims
    few = dims is not None and None not in dims and math.prod(dims) <= FEW
    return wrap(np.ones(dims, target._dtype.numpy_dtype)) if few else P.ones_like(target)


def _seed(target, g):
    """An output gradient of the target's shape and dtype."""
    if g._dtype is not target._dtype:
        raise InvalidArgumentError(
            None,
            None,
            f"cannot compute the gradient as output_gradients was expected to be a {target._dtype.c_name} tensor, like its "
            f"target, but is a {g._dtype.c_name} tensor; tf.cast changes its dtype.",
        )
    if g.dims == target.dims or g.shape.is_compatible_with(target.shape):
        return g
    try:
        return P.broadcast_to(g, shape=target.dims)
    except InvalidArgumentError:
        raise InvalidArgumentError(
            None,
            None,
            f"Incompatible shapes: an output gradient of shape {g.shape} for a target of shape {target.shape}.",
        ) from None


__all__ = ["checked_source", "gradient_parts", "handle_of", "own_seeds", "seeds_of", "sources_of"]
