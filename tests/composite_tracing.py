"""Runs a function on composites eagerly and traced, with and without known dimensions, and compares."""

import numpy as np

import tapeflow as tf
from tapeflow.base import nest
from tapeflow.core.graph import Graph, SymbolicTensor
from tapeflow.core.state import tracing
from tapeflow.core.tensor import Tensor, wrap


def parts_of(structure):
    """The tensors of a nest of tensors and composites."""
    return [x for x in nest.flatten(structure, expand_composites=True) if isinstance(x, Tensor)]


def loose(spec):
    """The spec with every dimension but inner ones unknown."""
    if isinstance(spec, tf.TensorSpec):
        return tf.TensorSpec([None] * spec.shape.rank, spec.dtype)
    if isinstance(spec, tf.SparseTensorSpec):
        return tf.SparseTensorSpec([None] * spec.shape.rank, spec.dtype)
    dims = spec.shape.as_list()
    kept = dims[spec.ragged_rank + 1 :]
    return tf.RaggedTensorSpec([None] * (spec.ragged_rank + 1) + kept, spec.dtype, spec.ragged_rank, spec.row_splits_dtype)


def traced(function, args, relax):
    """The values of what `function` gives when traced over placeholders for `args`."""
    specs = [tf.type_spec_from_value(x) for x in args]
    specs = [loose(spec) for spec in specs] if relax else specs
    graph = Graph("test")
    with tracing(graph):
        inputs = []
        for spec in specs:
            flat = nest.flatten(spec, expand_composites=True)
            holders = [graph.placeholder(part.shape._dims, part.dtype) for part in flat]
            inputs.append(nest.pack_sequence_as(spec, holders, expand_composites=True))
        result = function(*inputs)
    outputs = parts_of(result)
    assert any(isinstance(x, SymbolicTensor) for x in outputs), "nothing was traced"
    return [x._value for x in graph.run([x._value for x in parts_of(args)], outputs)]


def check(function, *args, unknown=True):
    """`function` gives eagerly what it gives traced."""
    args = [x if hasattr(x, "_type_spec") else wrap(np.asarray(tf.convert_to_tensor(x)._value)) for x in args]
    expected = [x._value for x in parts_of(function(*args))]
    for relax in (False, True) if unknown else (False,):
        found = traced(function, args, relax)
        assert len(found) == len(expected)
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_array_equal(np.asarray(a), np.asarray(b))
