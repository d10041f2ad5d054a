"""`tf.data`: input pipelines."""

from tapeflow.data.dataset import AUTOTUNE, Dataset, Iterator, Options

__all__ = ["AUTOTUNE", "Dataset", "Iterator", "Options"]
