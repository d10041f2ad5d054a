"""`tf.config`: the devices (one CPU), and settings that programs make and read back."""

from typing import NamedTuple

from tapeflow.api.export import export, export_value
from tapeflow.base.errors import UnimplementedError
from tapeflow.compile.eager import set_steady
from tapeflow.compile.threads import set_thread_count


class PhysicalDevice(NamedTuple):
    """A device of the machine."""

    name: str
    device_type: str


class LogicalDevice(NamedTuple):
    """A device that programs may name."""

    name: str
    device_type: str


class LogicalDeviceConfiguration(NamedTuple):
    """How a physical device is divided; the settings are remembered."""

    memory_limit: int | None = None
    experimental_priority: int | None = None
    experimental_device_ordinal: int | None = None


CPU = PhysicalDevice("/physical_device:CPU:0", "CPU")

export_value(PhysicalDevice, "config.PhysicalDevice")
export_value(LogicalDevice, "config.LogicalDevice")
export_value(
    LogicalDeviceConfiguration, "config.LogicalDeviceConfiguration", "config.experimental.VirtualDeviceConfiguration"
)


class Settings:
    """Every setting with the value that it has at first."""

    def __init__(self):
        self.visible = [CPU]
        self.logical = None
        self.soft_device_placement = True
        self.inter_op_threads = 0
        self.intra_op_threads = 0
        self.jit = ""
        self.optimizer_options = {"disable_model_pruning": False, "disable_meta_optimizer": False}
        self.tensor_float_32 = True
        self.deterministic = False
        self.device_policy = "silent"
        self.synchronous = True
        self.log_device_placement = False


settings = Settings()

# Devices


@export("config.list_physical_devices", "config.experimental.list_physical_devices")
def list_physical_devices(device_type=None):
    """The devices of the machine, or those of one type: a list of one CPU.

    Example:
        >>> import tapeflow as tf
        >>> tf.config.list_physical_devices("GPU")
        []
    """
    return [CPU] if device_type in (None, "CPU") else []


@export("config.list_logical_devices", "config.experimental.list_logical_devices")
def list_logical_devices(device_type=None):
    """The devices that programs may name, or those of one type.

    Example:
        >>> import tapeflow as tf
        >>> tf.config.list_logical_devices()
        [LogicalDevice(name='/device:CPU:0', device_type='CPU')]
    """
    if device_type not in (None, "CPU") or CPU not in settings.visible:
        return []
    return [LogicalDevice(f"/device:CPU:{i}", "CPU") for i in range(len(settings.logical or [CPU]))]


@export("config.get_visible_devices", "config.experimental.get_visible_devices")
def get_visible_devices(device_type=None):
    """The physical devices in use, or those of one type."""
    return [device for device in settings.visible if device_type in (None, device.device_type)]


@export("config.set_visible_devices", "config.experimental.set_visible_devices")
def set_visible_devices(devices, device_type=None):
    """Choose the physical devices in use; computing needs the CPU either way.

    Args:
        devices: a `PhysicalDevice` or a list of them.
        device_type: the type chosen among; all by default.

    Raises:
        ValueError: a device that the machine has not, or one of another type.
    """
    chosen = list(devices) if isinstance(devices, (list, set)) or not _is_device(devices) else [devices]
    for device in chosen:
        _check_device(device)
        if device_type not in (None, device.device_type):
            raise ValueError(f"Unrecognized device: {device!r} is not of type {device_type}.")
    kept = [] if device_type is None else [device for device in settings.visible if device.device_type != device_type]
    settings.visible = kept + chosen


def _is_device(value):
    return isinstance(value, (PhysicalDevice, str))


def _check_device(device):
    if device != CPU or not isinstance(device, PhysicalDevice):
        raise ValueError(f"Unrecognized device: {device!r}; tf.config.list_physical_devices() gives {[CPU]}.")


@export("config.get_logical_device_configuration", "config.experimental.get_virtual_device_configuration")
def get_logical_device_configuration(device):
    """How a physical device is divided, as it was set; None where it was not."""
    _check_device(device)
    return settings.logical


@export("config.set_logical_device_configuration", "config.experimental.set_virtual_device_configuration")
def set_logical_device_configuration(device, logical_devices):
    """Divide a physical device into several logical ones, which share the same cores here.

    Raises:
        ValueError: an unknown device, or a memory limit on a CPU.
    """
    _check_device(device)
    for configuration in logical_devices or ():
        if configuration.memory_limit is not None:
            raise ValueError("Setting memory limit on CPU virtual devices is currently not supported.")
    settings.logical = list(logical_devices) if logical_devices else None


@export("config.experimental.get_device_details")
def get_device_details(device):
    """What is known of a device beyond its name: an empty dict for a CPU."""
    _check_device(device)
    return {}


@export("config.experimental.get_memory_growth")
def get_memory_growth(device):
    """Raise: only GPUs have this setting."""
    raise ValueError(f"Cannot get memory growth of {device!r}: there are no GPUs.")


@export("config.experimental.set_memory_growth")
def set_memory_growth(device, enable):
    """Raise: only GPUs have this setting."""
    _check_device(device)
    raise ValueError("Cannot set memory growth on non-GPU and non-Pluggable devices")


def _no_statistics(device, what):
    from tapeflow.api.device import DeviceSpec

    spec = DeviceSpec.from_string(device)
    if spec.device_type != "CPU" or spec.device_index:
        raise ValueError(f"No matching devices found for '{device}'")
    raise ValueError(f"{what} for device '{device}'")


@export("config.experimental.get_memory_info")
def get_memory_info(device):
    """Raise: the memory of a CPU's tensors is not counted."""
    _no_statistics(device, "Allocator stats not available")


@export("config.experimental.get_memory_usage")
def get_memory_usage(device):
    """Raise: the memory of a CPU's tensors is not counted."""
    _no_statistics(device, "Allocator stats not available")


@export("config.experimental.reset_memory_stats")
def reset_memory_stats(device):
    """Raise: the memory of a CPU's tensors is not counted."""
    _no_statistics(device, "Cannot reset memory stats")


# Settings


@export("config.get_soft_device_placement")
def get_soft_device_placement():
    """Whether ops whose device does not exist run on the CPU; they always do."""
    return settings.soft_device_placement


@export("config.set_soft_device_placement")
def set_soft_device_placement(enabled):
    """Set what `get_soft_device_placement` gives."""
    settings.soft_device_placement = bool(enabled)


@export("config.threading.get_inter_op_parallelism_threads")
def get_inter_op_parallelism_threads():
    """The number of threads that independent ops may share; 0 where the system chooses."""
    return settings.inter_op_threads


@export("config.threading.set_inter_op_parallelism_threads")
def set_inter_op_parallelism_threads(num_threads):
    """Set what `get_inter_op_parallelism_threads` gives; ops run in program order."""
    settings.inter_op_threads = num_threads


@export("config.threading.get_intra_op_parallelism_threads")
def get_intra_op_parallelism_threads():
    """The number of threads that one op may use; 0 where the system chooses."""
    return settings.intra_op_threads


@export("config.threading.set_intra_op_parallelism_threads")
def set_intra_op_parallelism_threads(num_threads):
    """Set the number of threads that compiled functions use; 0 is one for each core. Results are the same for any number.

    Raises:
        ValueError: a negative number.
    """
    set_thread_count(num_threads)
    settings.intra_op_threads = num_threads


@export("config.optimizer.get_jit")
def get_jit():
    """`"autoclustering"` where compiling was asked for, else an empty string."""
    return settings.jit


@export("config.optimizer.set_jit")
def set_jit(enabled):
    """Set what `get_jit` gives: a bool or `"autoclustering"`."""
    settings.jit = "autoclustering" if enabled in (True, "autoclustering") else ""


@export("config.optimizer.get_experimental_options")
def get_experimental_options():
    """The options of the graph optimizer that were set, as a dict."""
    return dict(settings.optimizer_options)


@export("config.optimizer.set_experimental_options")
def set_experimental_options(options):
    """Remember options of TensorFlow's graph optimizer; they change nothing here."""
    settings.optimizer_options.update(options)


@export("config.experimental.tensor_float_32_execution_enabled")
def tensor_float_32_execution_enabled():
    """Whether GPUs may round float32 products; a CPU never does."""
    return settings.tensor_float_32


@export("config.experimental.enable_tensor_float_32_execution")
def enable_tensor_float_32_execution(enabled):
    """Set what `tensor_float_32_execution_enabled` gives."""
    settings.tensor_float_32 = bool(enabled)


@export("config.experimental.enable_op_determinism")
def enable_op_determinism():
    """From now on an eager op gives the same bits whenever it is given the same values.

    Without it, products, convolutions and softmaxes that do much work become native code, whose sums are in another order.
    """
    settings.deterministic = True
    set_steady(True)


@export("config.experimental.get_device_policy")
def get_device_policy():
    """What happens to inputs on another device, as it was set: `"silent"` at first."""
    return settings.device_policy


@export("config.experimental.set_device_policy")
def set_device_policy(device_policy):
    """Set what `get_device_policy` gives: `"silent"`, `"silent_for_int32"`, `"explicit"`, `"warn"` or None.

    Raises:
        ValueError: another word.
    """
    if device_policy not in ("silent", "silent_for_int32", "explicit", "warn", None):
        raise ValueError(
            f"Invalid argument `device_policy`: {device_policy!r}. It is silent, silent_for_int32, explicit, warn or None."
        )
    settings.device_policy = device_policy or "silent"


@export("config.experimental.get_synchronous_execution")
def get_synchronous_execution():
    """Whether ops have run when their call returns; they always have."""
    return settings.synchronous


@export("config.experimental.set_synchronous_execution")
def set_synchronous_execution(enable):
    """Set what `get_synchronous_execution` gives; True where `enable` is None."""
    settings.synchronous = enable is None or bool(enable)


@export("config.experimental.enable_mlir_bridge", "config.experimental.disable_mlir_bridge")
def mlir_bridge():
    """Nothing: there is no MLIR here."""


@export("config.experimental_connect_to_cluster")
def experimental_connect_to_cluster(
    cluster_spec_or_resolver,
    job_name="localhost",
    task_index=0,
    protocol=None,
    make_master_device_default=True,
    cluster_device_filters=None,
):
    """Raise: a program runs on one machine."""
    raise UnimplementedError(
        None, None, f"tapeflow computes on one machine and cannot connect to {cluster_spec_or_resolver!r}."
    )


@export("config.experimental_connect_to_host")
def experimental_connect_to_host(remote_host=None, job_name="worker"):
    """Raise: a program runs on one machine."""
    raise UnimplementedError(None, None, f"tapeflow computes on one machine and cannot connect to {remote_host!r}.")


@export("debugging.set_log_device_placement")
def set_log_device_placement(enabled):
    """Remember whether to log where ops run; it is the CPU."""
    settings.log_device_placement = bool(enabled)


@export("debugging.get_log_device_placement")
def get_log_device_placement():
    """What `set_log_device_placement` was given."""
    return settings.log_device_placement
