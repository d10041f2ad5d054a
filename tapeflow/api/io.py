"""Public names of files and formats (`tf.io`, `tf.train.Example`): each part is imported when one of its names is asked for."""

from tapeflow.api.export import export_later

PARTS = {
    "formats": "decode_csv decode_raw decode_base64 encode_base64 decode_compressed decode_json_example serialize_tensor "
    "parse_tensor serialize_sparse serialize_many_sparse deserialize_many_sparse",
    "files": "read_file write_file matching_files",
    "records": "TFRecordOptions TFRecordWriter",
    "features": "FixedLenFeature FixedLenSequenceFeature VarLenFeature SparseFeature RaggedFeature",
    "examples": "parse_example parse_single_example parse_sequence_example parse_single_sequence_example",
}
GFILE = "GFile copy exists get_registered_schemes glob isdir join listdir makedirs mkdir remove rename rmtree stat walk"
MESSAGES = "BytesList FloatList Int64List Feature Features FeatureList FeatureLists Example SequenceExample"

for _part, _names in PARTS.items():
    export_later(f"tapeflow.api.io_{_part}", *[f"io.{name}" for name in _names.split()])
export_later("tapeflow.api.io_gfile", *[f"io.gfile.{name}" for name in GFILE.split()])
export_later("tapeflow.api.io_messages", *[f"train.{name}" for name in MESSAGES.split()])
export_later("tapeflow.api.io_messages", "make_tensor_proto", "make_ndarray")
