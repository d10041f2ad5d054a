"""The public names whose modules are imported when a program first asks for one of them."""

from tapeflow import data  # noqa: F401 - the package is the namespace `tf.data`, whose names come later
from tapeflow.api.export import export_later

TOOLS = "main Benchmark benchmark_config is_built_with_cuda is_built_with_rocm is_built_with_gpu_support is_built_with_xla"
TOOLS += " is_gpu_available gpu_device_name is_cpu_target_available disable_with_predicate with_eager_op_as_function"
TOOLS += " experimental.sync_devices assert_equal_graph_def"

EAGERLY = ("functions_run_eagerly", "run_functions_eagerly")
export_later(
    "tapeflow.api.function",
    "function",
    *[f"config.{name}" for name in EAGERLY],
    *[f"config.experimental_{name}" for name in EAGERLY],
)
export_later("tapeflow.api.testing", "test.TestCase")
export_later("tapeflow.api.xla", "xla.experimental.compile", "xla.experimental.jit_scope")
export_later("tapeflow.api.testing_tools", *[f"test.{name}" for name in TOOLS.split()])
export_later(
    "tapeflow.api.extension_type",
    "experimental.ExtensionType",
    "experimental.BatchableExtensionType",
    "experimental.ExtensionTypeSpec",
    "experimental.ExtensionTypeBatchEncoder",
    "experimental.extension_type.as_dict",
)

# Sparse and ragged tensors are rare beside plain ones, strings and tables beside numbers. The names of each module, by namespace.
COMPOSITES = {
    "sparse": {
        "sparse": "from_dense to_dense to_indicator eye reorder reshape transpose expand_dims reset_shape concat slice split"
        " retain mask fill_empty_rows",
        "compat.v1": "sparse_concat",
    },
    "sparse_math": {
        "sparse": "add maximum minimum map_values sparse_dense_matmul sampled_addmm reduce_sum reduce_max softmax segment_sum"
        " segment_mean segment_sqrt_n"
    },
    "sparse_count": {"sparse": "bincount"},
    "sparse_sets": {"sets": "intersection union difference size"},
    "ragged": {
        "ragged": "constant range stack map_flat_values boolean_mask row_splits_to_segment_ids segment_ids_to_row_splits"
        " stack_dynamic_partitions"
    },
    "ragged_shape": {"experimental": "DynamicRaggedShape"},
    "cross": {"sparse": "cross cross_hashed", "ragged": "cross cross_hashed"},
    "strings": {
        "": "as_string fingerprint",
        "strings": "lower upper strip length regex_replace regex_full_match to_hash_bucket_fast to_hash_bucket_strong"
        " to_hash_bucket to_number as_string substr join reduce_join unsorted_segment_join format",
    },
    "lookup": {
        "lookup": "KeyValueTensorInitializer TextFileIndex TextFileInitializer StaticHashTable StaticVocabularyTable",
        "lookup.experimental": "MutableHashTable DenseHashTable",
        "raw_ops": "Bucketize",
    },
    "strings_split": {
        "strings": "split bytes_split unicode_decode unicode_decode_with_offsets unicode_split unicode_split_with_offsets"
        " unicode_encode unicode_transcode ngrams",
        "compat.v1": "string_split",
        "compat.v1.strings": "split",
    },
}

DATA = {
    "data": {
        "": "OptionalSpec",
        "experimental": "Optional",
        "data": "AUTOTUNE Dataset DatasetSpec FixedLengthRecordDataset INFINITE_CARDINALITY Iterator IteratorSpec NumpyIterator"
        " Options TFRecordDataset TextLineDataset ThreadingOptions UNKNOWN_CARDINALITY",
        "data.experimental": "AUTOTUNE AutoShardPolicy AutotuneAlgorithm AutotuneOptions DistributeOptions ExternalStatePolicy"
        " INFINITE_CARDINALITY OptimizationOptions Optional ServiceOptions ThreadingOptions UNKNOWN_CARDINALITY cardinality"
        " get_next_as_optional get_single_element get_structure",
    },
    "data_experimental": {
        "data.experimental": "Counter RandomDataset Reducer SHARD_HINT assert_cardinality at bucket_by_sequence_length"
        " choose_from_datasets copy_to_device dense_to_ragged_batch dense_to_sparse_batch enumerate_dataset from_list"
        " group_by_reducer group_by_window ignore_errors map_and_batch pad_to_cardinality parallel_interleave"
        " prefetch_to_device rejection_resample sample_from_datasets scan shuffle_and_repeat take_while unbatch unique"
    },
    "data_files": {
        "data.experimental": "CsvDataset DatasetInitializer SqlDataset from_arrow from_parquet from_variant load"
        " make_batched_features_dataset make_csv_dataset TFRecordWriter parse_example_dataset save snapshot to_variant"
    },
}
TRAIN = {
    "train": {"train": "Checkpoint CheckpointOptions"},
    "train_average": {"train": "ExponentialMovingAverage"},
    "train_manager": {"train": "CheckpointManager"},
    "train_reader": {"train": "CheckpointView TrackableView list_variables load_checkpoint load_variable"},
    "train_state": {"train": "checkpoints_iterator get_checkpoint_state latest_checkpoint"},
    "train_python": {"train.experimental": "PythonState"},
}
for _module, _names in (COMPOSITES | DATA | TRAIN).items():
    for _space, _listed in _names.items():
        export_later(f"tapeflow.api.{_module}", *[f"{_space}.{name}".lstrip(".") for name in _listed.split()])
