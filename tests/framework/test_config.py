"""`tf.config`: one CPU, and settings that are read back."""

import pytest

import tapeflow as tf
from tapeflow.api import config
from tapeflow.base import flags


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(config, "settings", config.Settings())


def test_devices():
    (cpu,) = tf.config.list_physical_devices()
    assert repr(cpu) == "PhysicalDevice(name='/physical_device:CPU:0', device_type='CPU')"
    assert tf.config.list_physical_devices("GPU") == tf.config.experimental.list_physical_devices("TPU") == []
    assert repr(tf.config.list_logical_devices("CPU")) == "[LogicalDevice(name='/device:CPU:0', device_type='CPU')]"
    assert tf.config.get_visible_devices() == [cpu]
    tf.config.set_visible_devices([], "GPU")
    tf.config.set_visible_devices(cpu, "CPU")
    assert tf.config.get_visible_devices("CPU") == [cpu]
    for wrong in ("x", ["x"], [tf.config.PhysicalDevice("/physical_device:GPU:0", "GPU")]):
        with pytest.raises(ValueError, match="Unrecognized device"):
            tf.config.set_visible_devices(wrong)


def test_logical_devices():
    (cpu,) = tf.config.list_physical_devices()
    assert tf.config.get_logical_device_configuration(cpu) is None
    two = [tf.config.LogicalDeviceConfiguration(), tf.config.LogicalDeviceConfiguration()]
    tf.config.set_logical_device_configuration(cpu, two)
    assert [device.name for device in tf.config.list_logical_devices()] == ["/device:CPU:0", "/device:CPU:1"]
    with pytest.raises(ValueError, match="memory limit on CPU"):
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration(memory_limit=5)])


def test_what_only_gpus_have():
    (cpu,) = tf.config.list_physical_devices()
    with pytest.raises(ValueError, match="Cannot set memory growth on non-GPU"):
        tf.config.experimental.set_memory_growth(cpu, True)
    with pytest.raises(ValueError, match="Allocator stats not available for device 'CPU:0'"):
        tf.config.experimental.get_memory_info("CPU:0")
    with pytest.raises(ValueError, match="No matching devices found for 'GPU:0'"):
        tf.config.experimental.reset_memory_stats("GPU:0")
    assert tf.config.experimental.get_device_details(cpu) == {}


def test_settings():
    tf.config.run_functions_eagerly(True)
    assert tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(False)
    tf.config.set_soft_device_placement(False)
    assert tf.config.get_soft_device_placement() is False
    tf.config.threading.set_intra_op_parallelism_threads(2)
    assert tf.config.threading.get_intra_op_parallelism_threads() == 2
    assert tf.config.threading.get_inter_op_parallelism_threads() == 0
    tf.config.optimizer.set_jit(True)
    assert tf.config.optimizer.get_jit() == "autoclustering"
    tf.config.optimizer.set_experimental_options({"constant_folding": True})
    assert tf.config.optimizer.get_experimental_options()["constant_folding"] is True
    tf.config.experimental.enable_tensor_float_32_execution(False)
    assert not tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.set_device_policy("warn")
    assert tf.config.experimental.get_device_policy() == "warn"
    with pytest.raises(ValueError, match="Invalid argument `device_policy`"):
        tf.config.experimental.set_device_policy("x")
    assert tf.config.experimental.enable_op_determinism() is None


def test_flags():
    flags.load({"DEBUG": "3"})
    assert flags.DEBUG == 3
    flags.load({"DEBUG": "*"})  # what other programs write into it
    assert flags.DEBUG == 0
    flags.load()
    with flags.using(DEBUG=5):
        assert flags.DEBUG == 5
    assert flags.TABLE[0].default == flags.DEBUG or "DEBUG" in __import__("os").environ


def test_versions():
    assert tf.version.VERSION == "2.21.0"
    assert tf.sysconfig.get_build_info()["is_cuda_build"] is False
    assert tf.sysconfig.get_lib().endswith("tapeflow")
