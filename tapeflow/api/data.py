"""Public names of input pipelines (`tf.data`). Importing this gives `Dataset` all of its methods."""

from tapeflow.api import data_autograph, data_resample
from tapeflow.api.export import export, export_value, public
from tapeflow.api.ragged_spec import RaggedTensorSpec
from tapeflow.api.ragged_tensor import RaggedTensor
from tapeflow.api.sparse_tensor import SparseTensor, SparseTensorSpec
from tapeflow.data import (
    batches,
    dataset,
    generator,
    groups,
    iterator,
    maps,
    nested,
    options,
    order,
    padded,
    readers,
    shuffle,
    sources,
    store,
    structure,
)
from tapeflow.data.optional import Optional, OptionalSpec

# Importing a family of datasets gives `Dataset` its methods.
FAMILIES = (
    sources,
    generator,
    readers,
    maps,
    batches,
    padded,
    order,
    shuffle,
    nested,
    groups,
    store,
    data_resample,
    data_autograph,
)

export_value(dataset.Dataset, "data.Dataset")
export_value(dataset.DatasetSpec, "data.DatasetSpec")
for _name in ("Iterator", "IteratorSpec", "NumpyIterator"):
    export_value(getattr(iterator, _name), f"data.{_name}")
export_value(options.Options, "data.Options")
for _name in ("AUTOTUNE", "INFINITE_CARDINALITY", "UNKNOWN_CARDINALITY"):
    export_value(getattr(dataset, _name), f"data.{_name}", f"data.experimental.{_name}")
for _name in ("AutoShardPolicy", "ExternalStatePolicy", "AutotuneAlgorithm", "AutotuneOptions", "DistributeOptions"):
    export_value(getattr(options, _name), f"data.experimental.{_name}")
for _name in ("FixedLengthRecordDataset", "TFRecordDataset", "TextLineDataset"):
    export_value(getattr(readers, _name), f"data.{_name}")
export_value(options.OptimizationOptions, "data.experimental.OptimizationOptions")
export_value(options.ServiceOptions, "data.experimental.ServiceOptions")
export_value(options.ThreadingOptions, "data.ThreadingOptions", "data.experimental.ThreadingOptions")
export_value(Optional, "experimental.Optional", "data.experimental.Optional")
export_value(OptionalSpec, "OptionalSpec")


@export("data.experimental.cardinality")
def cardinality(dataset):
    """`dataset.cardinality()`: the number of elements; -1 when infinite, -2 when unknown."""
    return dataset.cardinality()


@export("data.experimental.get_single_element")
def get_single_element(dataset):
    """`dataset.get_single_element()`: the only element."""
    return dataset.get_single_element()


@export("data.experimental.get_structure")
def get_structure(dataset_or_iterator):
    """The nest of specs of the elements of a dataset or an iterator.

    Raises:
        TypeError: it is neither.
    """
    try:
        return dataset_or_iterator.element_spec
    except AttributeError:
        raise TypeError(
            f"Invalid `dataset_or_iterator`. `dataset_or_iterator` must be a `tf.data.Iterator` or `tf.data.Dataset` object, but "
            f"got {type(dataset_or_iterator)}."
        ) from None


@export("data.experimental.get_next_as_optional")
def get_next_as_optional(iterator):
    """`iterator.get_next_as_optional()`: the next element as an Optional, empty at the end."""
    return iterator.get_next_as_optional()


# Sparse and ragged elements: their slices, and what puts them together again


def _sparse_stack(parts, spec):
    return public("sparse.concat")(0, [public("sparse.expand_dims")(part, 0) for part in parts])


def _ragged_stack(parts, spec):
    return spec._stack([_as_ragged(part, spec) for part in parts])


def _as_ragged(part, spec):
    if spec.ragged_rank and not hasattr(part, "row_splits"):
        return RaggedTensor.from_tensor(part, ragged_rank=spec.ragged_rank, row_splits_dtype=spec.row_splits_dtype)
    return part


structure.COMPOSITES[SparseTensorSpec] = (SparseTensor.unstack, _sparse_stack)
structure.COMPOSITES[RaggedTensorSpec] = (RaggedTensor.unstack, _ragged_stack)
structure.RAGGED.update(spec=RaggedTensorSpec, sparse_spec=SparseTensorSpec, sparse=SparseTensor)
