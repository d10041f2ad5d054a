"""`GradientTape.jacobian` and `batch_jacobian`: the reverse walk from many cotangents at once."""

import math

import numpy as np

from tapeflow.autodiff.arguments import checked_source, handle_of
from tapeflow.autodiff.tape import UnconnectedGradients
from tapeflow.autodiff.vectorize import Batch, BatchTensor
from tapeflow.base import nest
from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.primitive import P
from tapeflow.core.slices import IndexedSlices
from tapeflow.core.state import batching, state
from tapeflow.core.tensor import Tensor, wrap
from tapeflow.core.variable import Variable


def jacobian(tape, target, sources, unconnected_gradients, parallel_iterations, use_pfor):
    """See `GradientTape.jacobian`."""
    unconnected_gradients = UnconnectedGradients(unconnected_gradients)
    tape._check_use(sources)
    given, target = handle_of(target), _target(target)
    handles = [checked_source(x) for x in nest.flatten(sources)]
    dims = _known_dims(target, "jacobian")
    size = math.prod(dims)
    _check_loop(tape, "jacobian", use_pfor, parallel_iterations)
    seeds = one_hot(size, dims, target._dtype)
    rows = _walk(tape, target, handles, seeds, use_pfor, parallel_iterations)
    rows = [seeds if row is None and handle is given else row for row, handle in zip(rows, handles, strict=True)]
    if not tape._persistent:
        tape._finish(rows, handles)
    results = []
    for row, handle in zip(rows, handles, strict=True):
        if row is None:
            zero = unconnected_gradients is UnconnectedGradients.ZERO
            row = P.zeros_like(P.broadcast_to(convert_to_tensor(handle), shape=(size, *handle.shape))) if zero else None
        results.append(None if row is None else P.reshape(row, shape=(*dims, *row.dims[1:])))
    return nest.pack_sequence_as(sources, results)


def batch_jacobian(tape, target, source, unconnected_gradients, parallel_iterations, use_pfor):
    """See `GradientTape.batch_jacobian`."""
    UnconnectedGradients(unconnected_gradients)
    tape._check_use(source)
    target = _target(target)
    handle = checked_source(source)
    shapes = target.shape, handle.shape
    if any(shape.rank is not None and shape.rank < 2 for shape in shapes):
        low = next(shape for shape in shapes if shape.rank < 2)
        raise ValueError(f"Shape {low} must have rank at least 2: a batch of examples, each of rank 1 or more.")
    if not shapes[0].dims[0].is_compatible_with(shapes[1].dims[0]):
        raise ValueError(f"Need first dimension of target shape ({shapes[0]}) and source shape ({shapes[1]}) to match.")
    _check_loop(tape, "batch_jacobian", use_pfor, parallel_iterations)
    dims = _known_dims(target, "batch_jacobian")
    count, size = dims[0], math.prod(dims[1:])
    rest = tuple(handle.shape.as_list())[1:]
    seeds = P.broadcast_to(P.expand_dims(one_hot(size, dims[1:], target._dtype), axis=(1,)), shape=(size, *dims))
    (rows,) = _walk(tape, target, [handle], seeds, use_pfor, parallel_iterations)
    if not tape._persistent:
        tape._finish([rows], [handle])
    if rows is None:  # zeros, whatever is asked for, as in TensorFlow
        return P.fill(shape=(*dims, *rest), value=0, dtype=target._dtype)
    columns = P.transpose(P.reshape(rows, shape=(size, count, math.prod(rest))), perm=(1, 0, 2))
    return P.reshape(columns, shape=(*dims, *rest))


def _target(target):
    handle = handle_of(target)
    if isinstance(handle, Variable):
        return handle._read()
    if not isinstance(handle, Tensor):
        raise TypeError(f"Argument `target` must be one tensor, got {target!r} of type {type(target).__name__!r}.")
    return handle


def _known_dims(target, name):
    if target.dims is None or None in target.dims:
        raise ValueError(f"{name} needs a target whose shape is known while the function is traced, got {target.shape}.")
    return target.dims


def _check_loop(tape, name, use_pfor, parallel_iterations):
    if not use_pfor:
        if state.graph is None and not tape._persistent:
            raise RuntimeError(
                f"GradientTape must be created with persistent=True to compute the {name} with eager execution enabled and "
                "with experimental_use_pfor set to False."
            )
    elif parallel_iterations is not None and parallel_iterations <= 1:
        raise ValueError(
            f"Argument `parallel_iterations` must be None or an integer above 1, got {parallel_iterations}. "
            "experimental_use_pfor=False takes one element of the target at a time."
        )


def one_hot(size, dims, dtype):
    """For each element of the target the cotangent that picks it: shape [size, *dims]."""
    return wrap(np.eye(size, dtype=dtype.numpy_dtype).reshape(size, *dims))


def _walk(tape, target, handles, seeds, use_pfor, parallel_iterations):
    """The gradients from each of `seeds`, stacked along axis 0, for each source; None where it is not connected."""
    size = seeds.dims[0]
    if target._mark is None or not target._mark.watchers:
        return [None] * len(handles)
    if not use_pfor:
        return _concatenated(
            [_pulled(tape, target, handles, P.strided_slice(seeds, key=(i,)), None) for i in range(size)]
            or [_walk_batch(tape, target, handles, seeds)],
            size > 0,
        )
    step = size if parallel_iterations is None else min(parallel_iterations, size)
    parts = [
        _walk_batch(tape, target, handles, P.strided_slice(seeds, key=((start, start + step, None),)))
        for start in range(0, size or 1, step or 1)
    ]
    return _concatenated(parts, False)


def _walk_batch(tape, target, handles, seeds):
    batch = Batch(seeds.dims[0], what="a jacobian")
    try:
        with batching(batch):
            return _pulled(tape, target, handles, BatchTensor(seeds, batch), batch)
    except ValueError as error:
        raise ValueError(
            "Encountered an exception while vectorizing the jacobian computation. Vectorization can be disabled by setting "
            f"experimental_use_pfor to False. {error}"
        ) from error
    finally:
        batch.closed = True


def _pulled(tape, target, handles, seed, batch):
    """The gradients from one seed, or from all of a batch."""
    gradients = tape._pull_back({target._mark: seed}, handles)
    if batch is not None:
        return [batch.stacked(g) for g in gradients]
    return [g.dense() if isinstance(g, IndexedSlices) else g for g in gradients]


def _concatenated(parts, single):
    """The parts of each source's rows put together; `single` parts are one row each."""
    results = []
    for rows in zip(*parts, strict=True):
        if any(row is None for row in rows):
            results.append(None)
        elif single:
            results.append(P.stack(*rows, axis=0))
        else:
            results.append(rows[0] if len(rows) == 1 else P.concat(*rows, axis=0))
    return results


__all__ = ["batch_jacobian", "jacobian", "one_hot"]
