"""`tf.test` beside `TestCase`: running tests and benchmarks, and what is asked about the machine."""

import functools
import platform
import re
import time
import unittest

import numpy as np

from tapeflow.api.export import export


@export("test.main")
def main(argv=None):
    """Run the tests of the program's main module."""
    unittest.main(argv=argv)


@export("test.Benchmark")
class Benchmark:
    """A base class for benchmarks, whose methods `benchmark...` a runner of the user's may call."""

    def report_benchmark(
        self, iters=None, cpu_time=None, wall_time=None, throughput=None, extras=None, name=None, metrics=None
    ):
        """Print what was measured."""
        values = {"iters": iters, "wall_time": wall_time, "cpu_time": cpu_time, "throughput": throughput}
        told = ", ".join(f"{key}={value}" for key, value in values.items() if value is not None)
        print(f"{type(self).__name__}.{name or 'benchmark'}: {told}")

    def run_op_benchmark(self, sess, op_or_tensor, feed_dict=None, burn_iters=2, min_iters=10, **kwargs):
        """Time calls of a function; returns a dict with the number of calls and the median of their seconds."""
        for _ in range(burn_iters):
            op_or_tensor()
        times = []
        for _ in range(min_iters):
            start = time.perf_counter()
            op_or_tensor()
            times.append(time.perf_counter() - start)
        result = {"iters": min_iters, "wall_time": float(np.median(times))}
        self.report_benchmark(**result, name=kwargs.get("name"))
        return result


@export("test.benchmark_config")
def benchmark_config():
    """None: there are no sessions to configure."""


@export("test.is_built_with_cuda", "test.is_built_with_rocm", "test.is_built_with_gpu_support", "test.is_built_with_xla")
def is_built_with():
    """False: tapeflow computes on the CPU, with its own compiler."""
    return False


@export("test.is_gpu_available")
def is_gpu_available(cuda_only=False, min_cuda_compute_capability=None):
    """False."""
    return False


@export("test.gpu_device_name")
def gpu_device_name():
    """An empty string: there is no GPU."""
    return ""


@export("test.is_cpu_target_available")
def is_cpu_target_available(target):
    """Whether this machine's CPU is of that kind: `"x86_64"`, `"aarch64"`, ...

    Example:
        >>> import tapeflow as tf
        >>> tf.test.is_cpu_target_available("z80")
        False
    """
    return re.sub("^amd64$", "x86_64", platform.machine().lower()) == target


@export("test.disable_with_predicate")
def disable_with_predicate(pred, skip_message):
    """A decorator that skips a test where `pred()` is true."""

    def decorate(function):
        @functools.wraps(function)
        def checked(self, *args, **kwargs):
            if pred():
                self.skipTest(skip_message)
            return function(self, *args, **kwargs)

        return checked

    return decorate


@export("test.with_eager_op_as_function")
def with_eager_op_as_function(cls=None, only_as_function=False):
    """The class or function as it is."""
    return (lambda decorated: decorated) if cls is None else cls


@export("test.experimental.sync_devices")
def sync_devices():
    """Nothing: every op is done when its call returns."""


@export("test.assert_equal_graph_def")
def assert_equal_graph_def(expected, actual):
    """Raise AssertionError unless two graphs print alike."""
    if repr(expected) != repr(actual):
        raise AssertionError(f"The graphs differ:\n{expected!r}\n{actual!r}")
