"""The public names whose modules are imported when a program first asks for one of them."""

from tapeflow.api.export import export_later

TOOLS = (
    "main Benchmark benchmark_config is_built_with_cuda is_built_with_rocm is_built_with_gpu_support is_built_with_xla"
)
TOOLS += " is_gpu_available gpu_device_name is_cpu_target_available disable_with_predicate with_eager_op_as_function"
TOOLS += " experimental.sync_devices assert_equal_graph_def"

export_later("tapeflow.api.testing", "test.TestCase")
export_later("tapeflow.api.testing_tools", *[f"test.{name}" for name in TOOLS.split()])
export_later(
    "tapeflow.api.extension_type",
    "experimental.ExtensionType",
    "experimental.BatchableExtensionType",
    "experimental.ExtensionTypeSpec",
    "experimental.ExtensionTypeBatchEncoder",
    "experimental.extension_type.as_dict",
)
