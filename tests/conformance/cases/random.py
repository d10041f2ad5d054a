"""Random numbers, bit for bit: stateless, from generators, and eager under `tf.random.set_seed`."""

from calls import Case, Raw, call, pick, program, shapes
from hypothesis import strategies as st

FLOAT_DTYPES = ("float32", "float64", "float16", "bfloat16")


def seeds(draw):
    return [pick(draw, 0, 1, 2, 7, 12345, -1), pick(draw, 0, 1, 3, -5, 2**31 - 1)]


def stateless(name, dtypes=FLOAT_DTYPES, **options):
    def build(draw):
        kwargs = {key: pick(draw, *values) for key, values in options.items() if draw(st.booleans())}
        if draw(st.booleans()):
            kwargs["dtype"] = Raw("tf." + pick(draw, *dtypes))
        if name in (
            "tf.random.stateless_uniform",
            "tf.random.stateless_normal",
            "tf.random.stateless_truncated_normal",
        ) and draw(st.booleans()):
            kwargs["alg"] = pick(draw, "auto_select", "philox", "threefry", 1, 2)
        return call(name, list(draw(shapes(2))), seeds(draw), **kwargs)

    return build


def stateless_ints(draw):
    dtype = pick(draw, "int32", "int64", "uint32", "uint64")
    limits = (
        {} if dtype[0] == "u" and draw(st.booleans()) else {"minval": pick(draw, 0, 1, 3), "maxval": pick(draw, 4, 10, 1000)}
    )
    limits = limits or {"minval": None, "maxval": None}
    return call("tf.random.stateless_uniform", list(draw(shapes(2))), seeds(draw), dtype=Raw("tf." + dtype), **limits)


def with_parameters(name, **options):
    """A sampler whose parameters are tensors."""

    def build(draw):
        kwargs = {key: pick(draw, *values) for key, values in options.items()}
        return call(name, [draw(st.integers(0, 4)), 2], seeds(draw), **kwargs)

    return build


def categorical(draw):
    return call("tf.random.stateless_categorical", [[0.1, 0.5, 1.0], [2.0, 0.0, -1.0]], draw(st.integers(0, 9)), seeds(draw))


def derived(draw):
    how = pick(draw, "tf.random.split({0}, 3)", "tf.random.fold_in({0}, 7)",
               "tf.random.experimental.stateless_shuffle(tf.range(9), {0})",
               "tf.random.experimental.stateless_split({0})", "tf.random.experimental.stateless_fold_in({0}, 3)",
               "tf.random.experimental.index_shuffle(3, [1, 2], 10)",
               "tf.random_index_shuffle(1, [4, 5, 6], 99)")  # fmt: skip
    return program(how.format(seeds(draw)))


METHODS = ["normal({0})", "uniform({0})", "uniform({0}, 0, 10, tf.int32)", "truncated_normal({0})",
           "uniform_full_int({0}, tf.uint64)",
           "binomial({0}, 5.0, 0.3)", "normal({0}, 1.0, 2.0, tf.float64)", "uniform({0}, dtype=tf.float64)",
           "uniform_full_int({0}, tf.int32)",
           "make_seeds(3)", "split(2)[1].normal({0})", "normal({0}, dtype=tf.float16)",
           "uniform({0}, 1, 2, tf.float16)", "standard_normal({0})"]  # fmt: skip


def generator(draw):
    alg = pick(draw, "", ", alg='philox'", ", alg='threefry'")
    lines = [f"g = tf.random.Generator.from_seed({draw(st.integers(0, 99))}{alg})", "result = []"]
    for _ in range(draw(st.integers(1, 4))):
        step = pick(draw, *METHODS).format(list(draw(shapes(2))))
        lines.append(f"result.append(g.{step})")
        if draw(st.integers(0, 3)) == 0:
            lines.append(f"g.skip({draw(st.integers(0, 9))})")
    return program("\n".join([*lines, "result.append(g.state)", "result.append(g.key)"]))


EAGER = ["tf.random.normal({0})", "tf.random.uniform({0})", "tf.random.uniform({0}, 0, 9, tf.int32)",
         "tf.random.truncated_normal({0})",
         "tf.random.uniform({0}, dtype=tf.float64)", "tf.random.normal({0}, dtype=tf.float64)",
         "tf.random.shuffle(tf.range(7))",
         "tf.random.gamma([2], [0.5, 1.5])", "tf.random.poisson([3], [1.0, 20.0])",
         "tf.random.categorical([[0.1, 0.9]], 5)",
         "tf.nn.dropout(tf.ones({0}), 0.4)", "tf.random.normal({0}, seed=3)", "tf.random.uniform({0}, seed=1)",
         "tf.random.normal({0}, dtype=tf.float16)",
         "tf.random.uniform({0}, -3, 5, tf.int64)", "tf.random.shuffle(tf.range(7), seed=2)",
         "tf.image.random_flip_left_right(tf.ones([2, 2, 1]))", "tf.random_normal_initializer()({0})",
         "tf.random.stateless_normal({0}, [1, 2])"]  # fmt: skip


def eager(draw):
    lines = [f"tf.random.set_seed({draw(st.integers(0, 99))})"] if draw(st.integers(0, 9)) else ["tf.random.set_seed(0)"]
    steps = ", ".join(pick(draw, *EAGER).format(list(draw(shapes(2)))) for _ in range(draw(st.integers(1, 3))))
    return program("\n".join([*lines, f"result = [{steps}]"]))


CASES = [
    Case("tf.random.stateless_uniform", stateless("tf.random.stateless_uniform", minval=(0, -1), maxval=(2, 5)), "exact"),
    Case("tf.random.stateless_uniform of integers", stateless_ints, "exact"),
    Case(
        "tf.random.stateless_normal",
        stateless("tf.random.stateless_normal", mean=(0, 1.5), stddev=(1, 2.0)),
        "ulp",
        8,
        share=2,
    ),
    Case("tf.random.stateless_truncated_normal", stateless("tf.random.stateless_truncated_normal"), "ulp", 8),
    Case("tf.random.stateless_gamma", with_parameters("tf.random.stateless_gamma", alpha=([0.5, 2.0], 1.5)), "ulp", 64),
    Case(
        "tf.random.stateless_poisson", with_parameters("tf.random.stateless_poisson", lam=([0.5, 20.0], [3.0, 1.0])), "exact"
    ),
    Case(
        "tf.random.stateless_binomial",
        with_parameters("tf.random.stateless_binomial", counts=([3.0, 30.0],), probs=([0.2, 0.7],)),
        "exact",
    ),
    Case("tf.random.stateless_categorical", categorical, "exact"),
    Case("seeds and shuffles", derived, "exact"),
    Case("tf.random.Generator", generator, "ulp", 8, share=3),
    Case("tf.random.set_seed", eager, "ulp", 64, share=6),
]
