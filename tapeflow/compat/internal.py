"""The names inside TensorFlow, outside its public API, that Keras and other libraries import; all of them are listed here."""

import sys
import types

from tapeflow.api.config import settings
from tapeflow.api.export import EXPORTS
from tapeflow.api.ragged_tensor import RaggedTensor
from tapeflow.api.sparse_tensor import SparseTensor
from tapeflow.compile.eager import set_steady
from tapeflow.core.tensor import Tensor
from tapeflow.data.dataset import Dataset

# Libraries tell TensorFlow's classes by the name and the module of the class, which must be TensorFlow's.
CLASS_NAMES = {
    Tensor: ("tensorflow.python.framework.tensor", "Tensor"),
    Dataset: ("tensorflow.python.data.ops.dataset_ops", "DatasetV2"),
    RaggedTensor: ("tensorflow.python.ops.ragged.ragged_tensor", "RaggedTensor"),
    SparseTensor: ("tensorflow.python.framework.sparse_tensor", "SparseTensor"),
}


class ListWrapper(list):
    """The class of lists that TensorFlow tracks; tapeflow keeps lists as they are, so there is no instance of it."""


class _DictWrapper(dict):
    """The class of dicts that TensorFlow tracks; tapeflow keeps dicts as they are, so there is no instance of it."""


class _Context:
    """The eager context of this process, as far as libraries ask it."""

    def clear_kernel_cache(self):
        """Nothing: there is no cache of kernels."""

    def async_wait(self):
        """Nothing: ops are done when they return."""

    def executing_eagerly(self):
        """Whether ops run at once."""
        return EXPORTS["executing_eagerly"]()

    @property
    def device_spec(self):
        """The device asked for: there is one, and nobody has to."""
        return EXPORTS["DeviceSpec"]()


_context = _Context()


def _sparse_product(a, b, type=None, name=None):
    """The product of two sparse matrices; what stands for a CSR matrix is a sparse tensor."""
    from tapeflow.api.sparse_math import sparse_sparse_matmul

    return sparse_sparse_matmul(a, b)


def _dynamic_update_slice(operand, update, start_indices):
    """`operand` with `update` written at `start_indices`, which are moved so that it fits."""
    tf = sys.modules["tapeflow"]
    operand, update = tf.convert_to_tensor(operand), tf.convert_to_tensor(update)
    limit = tf.shape(operand) - tf.shape(update)
    begin = tf.clip_by_value(tf.cast(tf.convert_to_tensor(start_indices), tf.int32), 0, limit)
    grid = tf.stack(tf.meshgrid(*[tf.range(n) for n in update.shape], indexing="ij"), axis=-1)
    return tf.tensor_scatter_nd_update(operand, grid + begin, update)


def _determinism(value):
    def switch():
        settings.deterministic = value
        set_steady(value)

    return switch


def _modules(tf):
    """Module names below `tensorflow` and what stands in them."""
    found = {
        "python.eager.context": {
            "context": lambda: _context,
            "async_wait": _context.async_wait,
            "executing_eagerly": _context.executing_eagerly,
            "_reset_context": lambda: None,
        },
        "python.trackable.data_structures": {"ListWrapper": ListWrapper, "_DictWrapper": _DictWrapper},
        "python.ops.linalg.sparse.sparse_csr_matrix_ops": {
            "sparse_tensor_to_csr_sparse_matrix": lambda indices, values, dense_shape: tf.SparseTensor(
                indices, values, dense_shape
            ),
            "sparse_matrix_sparse_mat_mul": _sparse_product,
            "csr_sparse_matrix_to_sparse_tensor": lambda matrix, type=None, name=None: matrix,
        },
        "python.ops.math_ops": {"is_nan": lambda x, name=None: tf.math.is_nan(x, name)},
        "python.framework.config": {
            "enable_op_determinism": _determinism(True),
            "disable_op_determinism": _determinism(False),
            "is_op_determinism_enabled": lambda: settings.deterministic,
        },
        "python.framework.tensor_util": {"constant_value": lambda x: tf.get_static_value(x)},
        "compiler.tf2xla.python.xla": {"dynamic_update_slice": _dynamic_update_slice},
        "experimental.dtensor": {},
    }
    # Saved models and pickles name classes by these modules.
    found["python.framework.tensor"] = {"TensorSpec": tf.TensorSpec}
    for cls, (module, name) in CLASS_NAMES.items():
        found.setdefault(module.removeprefix("tensorflow."), {})[name] = cls
    return found


def install(tf):
    """Make the internal modules importable below tapeflow, and give our classes the names that libraries look for."""
    for name, names in _modules(tf).items():
        parent, path = tf, "tapeflow"
        for part in name.split("."):
            path = f"{path}.{part}"
            module = sys.modules.get(path)
            if module is None:
                module = sys.modules[path] = types.ModuleType(path, "Internal names of TensorFlow that libraries import.")
                module.__path__ = []
            if not hasattr(parent, part):
                setattr(parent, part, module)
            parent = module
        for key, value in names.items():
            setattr(parent, key, value)
    for cls, (module, name) in CLASS_NAMES.items():
        cls.__module__, cls.__name__, cls.__qualname__ = module, name, name
