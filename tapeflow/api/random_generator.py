"""`tf.random.Generator`: random numbers whose state is a variable of its own."""

import functools
import operator

import numpy as np

from tapeflow.api.arguments import vector, whole_number
from tapeflow.api.export import export
from tapeflow.api.random_stateless import normal_of, uniform_of
from tapeflow.api.tracking import AutoTrackable
from tapeflow.base.dtypes import as_dtype, float32, int32, int64, uint64
from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.primitive import P
from tapeflow.core.state import tracing
from tapeflow.core.tensor import Tensor, wrap
from tapeflow.core.variable import Variable
from tapeflow.ops import random_generator as states
from tapeflow.ops.movement import dims_of
from tapeflow.ops.random import SOME_FLOATS, check_dtype
from tapeflow.ops.random_bits import LONG, PHILOX, algorithm_number


@export("random.create_rng_state", "random.experimental.create_rng_state")
def create_rng_state(seed, alg):
    """The state of a generator, made from a seed: an int64 tensor, [3] for Philox and [2] for ThreeFry.

    Args:
        seed: an int, or a vector of integers.
        alg: "philox", "threefry", or a `tf.random.Algorithm`.

    Example:
        >>> import tapeflow as tf
        >>> tf.random.create_rng_state(1234, "philox").numpy().tolist()
        [1234, 0, 0]
    """
    alg = algorithm_number(alg)
    if isinstance(seed, Tensor) and seed.__class__ is not Tensor:
        parts = P.cast(P.reshape(seed, shape=(-1,)), dtype=int64)
        return P.concat(wrap(np.zeros(states.state_size(alg) - dims_of(parts)[0], np.int64)), parts, axis=0)
    return wrap(states.seeded_state(int(seed) if np.ndim(seed) == 0 else seed, alg=alg))


def _as_state(value):
    """A state or a part of it as an int64 tensor; unsigned integers beyond int64 wrap around."""
    if isinstance(value, (Tensor, Variable)):
        return P.cast(convert_to_tensor(value), dtype=int64)
    if not isinstance(value, np.ndarray) and any(
        isinstance(part, Tensor) for part in np.atleast_1d(np.array(value, object))
    ):
        return P.cast(convert_to_tensor(value), dtype=int64)
    array = np.array(value, object)
    return wrap(np.array([int(n) & LONG for n in array.ravel()], np.uint64).view(np.int64).reshape(array.shape))


def _check_state(shape, alg):
    size = states.state_size(alg)
    if not shape.is_compatible_with([size]):
        raise ValueError(f"Shapes {shape} and [{size}] are incompatible")


def _key_counter(key, counter, alg):
    """The state of a key and a counter."""
    key, counter = _as_state(key), _as_state(counter)
    for x, dims in ((counter, [states.state_size(alg) - 1]), (key, [])):
        if not x.shape.is_compatible_with(dims):
            raise ValueError(f"Shapes {x.shape} and {dims} are incompatible")
    return P.concat(counter, P.reshape(key, shape=(1,)), axis=0)


@export("random.Generator", "random.experimental.Generator")
class Generator(AutoTrackable):
    """A source of random numbers whose state is a `tf.Variable`: Philox, as in TensorFlow, or ThreeFry.

    Each draw moves the state on by as many numbers as it gives. Make one with `from_seed`, `from_state`,
    `from_key_counter` or `from_non_deterministic_state`.

    Args:
        copy_from: a generator whose state and algorithm to copy.
        state: an int64 vector ([3] for Philox, [2] for ThreeFry), or a variable of one, which is used as it is.
        alg: "philox", "threefry", "auto_select", or a `tf.random.Algorithm`.

    Example:
        >>> import tapeflow as tf
        >>> g = tf.random.Generator.from_seed(1234)
        >>> g.normal([2]).numpy()
        array([0.9356609, 1.0854305], dtype=float32)
        >>> g.state.numpy().tolist()
        [1746, 0, 0]
    """

    def __init__(self, copy_from=None, state=None, alg=None):
        if copy_from is not None:
            assert alg is None and state is None, "tf.random.Generator: give either copy_from, or state and alg, not both."
            state, self._alg = copy_from.state, copy_from.algorithm
        else:
            assert alg is not None and state is not None, (
                "tf.random.Generator: state and alg are needed; see Generator.from_seed."
            )
            self._alg = algorithm_number(alg)
            if isinstance(state, Variable):
                _check_state(state.shape, self._alg)
                self._state_var = state
                return
        state = _as_state(state)
        _check_state(state.shape, self._alg)
        self._state_var = Variable(state, dtype=int64, trainable=False, name="StateVar")

    @classmethod
    def from_state(cls, state, alg):
        """A generator that goes on from `state`."""
        return cls(state=state, alg=alg)

    @classmethod
    def from_seed(cls, seed, alg=None):
        """A generator that starts from a seed: an int or a vector of integers."""
        alg = PHILOX if alg is None else algorithm_number(alg)
        return cls(state=create_rng_state(seed, alg), alg=alg)

    @classmethod
    def from_non_deterministic_state(cls, alg=None):
        """A generator that starts where no one can foresee."""
        alg = PHILOX if alg is None else algorithm_number(alg)
        return cls(state=wrap(states.fresh_state(alg=alg)), alg=alg)

    @classmethod
    def from_key_counter(cls, key, counter, alg):
        """A generator that reads the stream of `key` (a scalar) from `counter` ([2], or [1] for ThreeFry) on."""
        alg = algorithm_number(alg)
        return cls(state=_key_counter(key, counter, alg), alg=alg)

    state = property(lambda self: self._state_var, doc="The variable that holds the state.")
    algorithm = property(lambda self: self._alg, doc="The number of the algorithm.")

    @property
    def key(self):
        """The key: a scalar that tells this stream from others."""
        return P.strided_slice(convert_to_tensor(self._state_var), key=(-1,))

    def reset(self, state):
        """Go on from `state`."""
        state = _as_state(state)
        _check_state(state.shape, self._alg)
        self._state_var.assign(state)

    def reset_from_seed(self, seed):
        """Start again from a seed."""
        self._state_var.assign(create_rng_state(seed, self._alg))

    def reset_from_key_counter(self, key, counter):
        """Go on from a key and a counter."""
        self._state_var.assign(_key_counter(key, counter, self._alg))

    def skip(self, delta):
        """Move on by `delta` numbers; returns the state before."""
        delta = whole_number(P.cast(convert_to_tensor(delta), dtype=int64), "delta")
        return self._moved((delta & LONG if delta.__class__ is int else delta,))

    def _moved(self, shape):
        return P.generator_stream(variable=self._state_var, shape=shape, alg=self._alg)

    def _stream(self, shape):
        return lambda: (self._moved(shape), self._alg)

    def normal(self, shape, mean=0.0, stddev=1.0, dtype=float32, name=None):
        """Normally distributed numbers; see `tf.random.normal`."""
        dims = vector(shape, "StatelessRandomNormalV2", "shape")
        return normal_of(P.random_normal, self._stream(dims), dims, mean, stddev, as_dtype(dtype))

    def truncated_normal(self, shape, mean=0.0, stddev=1.0, dtype=float32, name=None):
        """Normally distributed numbers within two deviations of the mean; see `tf.random.truncated_normal`."""
        dims = vector(shape, "StatelessTruncatedNormalV2", "shape")
        return normal_of(P.truncated_normal, self._stream(dims), dims, mean, stddev, as_dtype(dtype))

    def uniform(self, shape, minval=0, maxval=None, dtype=float32, name=None):
        """Uniformly distributed numbers in [minval, maxval); see `tf.random.stateless_uniform`."""
        dtype = as_dtype(dtype)
        if dtype.is_integer and (minval is None) != (maxval is None):
            raise ValueError(
                f"For integer dtype {dtype}, minval and maxval must be both `None` or both non-`None`; "
                f"got minval={minval} and maxval={maxval}"
            )
        dims = vector(shape, "StatelessRandomUniformV2", "shape")
        return uniform_of(self._stream(dims), dims, minval, maxval, dtype)

    def uniform_full_int(self, shape, dtype=uint64, name=None):
        """Integers over the whole range of int32, int64, uint32 or uint64."""
        dims = vector(shape, "StatelessRandomUniformFullIntV2", "shape")
        return uniform_of(self._stream(dims), dims, None, None, as_dtype(dtype))

    def binomial(self, shape, counts, probs, dtype=int32, name=None):
        """Binomial samples; see `tf.random.stateless_binomial`. Philox only."""
        dims = vector(shape, "StatefulRandomBinomial", "shape")
        probs = convert_to_tensor(probs)
        counts = convert_to_tensor(counts)
        check_dtype("StatefulRandomBinomial", "T", counts._dtype, SOME_FLOATS)  # before the state moves on
        batches = _product(dims_of(counts * probs))
        each = 0 if batches.__class__ is int and not batches else _product(dims) // batches
        # This op counts in its own way: 200 numbers for each sample, and some more.
        stream = self._moved((batches * 200 * (each + 3) // 4,))
        return P.random_binomial(stream, counts, probs, shape=dims, dtype=as_dtype(dtype), alg=self._alg)

    def make_seeds(self, count=1):
        """Seeds for stateless ops: an int64 tensor [2, count], whose columns are seeds."""
        keys = self.uniform_full_int((whole_number(count, "count"),), dtype=int64)
        return P.stack(keys, P.zeros_like(keys), axis=0)

    def split(self, count=1):
        """A list of `count` generators whose streams do not overlap with each other's or this one's."""
        keys = P.unstack(self.uniform_full_int((count,), dtype=int64), axis=0, num=count)
        zeros = wrap(np.zeros(states.state_size(self._alg) - 1, np.int64))
        return [Generator(state=P.concat(zeros, P.reshape(key, shape=(1,)), axis=0), alg=self._alg) for key in keys]


def _product(dims):
    """The number of elements: an int, or a symbolic scalar."""
    if isinstance(dims, Tensor):
        return P.prod(dims, axis=None)
    return functools.reduce(operator.mul, dims, 1)


_global: list["Generator"] = []


@export("random.get_global_generator", "random.experimental.get_global_generator")
def get_global_generator():
    """The global generator, which is made, where no one can foresee, when it is first asked for.

    Example:
        >>> import tapeflow as tf
        >>> tf.random.get_global_generator().normal([3]).shape
        TensorShape([3])
    """
    if not _global:
        with tracing(None):
            _global.append(Generator.from_non_deterministic_state())
    return _global[0]


@export("random.set_global_generator", "random.experimental.set_global_generator")
def set_global_generator(generator):
    """Make `generator` the global one.

    Example:
        >>> import tapeflow as tf
        >>> tf.random.set_global_generator(tf.random.Generator.from_seed(5))
        >>> tf.random.get_global_generator().state.numpy().tolist()
        [5, 0, 0]
    """
    _global[:] = [generator]
