"""Public names of input pipelines (`tf.data`)."""

from tapeflow.api.export import export_value
from tapeflow.data import dataset

export_value(dataset.Dataset, "data.Dataset")
export_value(dataset.Iterator, "data.Iterator")
export_value(dataset.Options, "data.Options")
for _name in ("AUTOTUNE", "INFINITE_CARDINALITY", "UNKNOWN_CARDINALITY"):
    export_value(getattr(dataset, _name), f"data.{_name}", f"data.experimental.{_name}")
