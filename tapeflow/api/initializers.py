"""The initializers of variables: callables that make a tensor of a given shape and dtype."""

import numpy as np

from tapeflow.api.export import export
from tapeflow.base.dtypes import as_dtype, bool_, float32
from tapeflow.base.shape import TensorShape
from tapeflow.core.convert import static_dims
from tapeflow.core.primitive import P


def _dims(shape, partition):
    """The shape of the result: that of the partition where a partitioned variable asks for a part only.

    Raises:
        TypeError: a keyword argument other than the two that partitions need.
    """
    for name in partition:
        if name not in ("partition_shape", "partition_offset"):
            raise TypeError(f"Keyword argument should be one of ['partition_shape', 'partition_offset']. Received: {name}")
    return static_dims(partition["partition_shape"] if partition.get("partition_shape") else shape)


class Initializer:
    """The base of initializers: `initializer(shape, dtype)` makes a tensor."""

    def __call__(self, shape, dtype=None, **kwargs):
        """A tensor of `shape` and `dtype`."""
        raise NotImplementedError

    def get_config(self):
        """The arguments that make an equal initializer, as a dict."""
        return {}

    @classmethod
    def from_config(cls, config):
        """The initializer of a dict that `get_config` gave."""
        return cls(**{key: value for key, value in config.items() if key != "dtype"})


def _numeric(dtype):
    dtype = as_dtype(dtype)
    if not dtype.is_numpy_compatible or not (dtype.is_numeric or dtype is bool_):
        raise ValueError(f"Argument `dtype` expected to be numeric or boolean. Received {dtype}.")
    return dtype


@export("zeros_initializer")
class Zeros(Initializer):
    """Makes zeros.

    Example:
        >>> import tapeflow as tf
        >>> tf.zeros_initializer()([2])
        <tf.Tensor: shape=(2,), dtype=float32, numpy=array([0., 0.], dtype=float32)>
    """

    def __call__(self, shape, dtype=float32, **kwargs):
        return P.fill(shape=_dims(shape, kwargs), value=0, dtype=_numeric(dtype))


@export("ones_initializer")
class Ones(Initializer):
    """Makes ones.

    Example:
        >>> import tapeflow as tf
        >>> tf.ones_initializer()([2], tf.int32)
        <tf.Tensor: shape=(2,), dtype=int32, numpy=array([1, 1], dtype=int32)>
    """

    def __call__(self, shape, dtype=float32, **kwargs):
        return P.fill(shape=_dims(shape, kwargs), value=1, dtype=_numeric(dtype))


@export("constant_initializer")
class Constant(Initializer):
    """Makes a tensor of given values.

    Args:
        value: a number, or a list or array with as many elements as the shapes that will be asked for.
        support_partition: whether parts of a partitioned variable may be asked for.

    Raises:
        TypeError: the value is of another kind, or has another number of elements than the shape.

    Example:
        >>> import tapeflow as tf
        >>> tf.constant_initializer([1, 2, 3, 4])([2, 2]).numpy().tolist()
        [[1, 2], [3, 4]]
    """

    def __init__(self, value=0, support_partition=False):
        if not (np.isscalar(value) or isinstance(value, (list, tuple, np.ndarray))):
            raise TypeError(
                f"Invalid type for initial value: {type(value).__name__}. "
                "Expected Python scalar, list or tuple of values, or numpy.ndarray."
            )
        self.value = value
        self.support_partition = support_partition

    def __call__(self, shape, dtype=None, **kwargs):
        from tapeflow.api.constants import constant

        dims = _dims(shape, kwargs)
        if not kwargs.get("partition_shape"):
            return constant(self.value, None if dtype is None else as_dtype(dtype), dims)
        if not self.support_partition:
            raise ValueError(
                "Constant initializer doesn't support partition-related arguments: pass support_partition=True."
            )
        whole = np.broadcast_to(np.reshape(self.value, TensorShape(shape).as_list() if np.ndim(self.value) else ()), shape)
        offset = kwargs.get("partition_offset") or (0,) * len(dims)
        part = whole[tuple(slice(start, start + n) for start, n in zip(offset, dims, strict=True))]
        return constant(part, None if dtype is None else as_dtype(dtype))

    def get_config(self):
        return {"value": self.value}


class _Random(Initializer):
    def _draw(self, kind, shape, dtype, **bounds):
        """Values from `tf.random`; the same ones at each call where there is a seed."""
        from tapeflow.api.export import EXPORTS

        if self.seed is None:
            return EXPORTS[f"random.{kind}"](shape, dtype=dtype, **bounds)
        return EXPORTS[f"random.stateless_{kind}"](shape, seed=[self.seed, 0], dtype=dtype, **bounds)


@export("random_uniform_initializer")
class RandomUniform(_Random):
    """Makes uniformly distributed values.

    Args:
        minval, maxval: the range, without `maxval` itself; 1 by default for floats where it is None.
        seed: an int that makes every call give the same values.

    Example:
        >>> import tapeflow as tf
        >>> tf.random_uniform_initializer(0.0, 1.0, seed=1)([2, 3]).shape
        TensorShape([2, 3])
    """

    def __init__(self, minval=-0.05, maxval=0.05, seed=None):
        self.minval, self.maxval, self.seed = minval, maxval, seed

    def __call__(self, shape, dtype=float32, **kwargs):
        dtype = as_dtype(dtype)
        if not (dtype.is_floating or dtype.is_integer):
            raise ValueError(f"Argument `dtype` expected to be numeric or boolean. Received {dtype}.")
        return self._draw("uniform", _dims(shape, kwargs), dtype, minval=self.minval, maxval=self.maxval)

    def get_config(self):
        return {"minval": self.minval, "maxval": self.maxval, "seed": self.seed}


@export("random_normal_initializer")
class RandomNormal(_Random):
    """Makes normally distributed values.

    Args:
        mean, stddev: of the distribution.
        seed: an int that makes every call give the same values.

    Example:
        >>> import tapeflow as tf
        >>> tf.random_normal_initializer(stddev=1.0, seed=1)([2, 3]).shape
        TensorShape([2, 3])
    """

    def __init__(self, mean=0.0, stddev=0.05, seed=None):
        self.mean, self.stddev, self.seed = mean, stddev, seed

    def __call__(self, shape, dtype=float32, **kwargs):
        dtype = as_dtype(dtype)
        if not dtype.is_floating:
            raise ValueError(f"Argument `dtype` is expected to be floating point. Received: {dtype}.")
        return self._draw("normal", _dims(shape, kwargs), dtype, mean=self.mean, stddev=self.stddev)

    def get_config(self):
        return {"mean": self.mean, "stddev": self.stddev, "seed": self.seed}
