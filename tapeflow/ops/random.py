"""Random numbers with TensorFlow's own bits: streams of random blocks, and the samplers that read them.

A stream is an int64 vector as `tf.random.Generator` keeps it: the two halves of the counter, low first, and the key
(for ThreeFry counter and key). It is made of a seed (`seed_stream`), read from a generator's variable
(`generator_stream`), or taken from the state that an op without a generator keeps itself (`op_stream`). The last two
move on what they read from; samplers are pure functions of a stream.
"""

import contextlib
import math
import os
import threading
import weakref

import numpy as np

from tapeflow.base.dtypes import as_dtype, float32, float64, int32, int64, uint32, uint64
from tapeflow.base.errors import invalid
from tapeflow.core.convert import known_dims
from tapeflow.core.primitive import P, Primitive
from tapeflow.core.state import state
from tapeflow.core.tensor import Spec
from tapeflow.core.variable import Variable
from tapeflow.ops import random_bits, random_choices, random_generator, random_samplers, random_truncated
from tapeflow.ops.family import FLOATS, sample
from tapeflow.ops.movement import listed
from tapeflow.ops.random_bits import PHILOX, THREEFRY
from tapeflow.ops.random_generator import key_counter
from tapeflow.ops.random_stateful import EagerSeeds, GraphSeeds, PhiloxStream

seeds = EagerSeeds()
# The seeds of the graphs that hold random ops.
_graph_seeds: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()
_node_streams: weakref.WeakSet = weakref.WeakSet()


class _Running(threading.local):
    """What runs in a thread: the streams that its random ops have for themselves, by the op's `NodeStream`; or None."""

    streams = None


_running = _Running()


@contextlib.contextmanager
def own_streams(streams):
    """Within the context the random ops of graphs read, and move on, the streams of a dict, where they begin anew."""
    before, _running.streams = _running.streams, streams
    try:
        yield
    finally:
        _running.streams = before


class NodeStream:
    """The state of one random op of a graph: a stream that `tf.random.set_seed` starts again. Threads may share it.

    Attributes:
        variable: a variable of no user, which holds the stream; native code moves it on where it is.
    """

    def __init__(self, seed, seed2):
        self._seeds = seed, seed2
        self._lock = threading.Lock()
        self.variable = Variable.__new__(Variable)  # not by a call: nobody is told of it
        self.variable.__init__(self._first(), trainable=False, name="stream")
        _node_streams.add(self)

    def _first(self):
        return _stream(*PhiloxStream(*self._seeds).reserve(0))

    def start(self):
        """Begin with the first numbers."""
        with self._lock:
            self.variable._store("assign", self._first())

    def reserve(self, blocks):
        """The stream's uint64 arrays `key` [1] and `counter` [2]; it moves on by `blocks`."""
        streams = _running.streams
        if streams is not None:
            return (streams.get(self) or streams.setdefault(self, PhiloxStream(*self._seeds))).reserve(blocks)
        with self._lock:
            before = self.variable._tensor._value
            self.variable._store("assign", random_generator.moved(before, blocks))
        return key_counter(before)

    def __repr__(self):
        return f"stream{self._seeds}"


def seeds_of(graph):
    """The seeds of a graph's random ops; its own seed is that of the graph around it, or eager mode's."""
    found = _graph_seeds.get(graph)
    if found is None:
        own = getattr(graph, "seed", None)
        if own is None:
            own = seeds.global_seed if graph.outer is None else seeds_of(graph.outer).global_seed
        found = _graph_seeds[graph] = GraphSeeds(own)
    return found


def set_seed(seed):
    """Set the global seed (None for none) of eager mode, or of the graph that is being traced."""
    if state.graph is None:
        seeds.set_seed(seed)
        for stream in list(_node_streams):
            stream.start()
    else:
        seeds_of(state.graph).global_seed = seed


def op_source(op, op_seed, *attributes):
    """Where the random op that is being called takes its numbers from; see `EagerSeeds.stream`."""
    if state.graph is not None:
        return NodeStream(*seeds_of(state.graph).next(op_seed))
    return seeds.stream(op, op_seed, *attributes)


def numpy_seed(seed=None):
    """An int to seed a NumPy generator with: from `seed` and `tf.random.set_seed`, or fresh where there is neither."""
    first, second = (seeds if state.graph is None else seeds_of(state.graph)).next(None if seed is None else int(seed))
    return int.from_bytes(os.urandom(16), "little") if first is None else first << 32 | second


# Streams


def _stream(key, counter):
    return np.concatenate([counter, key]).view(np.int64)


def _stream_infer(size):
    return Spec((size,), int64)


def _seed_stream_infer(seed, *, alg):
    if seed.shape is not None and (len(seed.shape) != 1 or seed.shape[0] not in (2, None)):
        raise invalid("StatelessRandomGetKeyCounter", f"seed must have shape [2], not {listed(seed.shape)}")
    return _stream_infer(random_generator.state_size(alg))


seed_stream = Primitive(
    "seed_stream",
    lambda seed, *, alg: _stream(*random_bits.key_counter(seed, alg=alg)),
    _seed_stream_infer,
    accepts={int32, int64},
    samples=lambda: [((np.array([1, 2]),), {"alg": 3}), ((np.array([-1, 7], np.int32),), {"alg": 2})],
)


def _blocks(shape, each):
    if min(shape, default=0) < 0:
        raise ValueError(shape)
    return math.prod(map(int, shape)) * each


def _op_stream_infer(*, source, shape, each=256):
    check_shape("random", known_dims(shape))
    return _stream_infer(3)


# `source` gives a piece of `each` blocks for each number of `shape`.
op_stream = Primitive(
    "op_stream",
    lambda *, source, shape, each=256: _stream(*source.reserve(_blocks(shape, each))),
    _op_stream_infer,
    stateful=True,
    parameters=(),
    samples=lambda: [],
)


def _generator_kernel(*, variable, shape, alg):
    _check_generator(variable, alg)
    count = _blocks(shape, 1)
    before = variable._tensor._value
    variable._store("assign", random_generator.skipped(before, count, alg=alg))
    return before


def _check_generator(variable, alg):
    if variable.dtype is not int64:
        raise invalid("RngReadAndSkip", f"dtype of RNG state variable must be int64, not {variable.dtype.name}")
    size = random_generator.state_size(alg)
    if variable.shape.rank != 1 or variable.shape[0] < size:
        raise invalid(
            "RngReadAndSkip", f"RNG state must have one and only one dimension of at least {size}, not {variable.shape}"
        )


def _generator_infer(*, variable, shape, alg):
    check_shape("random", known_dims(shape))
    _check_generator(variable, alg)
    return Spec(variable.shape._dims, int64)


# The state of a `tf.random.Generator`, which moves on by as many numbers as `shape` has.
generator_stream = Primitive(
    "generator_stream", _generator_kernel, _generator_infer, stateful=True, parameters=(), samples=lambda: []
)


# Samplers


def check_shape(name, dims):
    """Raise TensorFlow's error for a negative dimension."""
    for n in dims or ():
        if n is not None and n < 0:
            raise invalid(name, f"Dimension {n} must be >= 0")


def check_dtype(name, attr, dtype, allowed):
    """Raise TensorFlow's error for a dtype that the op does not take."""
    if dtype not in allowed:
        names = ", ".join(x.c_name for x in allowed)
        raise invalid(name, f"Value for attr '{attr}' of {dtype.c_name} is not in the list of allowed values: {names}")


def sampler(name, draw, *parameters, takes=(), makes=None, scalars=False, vjp=None, samples=None):
    """Register a primitive that draws an array of the attr `shape`.

    Args:
        draw: `draw(shape, key, counter, *values, dtype=, alg=)`, as in `random_bits`.
        parameters: the names of the parameters of the distribution, which are inputs behind the stream.
        takes: the dtypes of the parameters.
        makes: the dtypes that the attr `dtype` may have; None where the result is of the parameters' dtype.
        scalars: the parameters are scalars; else they broadcast to the last dimensions of `shape`.
    """

    def kernel(stream, *values, shape, alg=PHILOX, dtype=None):
        if any(x.dtype != values[0].dtype for x in values):
            raise TypeError([x.dtype for x in values])
        if dtype is None:
            dtype = as_dtype(values[0].dtype)
        if any(as_dtype(x.dtype) not in takes for x in values) or (makes and dtype not in makes):
            raise TypeError(dtype)
        if min(shape, default=0) < 0 or (scalars and any(x.shape for x in values)):
            raise ValueError(shape)
        return draw(tuple(map(int, shape)), *key_counter(stream), *values, dtype=dtype.numpy_dtype, alg=alg)

    def infer(stream, *specs, shape, alg=PHILOX, dtype=None):
        dims = known_dims(shape)
        check_shape(name, dims)
        if makes:
            check_dtype(name, "dtype", dtype, makes)
        for spec, parameter in zip(specs, parameters, strict=True):
            check_dtype(name, "T", spec.dtype, takes)
            if spec.dtype is not specs[0].dtype:
                raise invalid(
                    name,
                    f"{parameter} must be of dtype {specs[0].dtype.name} as {parameters[0]} is, got {spec.dtype.name}",
                )
            if scalars and spec.shape:
                raise invalid(name, f"{parameter} must be 0-D, got shape {listed(spec.shape)}")
        if not scalars:
            _check_trailing(name, specs, dims)
        return Spec(dims, dtype or specs[0].dtype)

    return Primitive(
        name,
        kernel,
        infer,
        vjp=vjp,
        uniform=False,
        accepts={int64},
        parameters=("stream", *parameters),
        samples=samples,
    )


def _check_trailing(name, specs, dims):
    """Raise unless `dims` ends with what the parameters' shapes broadcast to."""
    for spec in specs:
        if dims is None or spec.shape is None:
            continue
        end = dims[len(dims) - len(spec.shape) :]
        if len(spec.shape) > len(dims) or any(
            None not in (n, m) and n not in (1, m) for n, m in zip(spec.shape, end, strict=True)
        ):
            raise invalid(
                name, f"Shape passed in must end with broadcasted shape: {listed(dims)}, parameter {listed(spec.shape)}"
            )


def _of(function):
    """A sampler that only knows Philox, and whose dtype is the parameters'."""
    return lambda shape, key, counter, *values, dtype, alg: function(shape, key, counter, *values)


def _of_dtype(function):
    """A sampler that only knows Philox."""
    return lambda shape, key, counter, *values, dtype, alg: function(shape, key, counter, *values, dtype=dtype)


ALL_FLOATS = tuple(sorted(FLOATS, key=lambda dtype: dtype.size))
SOME_FLOATS = tuple(dtype for dtype in ALL_FLOATS if dtype.name != "bfloat16")
COUNTED = (*SOME_FLOATS, int32, int64)
_STREAM = np.array([3, 0, 5])


def _samples(*values, dtypes=(float64,)):
    """Registry samples: no float64 parameters, as the derivatives of samplers are not those of their paths."""
    attrs = [{"dtype": dtype} for dtype in dtypes] or [{}]
    return lambda: [((_STREAM, *values), {"shape": shape, **attr}) for shape in [(2, 3), (0, 3)] for attr in attrs]


def _uniform_samples():
    """Of both generators."""
    shapes = [((2, 3), float32), ((3, 5), float32), ((5,), float64), ((3, 7, 4), as_dtype("float16"))]
    threefry = [((_STREAM[1:],), {"shape": shape, "dtype": dtype, "alg": THREEFRY}) for shape, dtype in shapes]
    return _samples(dtypes=ALL_FLOATS)() + threefry


random_uniform = sampler("random_uniform", random_bits.uniform, makes=ALL_FLOATS, samples=_uniform_samples)
random_normal = sampler("random_normal", random_bits.normal, makes=ALL_FLOATS, samples=_samples(dtypes=ALL_FLOATS))
truncated_normal = sampler("truncated_normal", random_bits.truncated_normal, makes=ALL_FLOATS, samples=_samples())
random_full_int = sampler(
    "random_full_int",
    random_bits.uniform_full_int,
    makes=(int32, int64, uint32, uint64),
    samples=_samples(dtypes=(int32, uint64)),
)
random_uniform_int = sampler(
    "random_uniform_int",
    random_bits.uniform_int,
    "minval",
    "maxval",
    takes=(int32, int64),
    scalars=True,
    samples=_samples(np.int32(-2), np.int32(7), dtypes=()),
)
random_poisson = sampler(
    "random_poisson",
    _of_dtype(random_samplers.poisson),
    "rate",
    takes=COUNTED,
    makes=COUNTED,
    samples=_samples(np.array([1, 5, 30], np.float32), dtypes=(float64, int32)),
)
random_binomial = sampler(
    "random_binomial",
    _of_dtype(random_samplers.binomial),
    "counts",
    "probs",
    takes=SOME_FLOATS,
    makes=COUNTED,
    samples=_samples(np.array([3, 40, 7], np.float32), np.float32(0.4), dtypes=(float64, int32)),
)


def _gamma_vjp(g, alpha, out, alpha_shape):
    return P.sum_to(g * P.random_gamma_grad(alpha, out), shape=alpha_shape)


random_gamma = sampler(
    "random_gamma",
    _of(random_samplers.gamma),
    "alpha",
    takes=SOME_FLOATS,
    vjp=(None, _gamma_vjp),
    samples=_samples(np.array([0.5, 1, 30], np.float32), dtypes=()),
)


def _normal_cdf(z):
    return 0.5 * P.erfc(z * -(0.5**0.5))


def _truncated_vjp(g, wanted, out, means, stddevs, minvals, maxvals, shapes):
    """Figurnov, Mohamed and Mnih, "Implicit reparameterization gradients", 2018.

    For the mean and the deviation the bounds, in units of the deviation, are held where they are, as in TensorFlow.
    """
    low, high, z = [(x - means) / stddevs for x in (minvals, maxvals, out)]
    below = _normal_cdf(low)
    share = (_normal_cdf(z) - below) / (_normal_cdf(high) - below)
    limits = np.finfo(out._dtype.numpy_dtype)
    share = P.minimum(P.maximum(share, share * 0 + float(limits.tiny)), share * 0 + (1 - float(limits.eps)))
    slopes = (
        None,
        lambda: P.ones_like(z),
        lambda: z,
        lambda: P.exp(0.5 * (z * z - low * low)) * (1 - share),
        lambda: P.exp(0.5 * (z * z - high * high)) * share,
    )
    return tuple([
        P.sum_to(g * slope(), shape=dims) if want and slope is not None else None
        for want, slope, dims in zip(wanted, slopes, shapes, strict=True)
    ])  # fmt: skip


parameterized_truncated_normal = sampler(
    "parameterized_truncated_normal",
    _of(random_truncated.parameterized_truncated_normal),
    "means",
    "stddevs",
    "minvals",
    "maxvals",
    takes=SOME_FLOATS,
    vjp=_truncated_vjp,
    samples=_samples(np.float32(0), np.float32(1), np.array([-1, 0, 1], np.float32), np.float32(3), dtypes=()),
)


# Draws from given things: categories, rows, numbers


def _categorical_infer(stream, logits, *, num_samples, dtype):
    if logits.shape is not None and len(logits.shape) != 2:
        raise invalid("Multinomial", f"logits should be a matrix, got shape {listed(logits.shape)}")
    (count,) = known_dims((num_samples,))
    if count is not None and count < 0:
        raise invalid("Multinomial", f"num_samples should be non-negative, got {count}")
    check_dtype("Multinomial", "T", logits.dtype, ALL_FLOATS)
    return Spec((None if logits.shape is None else logits.shape[0], count), dtype)


def _categorical_kernel(stream, logits, *, num_samples, dtype):
    if logits.dtype.kind in "iu":
        raise TypeError(logits.dtype)
    return random_choices.categorical(logits, int(num_samples), *key_counter(stream), dtype=dtype.numpy_dtype)


categorical = Primitive(
    "categorical",
    _categorical_kernel,
    _categorical_infer,
    uniform=False,
    accepts={int64},
    samples=lambda: [((_STREAM, sample(2, 5)), {"num_samples": n, "dtype": dtype}) for n, dtype in [(3, int32), (0, int64)]],
)
random_shuffle = Primitive(
    "random_shuffle",
    lambda stream, value: random_choices.shuffle(value, *key_counter(stream)),
    lambda stream, value: value,
    uniform=False,
    accepts={int64},
    samples=lambda: [((_STREAM, x), {}) for x in (sample(5, 3), sample(0, 3), sample())],
)


def _index_shuffle_kernel(index, seed, max_index, *, rounds):
    if index.dtype != max_index.dtype or index.dtype.kind not in "iu":
        raise TypeError(index.dtype)
    for what, x in (("index", index), ("max_index", max_index)):
        if np.any(x < 0):
            raise invalid("RandomIndexShuffle", f"{what} must be >= 0 but was {np.min(x)}")
    if np.any(index > max_index):
        wrong = [int(x.ravel()[np.argmax((index > max_index).ravel())]) for x in np.broadcast_arrays(max_index, index)]
        raise invalid("RandomIndexShuffle", f"max_index must be >= index, but {wrong[0]} < {wrong[1]}")
    return random_choices.index_shuffle(index, seed, max_index, rounds=rounds)


def _index_shuffle_infer(index, seed, max_index, *, rounds):
    shapes = (index.shape, seed.shape, max_index.shape)
    if any(dims is None for dims in shapes):
        return Spec(None, index.dtype)
    sizes = {dims[0] for dims, rank in zip(shapes, (0, 1, 0), strict=True) if len(dims) > rank} - {None}
    if any(len(dims) not in (rank, rank + 1) for dims, rank in zip(shapes, (0, 1, 0), strict=True)) or seed.shape[
        -1
    ] not in (2, 3, None):
        raise invalid(
            "RandomIndexShuffle",
            "index and max_index must be scalars or vectors, the seed of shape [2] or [n, 2]: got shapes "
            f"{listed(index.shape)}, {listed(max_index.shape)} and {listed(seed.shape)}",
        )
    if len(sizes - {1}) > 1:
        raise invalid("RandomIndexShuffle", f"index, seed and max_index have different lengths: {sorted(sizes)}")
    if max_index.dtype is not index.dtype:
        raise invalid(
            "RandomIndexShuffle",
            f"index and max_index have different dtypes: {index.dtype.name}, {max_index.dtype.name}",
        )
    if all(len(dims) == rank for dims, rank in zip(shapes, (0, 1, 0), strict=True)):
        return Spec((), index.dtype)
    return Spec((max(sizes, default=None),), index.dtype)


random_index_shuffle = Primitive(
    "random_index_shuffle",
    _index_shuffle_kernel,
    _index_shuffle_infer,
    accepts={int32, int64, uint32, uint64},
    uniform=False,
    samples=lambda: [
        ((np.arange(5), np.array([3, 7]), np.int64(11)), {"rounds": 4}),
        ((np.int32(2), np.array([3, 7]), np.int32(2)), {"rounds": 4}),
    ],
)
