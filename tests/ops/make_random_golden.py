"""Writes random_golden.json: what TensorFlow itself draws. Run it with a Python that has TensorFlow 2.21 on a CPU.

A row of "draws" names a sampler, its arguments, and what came out: a hash of all bytes, and the bytes of the first and
the last element. A row of "scripts" is a list of steps on one state. `test_random_bits.py` runs them all again.
"""

import hashlib
import itertools
import json
import os
import pathlib

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
THREADS = 4  # two samplers depend on it for large batches

FLOATS = "float16", "bfloat16", "float32", "float64"
INTS = "int32", "int64"
UNSIGNED = "uint32", "uint64"
SEEDS = [1, 2], [0, 0], [-5, 2147483647], [1099511627779, -7]
SHAPES = [], [1], [3], [4], [5], [2, 3], [255], [256], [3, 5, 7], [1001]
BIG = [300007]
INF = float("inf")


def rows():
    """All draws: (sampler, seed, shape, dtype, parameters)."""
    for i, (shape, dtype) in enumerate(itertools.product(SHAPES, FLOATS)):
        for j, sampler in enumerate(("uniform", "normal", "truncated_normal")):
            yield sampler, SEEDS[(i + j) % 4], shape, dtype, []
    for sampler, dtype in itertools.product(("uniform", "normal", "truncated_normal"), FLOATS):
        yield sampler, [3, 4], BIG, dtype, []
    for i, (shape, dtype) in enumerate(itertools.product([*SHAPES, BIG], INTS + UNSIGNED)):
        yield "uniform_full_int", SEEDS[i % 4], shape, dtype, []
    for shape, dtype in itertools.product(([], [5], [1001]), INTS):
        for low, high in (0, 10), (-5, 100), (-(2**31), 2**31 - 1), (7, 8):
            yield "uniform_int", [1, 2], shape, dtype, [low, high]
    for dtype, shape in itertools.product(("float16", "float32", "float64"), ([7], [1000, 7], [50, 3, 7])):
        yield "gamma", [1, 2], shape, dtype, [[0.5, 1.0, 2.5, 100.0, 0.001, 0.0, 30000.0]]
    for dtype in ("float16", "float32", "float64", "int32", "int64"):
        for shape in [7], [1000, 7]:
            yield "poisson", [1, 2], shape, dtype, [[0.5, 1.0, 2.5, 100.0, 9.99, 10.0, 1e4]]
            yield "binomial", [1, 2], shape, dtype, [[10, 20, 1000, 0, -3, 50, 50], [0.1, 0.5, 0.7, 0.3, 0.2, 1, 0.99]]
    for bounds in (
        [0, 1, -2, 2], [0, 1, 0.5, 0.6], [0, 1, 3, INF], [5, 2, -INF, 4], [0, 1, -4, -3.9],
        [[0, 1, 5], [1, 0.5, 2], [-1, -2, 5.5], [2, 3, INF]],
    ):  # fmt: skip
        for dtype, count in itertools.product(("float16", "float32", "float64"), (1, 7, 3000)):
            yield "parameterized_truncated_normal", [1, 2], [count, *np.shape(bounds)[1:]], dtype, bounds
    for logits, draws in ([3, 4], 1), ([3, 4], 7), ([64, 65], 1), ([1000, 10], 2), ([7, 20000], 1), ([33, 3000], 3):
        yield "categorical", [1, 2], logits, "int64", [draws]
    for n in 2, 3, 10, 1000, 20000:
        yield "shuffle", [1, 2], [n], "int64", []
    yield "shuffle", [1, 2], [9, 2], "float32", []
    for most in 3, 9, 70000, 2**40:
        yield "index_shuffle", [5, -9], [min(most, 20)], "int64", [most]
    for seed in SEEDS:
        yield "split", seed, [3, 2], "", []
        yield "fold_in", seed, [2], "", [3]
    for shape in [], [1], [5], [6], [3, 5], [5, 3], [2, 3, 2], [1000, 3]:
        for dtype in FLOATS:
            yield "threefry uniform", [1, -2], shape, dtype, []
        for dtype in INTS + UNSIGNED:
            yield "threefry uniform_full_int", [1, -2], shape, dtype, []
        yield "threefry uniform_int", [1, -2], shape, "int32", [-7, 1000]


def scripts():
    """Steps on the state of eager mode ([op, op seed]) and on a generator ([method, shape])."""
    ops = ["uniform", "uniform", "uniform64", "normal", "truncated_normal", "uniform_int", "shuffle", "categorical"]
    ops += ["gamma", "poisson"]
    for seed in None, 0, -3, 123456789012:
        op_seeds = (1, 0) if seed is None else (None, 0, 2**40)
        steps = [["set_seed", seed]]
        steps += [[op, op_seed] for op_seed in op_seeds for op in ops * 2]
        if seed is not None:
            steps += [["set_seed", seed], ["normal", 1], ["uniform", None]]
        yield "eager", "", steps
    methods = ["uniform", "normal", "truncated_normal", "uniform_full_int", "uniform_int", "binomial", "split"]
    methods += ["make_seeds", "skip"]
    for seed in 5, 2**70 + 3, [1, 2, 3], -9:
        yield (
            "generator",
            seed,
            [[m, shape] for shape in ([], [5], [3, 4]) for m in methods if shape or m != "binomial"],
        )


def summary(array):
    """What the table keeps of an array."""
    array = np.ascontiguousarray(array)
    flat = array.reshape(-1)
    ends = [flat[end].tobytes().hex() for end in (0, -1)] if flat.size else []
    return " ".join([hashlib.sha256(array.tobytes()).hexdigest()[:12], *ends])


def logits_of(shape):
    """Logits that need no random numbers: whole multiples of 1/8, some of them infinite."""
    index = np.arange(np.prod(shape)).reshape(shape)
    return np.where(index % 11 == 7, -np.inf, (index * 7919 % 41) / 8 - 3).astype(np.float32)


def main():
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(THREADS)

    def draw(sampler, seed, shape, dtype, parameters):
        stateless = tf.random.experimental
        seed = np.array(seed)
        size = np.array(shape, np.int32)
        compiled, _, name = sampler.rpartition(" ")
        options = {"alg": "threefry"} if compiled else {}

        def call():
            match name:
                case "uniform" | "normal" | "truncated_normal":
                    return getattr(tf.random, f"stateless_{name}")(size, seed, dtype=dtype, **options)
                case "uniform_full_int":
                    return tf.random.stateless_uniform(size, seed, None, None, dtype=dtype, **options)
                case "uniform_int":
                    return tf.random.stateless_uniform(size, seed, *parameters, dtype=dtype, **options)
                case "gamma":
                    key, counter = tf.raw_ops.StatelessRandomGetKeyCounter(seed=seed)
                    alpha = np.array(*parameters, dtype)
                    return tf.raw_ops.StatelessRandomGammaV3(shape=size, key=key, counter=counter, alg=1, alpha=alpha)
                case "poisson":
                    return tf.random.stateless_poisson(size, seed, np.array(*parameters, np.float32), dtype=dtype)
                case "binomial":
                    counts, probs = np.array(parameters, np.float32)
                    return tf.random.stateless_binomial(size, seed, counts, probs, output_dtype=dtype)
                case "parameterized_truncated_normal":
                    bounds = [np.array(p, dtype) for p in parameters]
                    return tf.random.stateless_parameterized_truncated_normal(size, seed, *bounds)
                case "categorical":
                    return tf.random.stateless_categorical(logits_of(shape), *parameters, seed, dtype=dtype)
                case "shuffle":
                    return stateless.stateless_shuffle(np.arange(np.prod(shape)).reshape(shape).astype(dtype), seed)
                case "index_shuffle":
                    return stateless.index_shuffle(np.arange(*shape), seed, np.int64(*parameters))
                case "split":
                    return tf.random.split(seed, shape[0])
                case "fold_in":
                    return tf.random.fold_in(seed, *parameters)
                case _:
                    raise ValueError(name)

        call = tf.function(call, jit_compile=True, autograph=False) if compiled else call
        return call().numpy()

    def eager(op, op_seed):
        match op:
            case "set_seed":
                tf.random.set_seed(op_seed)
                return np.zeros(0)
            case "uniform" | "normal" | "truncated_normal":
                return getattr(tf.random, op)([2, 3], seed=op_seed).numpy()
            case "uniform64":
                return tf.random.uniform(np.array([5], np.int64), dtype="float64", seed=op_seed).numpy()
            case "uniform_int":
                return tf.random.uniform([5], 3, 1000, dtype="int32", seed=op_seed).numpy()
            case "shuffle":
                return tf.random.shuffle(np.arange(9), seed=op_seed).numpy()
            case "categorical":
                return tf.random.categorical(logits_of([5, 6]), 3, seed=op_seed).numpy()
            case "gamma":
                return tf.random.gamma([4], np.float32([0.5, 2.0, 1.0]), seed=op_seed).numpy()
            case "poisson":
                return tf.random.poisson([4], np.float32([5.0, 20.0]), seed=op_seed).numpy()
            case _:
                raise ValueError(op)

    def on_generator(generator, method, shape):
        match method:
            case "uniform_int":
                return generator.uniform(shape, -3, 8, dtype="int64").numpy()
            case "binomial":
                return generator.binomial(shape, np.float32(100), np.float32(0.4)).numpy()
            case "split":
                return np.stack([new.state.numpy() for new in generator.split(3)])
            case "make_seeds":
                return generator.make_seeds(3).numpy()
            case "skip":
                generator.skip(11)
                return generator.state.numpy()
            case _:
                return getattr(generator, method)(shape).numpy()

    table = {"draws": [], "scripts": []}
    for row in rows():
        table["draws"].append([*row, summary(draw(*row))])
    for kind, seed, steps in scripts():
        if kind == "eager":
            results = [[*step, summary(eager(*step))[:6]] for step in steps]
        else:
            generator = tf.random.Generator.from_seed(seed)
            results = [[*step, summary(on_generator(generator, *step))[:6]] for step in steps]
        table["scripts"].append([kind, seed, results])
    bodies = {name: ",\n".join(map(json.dumps, entries)) for name, entries in table.items()}
    lists = [f'"{name}": [\n{body}\n]' for name, body in bodies.items()]
    text = ",\n".join([f'{{"tensorflow": "{tf.__version__}", "threads": {THREADS}', *lists]) + "\n}\n"
    pathlib.Path(__file__).with_name("random_golden.json").write_text(text)


if __name__ == "__main__":
    main()
