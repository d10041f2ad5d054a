"""Public names of tables in text files (`tf.data.experimental.make_csv_dataset`), which are read rarely."""

from tapeflow.api.export import export_value
from tapeflow.data import csv

export_value(csv.CsvDataset, "data.experimental.CsvDataset")
export_value(csv.make_csv_dataset, "data.experimental.make_csv_dataset")
