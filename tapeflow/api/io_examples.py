"""Serialized `tf.train.Example` messages as tensors: `tf.io.parse_example` and its kin."""

from tapeflow.api.export import export
from tapeflow.api.io_feature_values import results
from tapeflow.api.io_features import Plan
from tapeflow.base.dtypes import string
from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.primitive import P


def _checked(features):
    if features is None:
        raise ValueError("Invalid argument: features cannot be None.")
    if not features:
        raise ValueError("Invalid argument: features cannot be empty.")
    return features


def _names(names):
    return convert_to_tensor([] if names is None else names, string)


def _parsed(serialized, features, names):
    plan = Plan(_checked(features))
    arrays = iter(P.parse_example(serialized, names, columns=tuple(plan.columns)))
    batched = serialized.dims is not None and len(serialized.dims) == 1
    groups = [_group(column, arrays, batched) for column in plan.columns]
    return results(plan, groups, batched)


def _group(column, arrays, batched, in_list=False):
    """The arrays that one column gives."""
    match column.kind:
        case "sparse":
            count = 3
        case "ragged":
            count = 1 + batched + in_list
        case "sequence":
            count = 1 + (batched and in_list)
        case _:
            count = 1
    return [next(arrays) for _ in range(count)]


@export("io.parse_example")
def parse_example(serialized, features, example_names=None, name=None):
    """The features of serialized `tf.train.Example` messages.

    Args:
        serialized: a vector of strings; a scalar is parsed as `parse_single_example` does.
        features: {key: feature}, of `FixedLenFeature`, `VarLenFeature`, `SparseFeature`, `RaggedFeature` and
            `FixedLenSequenceFeature`.
        example_names: the names of the examples, for messages.

    Returns:
        {key: tensor}, dense, sparse or ragged; the examples are the first axis.

    Raises:
        InvalidArgumentError: bytes that are no example, a missing feature, or one of another type or size.
        ValueError: features that are none.

    Example:
        >>> import tapeflow as tf
        >>> T = tf.train
        >>> feature = T.Feature(int64_list=T.Int64List(value=[1, 2]))
        >>> example = T.Example(features=T.Features(feature={"a": feature})).SerializeToString()
        >>> tf.io.parse_example([example, example], {"a": tf.io.FixedLenFeature([2], tf.int64)})["a"].numpy().tolist()
        [[1, 2], [1, 2]]
    """
    return _parsed(convert_to_tensor(serialized, string), features, _names(example_names))


@export("io.parse_single_example")
def parse_single_example(serialized, features, example_names=None, name=None):
    """The features of one serialized `tf.train.Example` message; see `parse_example`.

    Args:
        serialized: a scalar string.

    Raises:
        ValueError: no scalar.

    Example:
        >>> import tapeflow as tf
        >>> T = tf.train
        >>> feature = T.Feature(bytes_list=T.BytesList(value=[b"x"]))
        >>> example = T.Example(features=T.Features(feature={"a": feature})).SerializeToString()
        >>> tf.io.parse_single_example(example, {"a": tf.io.FixedLenFeature([], tf.string)})["a"].numpy()
        b'x'
    """
    _checked(features)
    serialized = convert_to_tensor(serialized, string)
    if serialized.dims != ():
        if serialized.dims is not None:
            raise ValueError("Input serialized must be a scalar")
        serialized = P.ensure_shape(serialized, shape=())
    return _parsed(serialized, features, _names(example_names))


def _sequences(serialized, context_features, sequence_features, names):
    if not context_features and not sequence_features:
        raise ValueError(
            "Both `context_features` and `sequence_features` argument are None, but at least one should have values."
        )
    context, lists = Plan(context_features or {}), Plan(sequence_features or {}, in_list=True)
    batched = serialized.dims is not None and len(serialized.dims) == 1
    arrays = iter(P.parse_sequence_example(serialized, names, context=tuple(context.columns), lists=tuple(lists.columns)))
    found = [_group(column, arrays, batched) for column in context.columns]
    steps = [_group(column, arrays, batched, in_list=True) for column in lists.columns]
    lengths = {}
    if batched:
        for key, (_, (place, *_)) in lists.parts.items():
            if lists.columns[place].kind == "sequence":
                lengths[key] = steps[place][1]
    return results(context, found, batched), results(lists, steps, batched), lengths


@export("io.parse_sequence_example")
def parse_sequence_example(serialized, context_features=None, sequence_features=None, example_names=None, name=None):
    """The features of serialized `tf.train.SequenceExample` messages: a context, and lists with a feature for each step.

    Args:
        serialized: a vector of strings.
        context_features: {key: feature} of the context, as in `parse_example`.
        sequence_features: {key: feature} of the lists: `VarLenFeature`, `RaggedFeature` or `FixedLenSequenceFeature` (the
            shape of a step).
        example_names: the names of the examples, for messages.

    Returns:
        Three dicts: the context, the lists (steps are the axis behind the examples), and for each list of a
        `FixedLenSequenceFeature` how many steps each example has.

    Raises:
        InvalidArgumentError: bytes that are no example, a missing feature, or one of another type or size.
        ValueError: no features at all.

    Example:
        >>> import tapeflow as tf
        >>> example = tf.train.SequenceExample()
        >>> for step in ([1], [2, 3]):
        ...     example.feature_lists.feature_list["a"].feature.add().int64_list.value.extend(step)
        >>> _, lists, _ = tf.io.parse_sequence_example(
        ...     [example.SerializeToString()], sequence_features={"a": tf.io.RaggedFeature(tf.int64)}
        ... )
        >>> lists["a"].to_list()
        [[[1], [2, 3]]]
    """
    serialized = convert_to_tensor(serialized, string)
    return _sequences(serialized, context_features, sequence_features, _names(example_names))


@export("io.parse_single_sequence_example")
def parse_single_sequence_example(serialized, context_features=None, sequence_features=None, example_name=None, name=None):
    """The features of one serialized `tf.train.SequenceExample` message; see `parse_sequence_example`.

    Returns:
        Two dicts: the context and the lists.

    Example:
        >>> import tapeflow as tf
        >>> example = tf.train.SequenceExample()
        >>> example.context.feature["c"].int64_list.value.append(7)
        >>> context, _ = tf.io.parse_single_sequence_example(
        ...     example.SerializeToString(), {"c": tf.io.FixedLenFeature([], tf.int64)}
        ... )
        >>> int(context["c"])
        7
    """
    serialized = convert_to_tensor(serialized, string)
    if serialized.dims != ():
        if serialized.dims is not None:
            raise ValueError("Input serialized must be a scalar")
        serialized = P.ensure_shape(serialized, shape=())
    names = _names(None if example_name is None else [example_name])
    return _sequences(serialized, context_features, sequence_features, names)[:2]
