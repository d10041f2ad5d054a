"""Random numbers against TensorFlow's own, which `make_random_golden.py` wrote down, bit by bit."""

import hashlib
import json
import math
import pathlib

import ml_dtypes
import numpy as np
import pytest

from tapeflow.base.errors import InvalidArgumentError
from tapeflow.ops import (
    random_bits,
    random_choices,
    random_generator,
    random_libm,
    random_samplers,
    random_stateful,
    random_threefry,
    random_truncated,
)

GOLDEN = json.loads(pathlib.Path(__file__).with_name("random_golden.json").read_text())
THREADS = GOLDEN["threads"]
KEY, COUNTER = random_bits.key_counter([1, 2])


def dtype_of(name):
    return np.dtype(getattr(ml_dtypes, name) if name == "bfloat16" else name)


def summary(array):
    array = np.ascontiguousarray(array)
    flat = array.reshape(-1)
    ends = [flat[end].tobytes().hex() for end in (0, -1)] if flat.size else []
    return " ".join([hashlib.sha256(array.tobytes()).hexdigest()[:12], *ends])


def logits_of(shape):
    index = np.arange(np.prod(shape)).reshape(shape)
    return np.where(index % 11 == 7, -np.inf, (index * 7919 % 41) / 8 - 3).astype(np.float32)


def draw(sampler, seed, shape, dtype, parameters):
    seed = np.array(seed)
    family, _, name = sampler.rpartition(" ")
    alg = family or "philox"
    key, counter = random_bits.key_counter(seed, alg=alg)
    match name:
        case "uniform" | "normal" | "truncated_normal" | "uniform_full_int" | "uniform_int":
            options = {"dtype": dtype_of(dtype), "alg": alg}
            return getattr(random_bits, name)(shape, key, counter, *parameters, **options)
        case "gamma":
            return random_samplers.gamma(shape, key, counter, np.array(*parameters, dtype))
        case "poisson":
            return random_samplers.poisson(shape, key, counter, np.array(*parameters, np.float32), dtype=dtype)
        case "binomial":
            counts, probs = np.array(parameters, np.float32)
            return random_samplers.binomial(shape, key, counter, counts, probs, dtype=dtype)
        case "parameterized_truncated_normal":
            bounds = [np.array(p, dtype) for p in parameters]
            return random_truncated.parameterized_truncated_normal(shape, key, counter, *bounds, threads=THREADS)
        case "categorical":
            return random_choices.categorical(logits_of(shape), *parameters, key, counter, threads=THREADS)
        case "shuffle":
            return random_choices.shuffle(np.arange(np.prod(shape)).reshape(shape).astype(dtype), key, counter)
        case "index_shuffle":
            return random_choices.index_shuffle(np.arange(*shape), seed, np.int64(*parameters))
        case "split":
            return random_bits.split(seed, shape[0])
        case "fold_in":
            return random_bits.fold_in(seed, *parameters)
        case _:
            raise ValueError(name)


SAMPLERS = sorted({row[0] for row in GOLDEN["draws"]})


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_draws(sampler):
    rows = [row for row in GOLDEN["draws"] if row[0] == sampler]
    wrong = [(*arguments, "got " + got) for *arguments, want in rows if (got := summary(draw(*arguments))) != want]
    assert not wrong


def eager(seeds, op, op_seed):
    def stream(name, *attributes):
        return seeds.stream(name, op_seed, *attributes)

    match op:
        case "set_seed":
            seeds.set_seed(op_seed)
            return np.zeros(0)
        case "uniform":
            return random_stateful.uniform(stream("RandomUniform", "float32", "int32"), (2, 3))
        case "uniform64":
            return random_stateful.uniform(stream("RandomUniform", "float64", "int64"), (5,), dtype=np.float64)
        case "uniform_int":
            return random_stateful.uniform_int(stream("RandomUniformInt", "int32"), (5,), 3, 1000)
        case "normal":
            return random_stateful.normal(stream("RandomStandardNormal", "float32"), (2, 3))
        case "truncated_normal":
            return random_stateful.truncated_normal(stream("TruncatedNormal", "float32"), (2, 3))
        case "shuffle":
            return random_stateful.shuffle(stream("RandomShuffle", "int64"), np.arange(9))
        case "categorical":
            return random_stateful.categorical(stream("Multinomial", "float32"), logits_of([5, 6]), 3)
        case "gamma":
            alpha = np.float32([0.5, 2.0, 1.0])
            return np.maximum(
                np.finfo(np.float32).tiny, random_stateful.gamma(stream("RandomGamma", "float32"), (4,), alpha)
            )
        case "poisson":
            return random_stateful.poisson(stream("RandomPoissonV2", "float32"), (4,), np.float32([5.0, 20.0]))
        case _:
            raise ValueError(op)


def on_state(state, method, shape):
    match method:
        case "uniform_int":
            return random_generator.uniform_int(state, shape, -3, 8, dtype=np.int64)
        case "binomial":
            return random_generator.binomial(state, shape, np.float32(100), np.float32(0.4))
        case "split":
            states, state = random_generator.split(state, 3)
            return np.stack(states), state
        case "make_seeds":
            return random_generator.make_seeds(state, 3)
        case "skip":
            state = random_generator.skipped(state, 11)
            return state, state
        case _:
            return getattr(random_generator, method)(state, shape)


@pytest.mark.parametrize("script", GOLDEN["scripts"], ids=lambda script: f"{script[0]}-{script[1]}-{script[2][0][1]}")
def test_scripts(script):
    kind, seed, steps = script
    seeds = random_stateful.EagerSeeds()
    state = None if kind == "eager" else random_generator.seeded_state(seed)
    for i, (name, argument, want) in enumerate(steps):
        if kind == "eager":
            values = eager(seeds, name, argument)
        else:
            values, state = on_state(state, name, argument)
        assert summary(values)[:6] == want, f"step {i}: {name} {argument}"


# The generators themselves


def test_published_blocks():
    # Known answers of the authors' library, Random123.
    assert random_bits.philox_block(0, 0) == (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)
    pi = random_bits.philox_block(0x299F31D0_A4093822, 0x03707344_13198A2E_85A308D3_243F6A88)
    assert pi == (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1)
    assert random_threefry.threefry_blocks(0, 0, 1).T.tolist() == [[0x6B200159, 0x99BA4EFE]]
    ones = (1 << 64) - 1
    assert random_threefry.threefry_blocks(ones, ones, 1).T.tolist() == [[0x1CB996FC, 0xBB002BE7]]


@pytest.mark.parametrize("counter", [0, 5, (1 << 64) - 9, (1 << 128) - 9, (7 << 64) + (1 << 32) - 3])
def test_blocks_are_the_same_in_arrays_and_one_by_one(counter):
    offsets = np.array([0, 1, 2, 3, 8, 9, 10, 1 << 40, (1 << 63) + 5], np.uint64)
    key = 0x0123456789ABCDEF
    many = random_bits.philox_blocks(key, counter, offsets)
    one = [random_bits.philox_block(key, counter + int(offset)) for offset in offsets]
    assert many.tolist() == [list(words) for words in one]
    assert random_bits.philox_blocks(key, counter, offsets[:2]).tolist() == many[:2].tolist()


def test_counters_advance_as_skip_does():
    assert random_bits.advanced((1 << 64) - 5, 256) == (1 << 64) + 251
    assert random_bits.advanced((1 << 128) - 5, 256) == 251
    # TensorFlow loses this carry: its step's high half overflows before it is added.
    assert random_bits.advanced(512, (1 << 64) - 256) == 256


def test_results_do_not_depend_on_where_a_stream_is_cut():
    n = 4 * random_bits.CHUNK
    whole = random_bits.normal((n + 8,), KEY, COUNTER)
    later = random_bits.normal((8,), *random_bits.stream_arrays(*later_stream(n // 4)))
    assert whole[n:].tobytes() == later.tobytes()


def later_stream(blocks):
    key, counter = random_bits.stream_ints(KEY, COUNTER)
    return key, counter + blocks


# Distributions: what no table of bits would show


@pytest.mark.parametrize("alg", ["philox", "threefry"])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_distributions(alg, dtype):
    key, counter = random_bits.key_counter([3, 5], alg=alg)
    options = {"dtype": dtype_of(dtype), "alg": alg}
    uniform = random_bits.uniform((100_003,), key, counter, **options).astype(np.float64)
    assert uniform.min() >= 0 and uniform.max() < 1
    assert abs(uniform.mean() - 0.5) < 0.006
    assert abs(uniform.std() - math.sqrt(1 / 12)) < 0.005
    normal = random_bits.normal((100_003,), key, counter, **options).astype(np.float64)
    assert abs(normal.mean()) < 0.02
    assert abs(normal.std() - 1) < 0.02
    truncated = random_bits.truncated_normal((100_003,), key, counter, **options).astype(np.float64)
    assert np.abs(truncated).max() <= 2
    assert abs(truncated.std() - 0.8796) < 0.02


def test_threefry_normals_are_near_those_of_xla():
    key, counter = random_bits.key_counter([1, 2], alg="threefry")
    # tf.function(jit_compile=True) over tf.random.stateless_normal and stateless_truncated_normal, alg="threefry"
    want = [-0.5546245, -1.8799735, 1.1058805, -0.22600825, -0.81545544, -0.62887144]
    assert random_bits.normal((6,), key, counter, alg="threefry") == pytest.approx(want, abs=5e-7)
    want = [-0.9840194, 0.10945897, 0.06911209, -0.54755199, 0.21328549, 0.35533085]
    assert random_bits.truncated_normal((6,), key, counter, alg="threefry") == pytest.approx(want, abs=5e-7)


@pytest.mark.parametrize("shape", [(0,), (2, 0, 3)])
@pytest.mark.parametrize("alg", ["philox", "threefry"])
def test_empty_shapes(shape, alg):
    key, counter = random_bits.key_counter([1, 2], alg=alg)
    for sampler in (random_bits.uniform, random_bits.normal, random_bits.truncated_normal):
        assert sampler(shape, key, counter, alg=alg).shape == shape
    assert random_bits.uniform_full_int(shape, key, counter, alg=alg).shape == shape
    assert random_samplers.poisson((0, 3), KEY, COUNTER, np.ones(3)).shape == (0, 3)
    assert random_samplers.gamma((2, 0), KEY, COUNTER, np.ones(0)).shape == (2, 0)
    assert random_choices.categorical(np.ones((0, 3)), 2, KEY, COUNTER).shape == (0, 2)


def test_samplers_end_where_parameters_mean_nothing():
    nan, inf = math.nan, math.inf
    assert np.isnan(random_samplers.gamma((3,), KEY, COUNTER, np.array([nan, -1.0, -inf]))).all()
    assert random_samplers.poisson((4,), KEY, COUNTER, np.array([-1.0, 0.0, inf, 1e12]))[:3].tolist() == [0, 0, inf]
    assert np.isnan(random_samplers.poisson((), KEY, COUNTER, np.array(nan)))
    assert random_samplers.poisson((), KEY, COUNTER, np.array(inf), dtype=np.int32) == 0
    got = random_samplers.binomial(
        (4,), KEY, COUNTER, np.array([nan, inf, 5, -1]), np.array([0.5, 0.5, nan, nan]), dtype=np.float32
    )
    assert np.isnan(got[:3]).all() and got[3] == 0


def test_large_permutations_are_permutations():
    order = random_choices.permutation(70_001, KEY, COUNTER)
    assert sorted(order.tolist()) == list(range(70_001))
    places = random_choices.index_shuffle(np.arange(70_001), [1, 2], np.int64(70_000))
    assert sorted(places.tolist()) == list(range(70_001))


def test_index_shuffle_takes_a_seed_or_a_limit_for_each_index():
    index, seed, most = np.array([3, 1, 2]), np.array([[1, 2], [3, 4], [5, 6]]), np.array([9, 5, 70_000])
    want = [int(random_choices.index_shuffle(*row)) for row in zip(index, seed, most, strict=True)]
    assert random_choices.index_shuffle(index, seed, most).tolist() == want


# The C library's functions


def test_logf_and_sincosf_are_within_one_ulp_of_float64():
    x = np.arange(1, 1 << 23, 97, dtype=np.uint32)
    unit = ((x | 0x3F800000).view(np.float32) - np.float32(1)).astype(np.float32)
    for got, want in (
        (random_libm.logf(unit), np.log(unit.astype(np.float64))),
        (random_libm.sincosf(unit * np.float32(6.28))[0], np.sin((unit * np.float32(6.28)).astype(np.float64))),
        (random_libm.sincosf(unit * np.float32(6.28))[1], np.cos((unit * np.float32(6.28)).astype(np.float64))),
    ):
        assert np.all(np.abs(got - want) <= np.spacing(np.abs(want.astype(np.float32))))


# Seeds and state


def test_a_stream_without_seed_starts_anywhere():
    seeds = random_stateful.EagerSeeds()
    assert seeds.next() == (None, None)
    first, second = (random_stateful.uniform(seeds.stream("RandomUniform", None), (4,)) for _ in range(2))
    assert first.tolist() != second.tolist()


def test_seeds_of_a_graph_count_its_nodes():
    seeds = random_stateful.GraphSeeds(7)
    assert [seeds.next(), seeds.next(5), seeds.next()] == [(7, 0), (7, 5), (7, 1)]
    assert random_stateful.GraphSeeds(None).next() == (None, None)
    assert random_stateful.GraphSeeds(None).next(3) == (87654321, 3)
    # (0, 0) means "no seed" to a kernel.
    assert random_stateful.GraphSeeds(0).next() == (0, 2**31 - 1)


def test_stateful_bits_are_what_a_stream_reads():
    stream = random_stateful.PhiloxStream(11, 22)
    stream.reserve(5)
    words = random_bits.uniform_full_int((6,), *stream.reserve(2), dtype=np.uint32)
    assert random_stateful.stateful_bits(11, 22, 6, skip=5).tolist() == words.tolist()


def test_states_of_generators():
    assert random_generator.seeded_state(-9).tolist() == [-9, -1, -1]
    assert random_generator.seeded_state([1, 2]).tolist() == [0, 1, 2]
    assert random_generator.seeded_state(2**64 + 7, alg="threefry").tolist() == [7, 1]
    assert random_generator.key_counter_state(5, [1, 2], alg="philox").tolist() == [1, 2, 5]
    assert random_generator.fresh_state(alg="threefry").shape == (2,)
    state = random_generator.seeded_state(3, alg="threefry")
    values, after = random_generator.uniform_int(state, (3,), 0, 9, alg="threefry")
    assert state.tolist() == [3, 0] and after.tolist() == [3 + 3 * 256, 0] and values.shape == (3,)
    with pytest.raises(ValueError, match="incompatible"):
        random_generator.checked_state([1, 2], alg="philox")


# Errors


STREAM = (KEY, COUNTER)
ERRORS = [
    (InvalidArgumentError, "minval < maxval, got 5 >= 3", lambda: random_bits.uniform_int((2,), *STREAM, 5, 3)),
    (InvalidArgumentError, r"seed must have shape \[2\]", lambda: random_bits.key_counter([1, 2, 3])),
    (InvalidArgumentError, r"key must have shape \[1\]", lambda: random_bits.uniform((2,), COUNTER, COUNTER)),
    (InvalidArgumentError, "length at least 2", lambda: random_bits.uniform((2,), KEY, KEY)),
    (InvalidArgumentError, "must end with", lambda: random_samplers.gamma((2, 3), *STREAM, np.ones(2))),
    (InvalidArgumentError, "should be a matrix", lambda: random_choices.categorical(np.ones(3), 2, *STREAM)),
    (InvalidArgumentError, "beyond max_index", lambda: random_choices.index_shuffle(9, [1, 2], 8)),
    (ValueError, "unsupported value mersenne", lambda: random_bits.key_counter([1, 2], alg="mersenne")),
    (ValueError, "unsupported value 4", lambda: random_bits.uniform((2,), *STREAM, alg=4)),
    (ValueError, "invalid value int32", lambda: random_bits.normal((2,), *STREAM, dtype=np.int32)),
    (ValueError, "invalid value int8", lambda: random_bits.uniform_full_int((2,), *STREAM, dtype=np.int8)),
]


@pytest.mark.parametrize(("error", "words", "call"), ERRORS, ids=[words for _, words, _ in ERRORS])
def test_errors(error, words, call):
    with pytest.raises(error, match=words):
        call()


def test_bounds_have_to_be_in_order():
    with pytest.raises(InvalidArgumentError, match="Invalid parameters"):
        random_truncated.parameterized_truncated_normal((2,), KEY, COUNTER, *np.float32([0, 1, 3, 2]))
