"""TensorFlow's protocol buffers that stand in files: examples, tensors and checkpoints, by the published field numbers.

The messages have TensorFlow's full names (`tensorflow.Example`), so bytes, text and JSON are the same. They live in a pool
of their own: the real TensorFlow may be imported beside them.
"""

import functools

# message: {field: (number, label, type)}; a type is a scalar's or a message's name, or a pair for a map's value.
ONE, MANY, PACKED, MAP = "one", "many", "packed", "map"
EXAMPLE = {
    "BytesList": {"value": (1, MANY, "bytes")},
    "FloatList": {"value": (1, PACKED, "float")},
    "Int64List": {"value": (1, PACKED, "int64")},
    "Feature": {
        "bytes_list": (1, "kind", "BytesList"),
        "float_list": (2, "kind", "FloatList"),
        "int64_list": (3, "kind", "Int64List"),
    },
    "Features": {"feature": (1, MAP, "Feature")},
    "FeatureList": {"feature": (1, MANY, "Feature")},
    "FeatureLists": {"feature_list": (1, MAP, "FeatureList")},
    "Example": {"features": (1, ONE, "Features")},
    "SequenceExample": {"context": (1, ONE, "Features"), "feature_lists": (2, ONE, "FeatureLists")},
}
TENSOR = {
    "TensorShapeProto": {"dim": (2, MANY, "TensorShapeProto.Dim"), "unknown_rank": (3, ONE, "bool")},
    "TensorShapeProto.Dim": {"size": (1, ONE, "int64"), "name": (2, ONE, "string")},
    "TensorProto": {
        "dtype": (1, ONE, "DataType"),
        "tensor_shape": (2, ONE, "TensorShapeProto"),
        "version_number": (3, ONE, "int32"),
        "tensor_content": (4, ONE, "bytes"),
        "half_val": (13, PACKED, "int32"),
        "float_val": (5, PACKED, "float"),
        "double_val": (6, PACKED, "double"),
        "int_val": (7, PACKED, "int32"),
        "string_val": (8, MANY, "bytes"),
        "scomplex_val": (9, PACKED, "float"),
        "int64_val": (10, PACKED, "int64"),
        "bool_val": (11, PACKED, "bool"),
        "dcomplex_val": (12, PACKED, "double"),
        "uint32_val": (16, PACKED, "uint32"),
        "uint64_val": (17, PACKED, "uint64"),
        "float8_val": (18, ONE, "bytes"),
    },
}
# What stands in a checkpoint: the index of its tensors, and the graph of the objects that they belong to.
CHECKPOINT = {
    "VersionDef": {
        "producer": (1, ONE, "int32"),
        "min_consumer": (2, ONE, "int32"),
        "bad_consumers": (3, PACKED, "int32"),
    },
    "TensorSliceProto": {"extent": (1, MANY, "TensorSliceProto.Extent")},
    "TensorSliceProto.Extent": {"start": (1, ONE, "int64"), "length": (2, "has_length", "int64")},
    "BundleHeaderProto": {
        "num_shards": (1, ONE, "int32"),
        "endianness": (2, ONE, "int32"),  # an enum: 0 is little, 1 is big
        "version": (3, ONE, "VersionDef"),
    },
    "BundleEntryProto": {
        "dtype": (1, ONE, "DataType"),
        "shape": (2, ONE, "TensorShapeProto"),
        "shard_id": (3, ONE, "int32"),
        "offset": (4, ONE, "int64"),
        "size": (5, ONE, "int64"),
        "crc32c": (6, ONE, "fixed32"),
        "slices": (7, MANY, "TensorSliceProto"),
    },
    "BoolValue": {"value": (1, ONE, "bool")},  # google.protobuf.BoolValue
    "RegisteredSaver": {"name": (1, ONE, "string"), "object_name": (2, ONE, "string")},
    "TrackableObjectGraph": {"nodes": (1, MANY, "TrackableObjectGraph.TrackableObject")},
    "TrackableObjectGraph.TrackableObject": {
        "children": (1, MANY, "TrackableObjectGraph.TrackableObject.ObjectReference"),
        "attributes": (2, MANY, "TrackableObjectGraph.TrackableObject.SerializedTensor"),
        "slot_variables": (3, MANY, "TrackableObjectGraph.TrackableObject.SlotVariableReference"),
        "registered_saver": (4, ONE, "RegisteredSaver"),
        "has_checkpoint_values": (5, ONE, "BoolValue"),
    },
    "TrackableObjectGraph.TrackableObject.ObjectReference": {
        "node_id": (1, ONE, "int32"),
        "local_name": (2, ONE, "string"),
    },
    "TrackableObjectGraph.TrackableObject.SerializedTensor": {
        "name": (1, ONE, "string"),
        "full_name": (2, ONE, "string"),
        "checkpoint_key": (3, ONE, "string"),
    },
    "TrackableObjectGraph.TrackableObject.SlotVariableReference": {
        "original_variable_node_id": (1, ONE, "int32"),
        "slot_name": (2, ONE, "string"),
        "slot_variable_node_id": (3, ONE, "int32"),
    },
    "CheckpointState": {
        "model_checkpoint_path": (1, ONE, "string"),
        "all_model_checkpoint_paths": (2, MANY, "string"),
        "all_model_checkpoint_timestamps": (3, PACKED, "double"),
        "last_preserved_timestamp": (4, ONE, "double"),
    },
}
DATA_TYPES = {
    **dict(
        enumerate(("INVALID", "FLOAT", "DOUBLE", "INT32", "UINT8", "INT16", "INT8", "STRING", "COMPLEX64", "INT64", "BOOL"))
    ),
    **dict(enumerate(("QINT8", "QUINT8", "QINT32", "BFLOAT16", "QINT16", "QUINT16", "UINT16", "COMPLEX128", "HALF"), 11)),
    **dict(enumerate(("RESOURCE", "VARIANT", "UINT32", "UINT64"), 20)),
}


def message(name):
    """The class of a message of the package `tensorflow`, such as `message("Example")`.

    Example:
        >>> feature = message("Feature")()
        >>> feature.int64_list.value.extend([1, 300])
        >>> feature.SerializeToString()
        b'\\x1a\\x05\\n\\x03\\x01\\xac\\x02'
    """
    return _classes()[f"tensorflow.{name}"]


@functools.cache
def _classes():
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    pool = descriptor_pool.DescriptorPool()
    for path, messages in (
        ("tensorflow/core/example/example.proto", EXAMPLE),
        ("tensorflow/core/framework/tensor.proto", TENSOR),
        ("tensorflow/core/protobuf/checkpoint.proto", CHECKPOINT),
    ):
        file = descriptor_pb2.FileDescriptorProto(name=path, package="tensorflow", syntax="proto3")
        if messages is CHECKPOINT:
            file.dependency.append("tensorflow/core/framework/tensor.proto")
        if messages is TENSOR:
            values = file.enum_type.add(name="DataType").value
            for number, name in DATA_TYPES.items():
                values.add(name=f"DT_{name}", number=number)
        made = {}
        for name, fields in messages.items():
            outer, _, inner = name.rpartition(".")
            made[name] = (made[outer].nested_type if outer else file.message_type).add(name=inner)
            _add_fields(made[name], name, fields)
        pool.Add(file)
    names = [f"tensorflow.{name}" for name in (*EXAMPLE, *TENSOR, *CHECKPOINT)]
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(name)) for name in names}


def _add_fields(made, name, fields):
    """Give a message's description its fields; a label that is none names the choice that the field belongs to."""
    for field_name, (number, label, kind) in fields.items():
        field = made.field.add(name=field_name, number=number)
        field.label = field.LABEL_OPTIONAL if label not in (MANY, PACKED, MAP) else field.LABEL_REPEATED
        if label == MAP:
            entry = made.nested_type.add(name=f"{field_name.title().replace('_', '')}Entry")
            entry.options.map_entry = True
            _add_fields(entry, entry.name, {"key": (1, ONE, "string"), "value": (2, ONE, kind)})
            kind = f"{name}.{entry.name}"
        if label == PACKED:
            field.options.packed = True
        if label not in (ONE, MANY, PACKED, MAP):
            if not made.oneof_decl:
                made.oneof_decl.add(name=label)
            field.oneof_index = 0
        scalar = getattr(field, f"TYPE_{kind.upper()}", None)
        if scalar is None:
            field.type = field.TYPE_ENUM if kind == "DataType" else field.TYPE_MESSAGE
            field.type_name = f".tensorflow.{kind}"
        else:
            field.type = scalar
