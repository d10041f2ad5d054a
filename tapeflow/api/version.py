"""`tf.version` and `tf.sysconfig`: which TensorFlow this stands for, and how it was built."""

import collections
import os

from tapeflow.api.export import export, export_value

VERSION = "2.21.0"
GIT_VERSION = "tapeflow-0.1.0"
COMPILER_VERSION = "none"

for _name, _value in {
    "version.VERSION": VERSION,
    "version.GIT_VERSION": GIT_VERSION,
    "version.COMPILER_VERSION": COMPILER_VERSION,
    "version.GRAPH_DEF_VERSION": 2474,
    "version.GRAPH_DEF_VERSION_MIN_CONSUMER": 0,
    "version.GRAPH_DEF_VERSION_MIN_PRODUCER": 0,
    "sysconfig.CXX11_ABI_FLAG": 1,
    "sysconfig.CXX_VERSION": 201703,
    "sysconfig.MONOLITHIC_BUILD": 0,
    "__git_version__": GIT_VERSION,
    "__compiler_version__": COMPILER_VERSION,
    "__cxx11_abi_flag__": 1,
    "__cxx_version__": 201703,
    "__monolithic_build__": 0,
}.items():
    export_value(_value, _name)

PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


@export("sysconfig.get_include")
def get_include():
    """The folder where C headers would be; tapeflow has none."""
    return os.path.join(PACKAGE, "include")


@export("sysconfig.get_lib")
def get_lib():
    """The folder of the package."""
    return PACKAGE


@export("sysconfig.get_compile_flags")
def get_compile_flags():
    """The flags for compiling an op in C++: none, as there is nothing to compile against."""
    return []


@export("sysconfig.get_link_flags")
def get_link_flags():
    """The flags for linking an op in C++: none, as there is nothing to link with."""
    return []


@export("sysconfig.get_build_info")
def get_build_info():
    """An ordered dict of what the package was built with: no CUDA, no ROCm, no TensorRT.

    Example:
        >>> import tapeflow as tf
        >>> tf.sysconfig.get_build_info()["is_cuda_build"]
        False
    """
    return collections.OrderedDict(is_cuda_build=False, is_rocm_build=False, is_tensorrt_build=False)
