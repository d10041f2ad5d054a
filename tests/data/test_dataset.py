"""Datasets against facts from TensorFlow 2.21: elements, specs, sizes, orders of shuffling, errors."""

import collections

import numpy as np
import pytest

import tapeflow as tf
from tapeflow.core.plan import plan_of

Dataset = tf.data.Dataset
Pair = collections.namedtuple("Pair", "x y")
MATRIX = np.arange(6, dtype=np.float32).reshape(3, 2)


@pytest.fixture(autouse=True)
def no_global_seed():
    """Other tests of the same process may have set one."""
    tf.random.set_seed(None)


def plain(value):
    """NumPy values as Python's, in the same structure."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        items = [plain(item) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
    return value


def elements(dataset):
    return [plain(element) for element in dataset.as_numpy_iterator()]


def spec(shape, dtype):
    return tf.TensorSpec(shape, dtype)


# Structures


@pytest.mark.parametrize(
    ("value", "slices"),
    [
        ([1, 2, 3], [1, 2, 3]),
        (([1, 2], [3, 4]), [(1, 3), (2, 4)]),
        ({"b": [1, 2], "a": [3.0, 4.0]}, [{"b": 1, "a": 3.0}, {"b": 2, "a": 4.0}]),
        (Pair([1, 2], [3, 4]), [Pair(1, 3), Pair(2, 4)]),
        (([1, 2], None), [(1, None), (2, None)]),
        (({"x": MATRIX}, (MATRIX, [1, 2, 3]))[1:], [(([2 * i, 2 * i + 1], i + 1),) for i in range(3)]),
        ([tf.constant([1]), tf.constant([2])], [[1], [2]]),
        (["a", "bc"], [b"a", b"bc"]),
        ([], []),
        ([True, False], [True, False]),
    ],
)
def test_slices_of_structures(value, slices):
    dataset = Dataset.from_tensor_slices(value)
    assert elements(dataset) == slices
    assert elements(dataset) == slices  # any number of times
    assert len(dataset) == len(slices)
    found = elements(dataset.map(lambda *parts: parts[0] if len(parts) == 1 else parts)) if slices else slices
    assert len(found) == len(slices)


def test_specs_and_types_of_structures():
    value = {"b": [1, 2], "a": (MATRIX[:2], None)}
    dataset = Dataset.from_tensor_slices(value)
    assert list(dataset.element_spec) == ["b", "a"]
    assert dataset.element_spec["b"] == spec((), tf.int32)
    assert dataset.element_spec["a"][0] == spec((2,), tf.float32)
    assert repr(dataset.element_spec["a"][1]) == "NoneTensorSpec()"
    assert Dataset.from_tensors([[1, 2], [3, 4]]).element_spec == spec((2, 2), tf.int32)
    assert Dataset.from_tensor_slices(Pair([1], [2.0])).element_spec == Pair(spec((), tf.int32), spec((), tf.float32))
    assert Dataset.from_tensors(3).cardinality().dtype is tf.int64
    assert (
        repr(Dataset.range(3).batch(2))
        == "<_BatchDataset element_spec=TensorSpec(shape=(None,), dtype=tf.int64, name=None)>"
    )
    assert type(next(Dataset.range(3).as_numpy_iterator())) is np.int64
    ordered = collections.OrderedDict([("b", [1]), ("a", [2])])
    assert isinstance(next(iter(Dataset.from_tensor_slices(ordered))), collections.OrderedDict)


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (3, "Unbatching a tensor is only supported for rank >= 1"),
        (([1, 2], [3, 4, 5]), "Dimensions 2 and 3 are not compatible"),
        ((), "should not be empty"),
    ],
)
def test_what_has_no_slices(value, error):
    with pytest.raises(ValueError, match=error):
        Dataset.from_tensor_slices(value)


def test_sparse_and_ragged_elements():
    ragged = tf.ragged.constant([[1, 2], [3]])
    assert [x.numpy().tolist() for x in Dataset.from_tensor_slices(ragged)] == [[1, 2], [3]]
    (whole,) = Dataset.from_tensor_slices(ragged).batch(2)
    assert whole.to_list() == [[1, 2], [3]]
    sparse = tf.sparse.from_dense([[1, 0], [0, 2]])
    dataset = Dataset.from_tensor_slices((sparse, [7, 8]))
    assert dataset.element_spec[0] == tf.SparseTensorSpec([2], tf.int32)
    assert [x.indices.numpy().tolist() for x, _ in dataset] == [[[0]], [[1]]]
    ((batch, labels),) = dataset.batch(2)
    assert tf.sparse.to_dense(batch).numpy().tolist() == [[1, 0], [0, 2]] and labels.numpy().tolist() == [7, 8]


# Iteration


def test_the_end():
    iterator = iter(Dataset.range(1))
    assert isinstance(iterator, tf.data.Iterator) and iter(iterator) is iterator
    assert iterator.get_next().numpy() == 0
    with pytest.raises(StopIteration):
        next(iterator)
    with pytest.raises(tf.errors.OutOfRangeError, match="End of sequence"):
        iterator.get_next()
    assert not iterator.get_next_as_optional().has_value()
    assert iterator.element_spec == spec((), tf.int64)
    assert bool(Dataset.range(0))


def test_optional():
    some = tf.experimental.Optional.from_value({"a": [1, 2], "b": (2.0,)})
    assert some.has_value().dtype is tf.bool and some.get_value()["a"].numpy().tolist() == [1, 2]
    assert some.element_spec == {"a": spec((2,), tf.int32), "b": (spec((), tf.float32),)}
    none = tf.experimental.Optional.empty(spec((), tf.float32))
    assert not none.has_value() and tf.type_spec_from_value(none) == tf.OptionalSpec(spec((), tf.float32))
    with pytest.raises(tf.errors.InvalidArgumentError, match="The given optional does not have a value"):
        none.get_value()
    assert tf.nest.flatten(none, expand_composites=True) == [none] and not tf.is_tensor(none)
    assert next(iter(Dataset.from_tensors(some))).get_value()["b"][0].numpy() == 2.0


def test_lengths():
    five = Dataset.range(5)
    sizes = {
        5: [five, five.map(lambda x: x), five.shuffle(2), five.prefetch(1), five.cache(), five.enumerate(), five.take(-1)],
        3: [five.batch(2), five.skip(2), Dataset.zip((five, Dataset.range(3)))],
        2: [five.batch(2, drop_remainder=True), five.take(2), five.shard(2, 1)],
        0: [five.repeat(0), five.skip(-1), five.take(0), five.batch(9, True)],
        10: [five.repeat(2), five.concatenate(five)],
        -1: [five.repeat(), five.repeat(-3), five.repeat().batch(2)],
        -2: [five.filter(lambda x: x > 1), five.flat_map(Dataset.range), five.batch(2).unbatch()],
    }
    for size, datasets in sizes.items():
        for dataset in datasets:
            assert dataset.cardinality().numpy() == size, dataset
            if size >= 0:
                assert len(dataset) == size == len(elements(dataset))
    assert Dataset.from_tensors(MATRIX).unbatch().cardinality() == 3
    with pytest.raises(TypeError, match="The dataset is infinite"):
        len(five.repeat())
    with pytest.raises(TypeError, match="The dataset length is unknown"):
        len(five.filter(lambda x: x > 1))


# Transformations


def test_choices():
    five = Dataset.range(5)
    assert (
        elements(Dataset.range(5, 0, -2)) == [5, 3, 1]
        and Dataset.range(5, output_type=tf.float32).element_spec.dtype == tf.float32
    )
    assert elements(five.take(-1)) == elements(five.take(-2)) == elements(five.take(9)) == [0, 1, 2, 3, 4]
    assert elements(five.skip(2)) == [2, 3, 4] and elements(five.skip(9)) == elements(five.repeat(0)) == []
    assert elements(five.take(2).repeat(2)) == [0, 1, 0, 1] and elements(five.repeat().take(7)) == [0, 1, 2, 3, 4, 0, 1]
    assert elements(Dataset.range(10).shard(3, 1)) == [1, 4, 7]
    assert elements(five.filter(lambda x: x % 2 == 0)) == [0, 2, 4]
    assert elements(five.concatenate(Dataset.range(2))) == [0, 1, 2, 3, 4, 0, 1]
    assert Dataset.from_tensors(MATRIX).concatenate(Dataset.from_tensors(MATRIX[:1])).element_spec == spec(
        (None, 2), tf.float32
    )
    assert elements(Dataset.zip({"a": five, "b": Dataset.range(2)})) == [{"a": 0, "b": 0}, {"a": 1, "b": 1}]
    assert elements(Dataset.zip(five, (five, Dataset.range(1)))) == [(0, (0, 0))]
    assert elements(Dataset.from_tensor_slices(["a", "b"]).enumerate(5)) == [(5, b"a"), (6, b"b")]
    assert elements(five.apply(lambda d: d.take(1))) == [0]
    cached = five.cache()
    assert elements(cached.take(2)) == [0, 1] and elements(cached) == elements(cached) == [0, 1, 2, 3, 4]


def test_batches():
    five = Dataset.range(5)
    assert elements(five.batch(2)) == [[0, 1], [2, 3], [4]] and elements(five.batch(2, drop_remainder=True)) == [
        [0, 1],
        [2, 3],
    ]
    assert five.batch(2).element_spec == spec((None,), tf.int64)
    assert five.batch(2, drop_remainder=True).element_spec == spec((2,), tf.int64)
    assert elements(five.batch(2).batch(2, True)) == [[[0, 1], [2, 3]]]
    assert elements(five.batch(tf.constant(2, tf.int64)).unbatch()) == [0, 1, 2, 3, 4]
    pairs = Dataset.from_tensor_slices(({"x": MATRIX}, [1, 2, 3], None))
    assert elements(pairs.batch(2))[0] == ({"x": [[0.0, 1.0], [2.0, 3.0]]}, [1, 2], None)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"\[tensor\]: \[3\], \[batch\]: \[2\]"):
        elements(Dataset.from_tensor_slices([2, 3]).map(lambda n: tf.ones([n])).batch(2))
    with pytest.raises(tf.errors.InvalidArgumentError, match="Batch size must be greater than zero"):
        five.batch(0)
    with pytest.raises(TypeError):
        five.batch(2.5)
    with pytest.raises(ValueError, match="Cannot unbatch an input with scalar components"):
        five.unbatch()


@pytest.mark.parametrize(
    ("function", "first", "specs"),
    [
        (lambda x: (x, x + 1), (0, 1), (spec((), tf.int64), spec((), tf.int64))),
        (lambda x: [x, x + 1], (0, 1), (spec((), tf.int64), spec((), tf.int64))),
        (lambda x: {"a": x}, {"a": 0}, {"a": spec((), tf.int64)}),
        (lambda x: Pair(x, 2.5), Pair(0, 2.5), Pair(spec((), tf.int64), spec((), tf.float32))),
        (lambda x: "s", b"s", spec((), tf.string)),
        (lambda x: np.float64(2), 2.0, spec((), tf.float64)),
        (lambda x: x if x > 2 else -x, 0, spec((), tf.int64)),
    ],
)
def test_results_of_map(function, first, specs):
    dataset = Dataset.range(3).map(function, num_parallel_calls=tf.data.AUTOTUNE)
    assert dataset.element_spec == specs
    assert elements(dataset)[0] == first


def test_arguments_of_map():
    assert elements(Dataset.from_tensor_slices(([1], [2])).map(lambda a, b: a + b)) == [3]
    assert elements(Dataset.from_tensor_slices({"a": [1], "b": [2]}).map(lambda d: d["a"] + d["b"])) == [3]
    assert elements(Dataset.range(2).map(lambda x: Pair(x, x + 1)).map(lambda p: p.x + p.y)) == [1, 3]
    assert elements(Dataset.from_tensor_slices(([1, 2],)).map(lambda x: x)) == [1, 2]
    # The spec is known without running on an element: the size of a batch varies.
    assert Dataset.range(4).batch(2).map(lambda x: tf.cast(x, tf.float32)).element_spec == spec((None,), tf.float32)
    assert elements(Dataset.range(4).flat_map(Dataset.range)) == [0, 0, 1, 0, 1, 2]
    with pytest.raises(TypeError, match="Unsupported return value"):
        next(iter(Dataset.range(1).map(lambda x: {1, 2})))
    with pytest.raises(TypeError, match="must return a `Dataset` object"):
        next(iter(Dataset.range(1).flat_map(lambda x: x)))
    with pytest.raises(ValueError, match=r"must return a `tf\.bool` scalar tensor"):
        next(iter(Dataset.range(1).filter(lambda x: x)))


def test_reduce_and_single_elements():
    five = Dataset.range(5)
    assert five.reduce(np.int64(0), lambda s, x: s + x).numpy() == 10
    state = five.enumerate().reduce({"n": np.int64(0)}, lambda s, pair: {"n": s["n"] + pair[0] * pair[1]})
    assert state["n"].numpy() == 30
    assert Dataset.range(0).reduce(np.int64(7), lambda s, x: s + x).numpy() == 7
    with pytest.raises(tf.errors.InvalidArgumentError):
        five.reduce(0, lambda s, x: (s, s))
    with pytest.raises(TypeError, match="element types for the new state"):
        five.reduce(0, lambda s, x: x)
    assert Dataset.from_tensors((3, {"a": 4})).get_single_element()[1]["a"].numpy() == 4
    with pytest.raises(tf.errors.InvalidArgumentError, match="more than one element"):
        five.get_single_element()
    with pytest.raises(tf.errors.InvalidArgumentError, match="Dataset was empty"):
        five.take(0).get_single_element()


# Shuffling: the orders are TensorFlow's own


@pytest.mark.parametrize(
    ("count", "buffer", "seed", "order"),
    [
        (10, 10, 42, [5, 9, 6, 4, 7, 1, 2, 8, 3, 0]),
        (12, 4, 7, [0, 4, 2, 3, 5, 6, 1, 9, 8, 10, 7, 11]),
        (12, 100, 0, [0, 2, 10, 5, 9, 8, 4, 7, 1, 6, 3, 11]),
        (12, 100, -3, [4, 11, 7, 10, 2, 3, 6, 5, 8, 0, 1, 9]),
        (5, 1, None, [0, 1, 2, 3, 4]),
    ],
)
def test_order_of_shuffle(count, buffer, seed, order):
    assert elements(Dataset.range(count).shuffle(buffer, seed)) == order
    assert elements(Dataset.range(count).map(lambda x: x).shuffle(buffer, seed)) == order
    batches = Dataset.range(count).shuffle(buffer, seed).batch(count)
    assert elements(batches) == [order]


def test_order_of_repeated_shuffles():
    six = Dataset.range(6)
    again = six.shuffle(6, seed=5)
    assert [elements(again) for _ in range(3)] == [[1, 2, 5, 0, 3, 4], [2, 1, 5, 4, 0, 3], [5, 3, 0, 4, 1, 2]]
    same = six.shuffle(6, seed=5, reshuffle_each_iteration=False)
    assert [elements(same) for _ in range(2)] == [[1, 5, 2, 0, 4, 3]] * 2
    five = Dataset.range(5)
    assert elements(five.shuffle(5, seed=1).repeat(3)) == [0, 4, 3, 1, 2, 3, 1, 0, 4, 2, 0, 1, 3, 4, 2]
    assert elements(five.repeat(2).shuffle(3, seed=1)) == [1, 3, 0, 0, 2, 1, 2, 3, 4, 4]
    assert elements(Dataset.range(3).repeat().shuffle(4, seed=3).take(12)) == [0, 0, 2, 1, 1, 1, 0, 0, 2, 2, 1, 0]


def test_order_follows_the_global_seed():
    six = Dataset.range(6)
    try:
        for _ in range(2):
            tf.random.set_seed(11)
            assert [elements(six.shuffle(6)) for _ in range(2)] == [[5, 2, 0, 3, 1, 4], [3, 2, 5, 0, 1, 4]]
        tf.random.set_seed(11)
        assert [elements(six.shuffle(6, seed=4)) for _ in range(2)] == [[1, 4, 3, 5, 0, 2]] * 2
        tf.random.set_seed(11)
        dataset = six.shuffle(6)
        assert [elements(dataset) for _ in range(2)] == [[5, 2, 0, 3, 1, 4], [2, 5, 4, 3, 1, 0]]
    finally:
        tf.random.set_seed(None)
    large = Dataset.range(1000)
    assert elements(large.shuffle(1000)) != elements(large.shuffle(1000))
    assert sorted(elements(large.shuffle(10))) == elements(large)


# Generators


def test_generators():
    def pairs():
        for i in range(3):
            yield i, [float(i)] * 2

    signature = (spec((), tf.int32), spec((None,), tf.float32))
    dataset = Dataset.from_generator(pairs, output_signature=signature)
    assert dataset.element_spec == signature and dataset.cardinality() == -2
    assert elements(dataset) == elements(dataset) == [(0, [0.0, 0.0]), (1, [1.0, 1.0]), (2, [2.0, 2.0])]
    by_types = Dataset.from_generator(pairs, (tf.int32, tf.float32), ((), (2,)))
    assert by_types.element_spec == (spec((), tf.int32), spec((2,), tf.float32)) and elements(by_types) == elements(dataset)
    assert Dataset.from_generator(pairs, (tf.int32, tf.float32)).element_spec[0].shape.rank is None
    assert elements(Dataset.from_generator(lambda n: iter(range(n)), args=(3,), output_signature=spec((), tf.int32))) == [
        0,
        1,
        2,
    ]
    assert elements(Dataset.from_generator(lambda: [1, 2], output_signature=spec((), tf.float64))) == [1.0, 2.0]


def test_errors_of_generators():
    def failing():
        yield 1
        raise ZeroDivisionError("boom")

    whole = spec((), tf.int32)
    with pytest.raises(tf.errors.UnknownError, match="ZeroDivisionError: boom"):
        elements(Dataset.from_generator(failing, output_signature=whole))
    for bad, text in (
        ("a", "could not be converted to the expected type"),
        ((1, 2), r"shape \(2,\) where an element of shape \(\)"),
    ):
        with pytest.raises(tf.errors.InvalidArgumentError, match=text):
            elements(Dataset.from_generator(lambda bad=bad: iter([bad]), output_signature=whole))
    with pytest.raises(TypeError, match="must be a Python callable"):
        Dataset.from_generator(failing(), output_signature=whole)
    with pytest.raises(TypeError, match="`output_signature` argument or the `output_types`"):
        Dataset.from_generator(failing)


# Options


def test_options():
    options = tf.data.Options()
    options.deterministic = False
    options.autotune.enabled = True
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    options.experimental_external_state_policy = tf.data.experimental.ExternalStatePolicy.IGNORE
    dataset = Dataset.range(3).with_options(options).map(lambda x: x)
    assert dataset.options() == options and elements(dataset) == [0, 1, 2]
    more = tf.data.Options()
    more.threading.private_threadpool_size = 3
    both = dataset.with_options(more).options()
    assert (both.deterministic, both.autotune.enabled, both.threading.private_threadpool_size) == (False, True, 3)
    assert dataset.options().threading.private_threadpool_size is None
    assert tf.data.Options().experimental_distribute.auto_shard_policy == tf.data.experimental.AutoShardPolicy.AUTO
    with pytest.raises(AttributeError, match="Cannot set the property foo on Options"):
        options.foo = 1
    with pytest.raises(TypeError, match='Property "deterministic" must be of type'):
        options.deterministic = "x"
    with pytest.raises(AttributeError, match="has no attribute 'foo'"):
        _ = options.autotune.foo


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: Dataset.range(), "should be between 1 and 3 but was 0"),
        (lambda: Dataset.range(1, 5, 0), "step must be a non-zero integer"),
        (lambda: Dataset.range(5).shuffle(0), "buffer_size must be greater than zero or UNKNOWN_CARDINALITY"),
        (lambda: Dataset.range(5).prefetch(-5), "buffer_size must be >= 0"),
        (lambda: Dataset.range(5).shard(3, 3), r"Index must be between 0 and 2 \(currently index = 3\)"),
        (lambda: Dataset.range(5).shard(0, 0), "Number of shards must be greater than zero"),
        (lambda: Dataset.range(5).concatenate(Dataset.from_tensors(1.0)), "Incompatible dataset elements"),
        (lambda: Dataset.range(5).concatenate(Dataset.from_tensors((1, 2))), "Incompatible dataset elements"),
        (lambda: Dataset.zip([Dataset.range(5)]), "Python `list` is not supported"),
        (lambda: Dataset.zip((Dataset.range(5), 3)), "encountered object of type <class 'int'>"),
        (lambda: Dataset.zip(), "at least one dataset"),
        (lambda: Dataset.range(5).apply(lambda d: 3), "must return a `tf.data.Dataset` object"),
        (lambda: Dataset.from_tensors(Dataset.range(5)).as_numpy_iterator(), "is not supported for datasets that produce"),
        (lambda: Dataset.range(5).with_options(3), "must be a tf.data.Options"),
    ],
)
def test_refused(make, error):
    with pytest.raises((ValueError, TypeError, tf.errors.InvalidArgumentError), match=error):
        make()


def test_a_function_that_is_much_work_runs_as_native_code_with_the_same_bits_everywhere():
    images = np.random.default_rng(0).integers(0, 256, (7, 32, 32, 3), np.uint8)

    def standardised(image):
        x = tf.cast(image, tf.float32) / 255.0
        return (x - tf.reduce_mean(x, (0, 1))) * tf.math.rsqrt(tf.math.reduce_variance(x, (0, 1)) + 1e-5)

    dataset = Dataset.from_tensor_slices(images)
    assert dataset.map(standardised)._function._run is not plan_of(dataset.map(standardised)._function._graph)
    wanted = [np.asarray(x) for x in dataset.map(standardised)]
    for x, image in zip(wanted, images, strict=True):
        np.testing.assert_allclose(x, standardised(image), rtol=1e-5, atol=1e-5)
    for again in (
        dataset.map(standardised),
        dataset.map(standardised, num_parallel_calls=3),
        dataset.map(standardised).batch(3).unbatch(),
        dataset.skip(0).map(standardised).prefetch(2),
    ):
        for _ in range(2):
            assert [x.numpy().tobytes() for x in again] == [x.tobytes() for x in wanted]


def test_small_functions_and_those_of_unknown_shapes_are_not_compiled():
    def function(x):
        return tf.exp(x) - tf.reduce_sum(x) * tf.sin(x) + tf.reduce_max(x) * 2.0 - 1.0

    for spec in (tf.TensorSpec([10], tf.float32), tf.TensorSpec([None], tf.float32), tf.TensorSpec(None, tf.float32)):
        dataset = Dataset.from_generator(lambda: iter([np.ones(10, "f")]), output_signature=spec)
        mapped = dataset.map(function)._function
        assert mapped._run is plan_of(mapped._graph)


def test_errors_of_native_code_name_the_element():
    rows = np.zeros((3, 4000), np.int32)
    rows[1, 7] = 4000

    def function(x):
        y = tf.gather(x, x) + tf.reduce_sum(x) * 2
        return y * y + tf.reduce_max(y) - 3

    iterator = iter(Dataset.from_tensor_slices(rows).map(function))
    next(iterator)
    with pytest.raises(tf.errors.InvalidArgumentError, match="(?s)4000.*element 1 of Dataset.map"):
        next(iterator)
    assert next(iterator).shape == [4000]


def test_errors_leave_zipped_elements_beside_each_other():
    failing = Dataset.range(4).map(lambda x: x + 60 // (x - 1) * 0)

    def given(*datasets):
        found, iterator = [], iter(Dataset.zip(datasets))
        while len(found) < 9:
            try:
                found.append(tuple(map(int, next(iterator))))
            except StopIteration:
                return found
            except tf.errors.InvalidArgumentError:
                found.append(None)
        return found

    assert given(failing, Dataset.range(9)) == given(Dataset.range(9), failing) == [(0, 0), None, (2, 2), (3, 3)]
    assert given(failing, failing.skip(1)) == [None, None, (2, 3)]
    assert given(failing, Dataset.range(1)) == [(0, 0), None]
    assert given(Dataset.range(1), failing) == [(0, 0)]


def test_a_dropped_batch_may_fail():
    dataset = Dataset.range(3).map(lambda x: 60 // (x - 2)).batch(2, drop_remainder=True)
    iterator = iter(dataset)
    assert next(iterator).numpy().tolist() == [-30, -60]
    with pytest.raises(tf.errors.InvalidArgumentError, match="element 2 of"):
        next(iterator)
    assert next(iterator, None) is None


def test_random_ops_go_on_within_an_iteration_and_are_apart_in_two_places():
    """The numbers are TensorFlow's."""
    dataset = Dataset.range(2).map(lambda x: tf.random.uniform([], maxval=100, dtype=tf.int64, seed=5))

    def given(made):
        return [tf.nest.map_structure(int, element) for element in made]

    six = [35, 76, 78, 64, 73, 74]
    assert given(dataset) == given(dataset) == six[:2]
    assert given(dataset.repeat(3)) == given(Dataset.range(3).flat_map(lambda x: dataset)) == six
    assert given(Dataset.range(2).interleave(lambda x: dataset, cycle_length=2)) == six[:4]
    assert given(dataset.concatenate(dataset)) == six[:2] * 2
    assert given(Dataset.zip((dataset, dataset.take(2)))) == [(35, 35), (76, 76)]
    first, second = iter(dataset), iter(dataset)
    assert [int(next(x)) for x in (first, second, first, second)] == [35, 35, 76, 76]
    assert sorted(given(dataset.repeat(3).map(lambda x: x, num_parallel_calls=3))) == sorted(six)


def test_a_dropped_batch_of_mapped_elements_of_different_shapes_fails():
    rows = Dataset.range(2).map(lambda x: tf.range(x + 1))
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"\[2\].*\[1\]"):
        list(rows.batch(3, drop_remainder=True))
    assert list(rows.filter(lambda x: True).batch(3, drop_remainder=True)) == []
    assert int(Dataset.from_tensors(tf.zeros([0, 2])).unbatch().cardinality()) == tf.data.UNKNOWN_CARDINALITY


def test_ragged_batches_have_the_ragged_rank_that_their_spec_says():
    for shape in ([None, 2], [None, None], [2, None], [None, None, 3]):
        rows = [np.zeros([i + 1 if n is None else n for n in shape], np.float32) for i in range(3)]
        dataset = Dataset.from_generator(
            lambda rows=rows: iter(rows), output_signature=tf.TensorSpec(shape, tf.float32)
        ).ragged_batch(3)
        (batch,) = dataset
        assert batch.ragged_rank == dataset.element_spec.ragged_rank
        assert batch.shape.is_compatible_with([3, *shape])
        assert [row.shape.as_list() for row in batch.to_tensor()] and batch.to_list() == [row.tolist() for row in rows]


def test_a_pass_of_errors_alone_ends_an_endless_repetition():
    def failing(count, bad):
        return Dataset.range(count).map(lambda x: 60 // (x - bad))

    def given(dataset):
        found, iterator = [], iter(dataset)
        while len(found) < 5:
            try:
                found.append(int(next(iterator)))
            except StopIteration:
                break
            except tf.errors.InvalidArgumentError:
                found.append(None)
        return found

    assert given(failing(1, 0).repeat()) == [None]
    assert given(failing(1, 0).repeat(3)) == [None, None, None]
    assert given(failing(2, 0).repeat()) == [None, 60, None, 60, None]
