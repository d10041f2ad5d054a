"""`tf.data`: input pipelines."""

from tapeflow.data import batches, generator, groups, maps, nested, order, readers, shuffle, sources, store
from tapeflow.data.dataset import AUTOTUNE, Dataset
from tapeflow.data.iterator import Iterator
from tapeflow.data.options import Options

__all__ = ["AUTOTUNE", "Dataset", "Iterator", "Options"]
