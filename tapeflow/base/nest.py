"""`tf.nest`: takes nested structures apart into flat lists of leaves, and puts them together again.

`nest_kinds` says what a structure is. Besides the five functions of `tf.nest` there are those of TensorFlow's internal
module which libraries use: paths to leaves, and flattening no deeper than a shallower structure goes.
"""

from collections.abc import Mapping

from tapeflow.base.nest_kinds import COMPOSITE, EXPANDED, PLAIN, SPEC, is_namedtuple_class


def is_nested(structure):
    """Whether `structure` is a structure, not an atom.

    Example:
        >>> is_nested([1, 2]), is_nested({}), is_nested("ab"), is_nested({1, 2})
        (True, True, False, False)
    """
    return PLAIN[type(structure)] is not None


def is_nested_or_composite(structure):
    """Whether `structure` is a structure under `expand_composites=True`."""
    return EXPANDED[type(structure)] is not None


def is_namedtuple(value):
    """Whether `value` is an instance of a namedtuple class, or of a subclass of one."""
    return is_namedtuple_class(type(value))


def same_namedtuples(a, b):
    """Whether two namedtuples have the same class name and fields; such classes count as the same."""
    return type(a).__name__ == type(b).__name__ and a._fields == b._fields


def flatten(structure, expand_composites=False):
    """The leaves of `structure`, as a list; an atom gives a list of itself.

    Args:
        structure: an atom or a structure; the values of a mapping come in the order of its sorted keys.
        expand_composites: whether composites, such as sparse and ragged tensors, are taken apart into their tensors.

    Raises:
        TypeError: the keys of a mapping cannot be sorted.

    Example:
        >>> flatten({"b": [1, (2, 3)], "a": 4}), flatten(5)
        ([4, 1, 2, 3], [5])
    """
    kinds = EXPANDED if expand_composites else PLAIN
    kind = kinds[type(structure)]
    if kind is None:
        return [structure]
    leaves = []
    _collect(structure, kind, kinds, leaves)
    return leaves


def _collect(structure, kind, kinds, leaves):
    for branch in kind.values(structure):
        branch_kind = kinds[type(branch)]
        if branch_kind is None:
            leaves.append(branch)
        else:
            _collect(branch, branch_kind, kinds, leaves)


def pack_sequence_as(structure, flat_sequence, expand_composites=False):
    """A structure like `structure`, with the leaves of `flat_sequence`: what `flatten` undoes.

    Args:
        structure: an atom or a structure; its leaves do not matter.
        flat_sequence: the leaves, in the order in which `flatten` gives them.
        expand_composites: whether composites are put together from their tensors.

    Raises:
        TypeError: `flat_sequence` is an atom.
        ValueError: there are too few leaves or too many.

    Example:
        >>> pack_sequence_as({"b": [0, (0, 0)], "a": 0}, [4, 1, 2, 3])
        {'b': [1, (2, 3)], 'a': 4}
    """
    kinds = EXPANDED if expand_composites else PLAIN
    if kinds[type(flat_sequence)] is None:
        raise TypeError(
            f"Attempted to pack value:\n  {_shorten(flat_sequence)}\ninto a structure, but found incompatible type "
            f"`{type(flat_sequence)}` instead."
        )
    count = len(flat_sequence)
    kind = kinds[type(structure)]
    if kind is None:
        if count != 1:
            raise ValueError(
                f"The target structure is of type `{type(structure)}`\n  {_shorten(structure)}\nHowever the input is a "
                f"sequence ({type(flat_sequence)}) of length {count}.\n  {_shorten(flat_sequence)}\nnest cannot "
                "guarantee that it is safe to map one to the other."
            )
        return flat_sequence[0]
    leaves = iter(flat_sequence if isinstance(flat_sequence, list) else [flat_sequence[i] for i in range(count)])
    try:
        packed = _pack(structure, kind, kinds, leaves)
    except StopIteration:
        raise _wrong_count(structure, flat_sequence, expand_composites) from None
    if next(leaves, _END) is not _END:
        raise _wrong_count(structure, flat_sequence, expand_composites)
    return packed


_END = object()


def _pack(structure, kind, kinds, leaves):
    branches = []
    for branch in kind.values(structure):
        branch_kind = kinds[type(branch)]
        branches.append(next(leaves) if branch_kind is None else _pack(branch, branch_kind, kinds, leaves))
    return kind.rebuild(structure, branches)


def _wrong_count(structure, flat_sequence, expand_composites):
    return ValueError(
        f"Could not pack sequence. Structure had {len(flatten(structure, expand_composites))} atoms, but flat_sequence "
        f"had {len(flat_sequence)} items.  Structure: {structure}, flat_sequence: {flat_sequence}."
    )


def _shorten(value, length=100):
    text = str(value)
    return text if len(text) <= length else text[:length] + "..."


def map_structure(func, *structure, check_types=True, expand_composites=False, **unknown):
    """A structure like the first one, with `func` of the corresponding leaves of all as its leaves.

    Args:
        func: called with one leaf of each structure, in the order of `flatten`.
        *structure: one or more atoms or structures of the same shape.
        check_types: whether corresponding structures must be of the same type; see `assert_same_structure`.
        expand_composites: whether composites are taken apart, and put together again.

    Raises:
        TypeError: `func` cannot be called, or types differ while `check_types` is true.
        ValueError: no structure is given, or they differ.

    Example:
        >>> map_structure(lambda x, y: x + y, {"a": 1, "b": (2, 3)}, {"a": 10, "b": (20, 30)})
        {'a': 11, 'b': (22, 33)}
    """
    if not callable(func):
        raise TypeError(f"func must be callable, got: {func}")
    if not structure:
        raise ValueError("Must provide at least one structure")
    if unknown:
        names = "`, `".join(unknown)
        raise ValueError(f"Only valid keyword arguments are `check_types` and `expand_composites`, not: `{names}`")
    first = structure[0]
    if len(structure) == 1:
        kinds = EXPANDED if expand_composites else PLAIN
        kind = kinds[type(first)]
        return func(first) if kind is None else _map_leaves(func, first, kind, kinds)
    for other in structure[1:]:
        assert_same_structure(first, other, check_types, expand_composites)
    rows = zip(*[flatten(s, expand_composites) for s in structure], strict=True)
    return pack_sequence_as(first, [func(*row) for row in rows], expand_composites)


def _map_leaves(func, structure, kind, kinds):
    branches = []
    for branch in kind.values(structure):
        branch_kind = kinds[type(branch)]
        branches.append(func(branch) if branch_kind is None else _map_leaves(func, branch, branch_kind, kinds))
    return kind.rebuild(structure, branches)


def assert_same_structure(nest1, nest2, check_types=True, expand_composites=False):
    """Raises unless the two are nested in the same way; leaves are not compared.

    Args:
        nest1, nest2: atoms or structures.
        check_types: whether corresponding structures must be of the same type, and mappings have the same keys. Any two
            lists, any two mappings, and namedtuples of the same name and fields, count as the same type.
        expand_composites: whether composites are compared too, by their specs.

    Raises:
        ValueError: the nesting, the number of branches or the keys differ.
        TypeError: types differ while `check_types` is true.

    Example:
        >>> assert_same_structure([1, (2, 3)], ["a", ("b", "c")])
    """
    kinds = EXPANDED if expand_composites else PLAIN
    found = _difference(nest1, nest2, bool(check_types), kinds)
    if found is None:
        return
    exception, text = found
    drawn = [map_structure(lambda _: _DOT, nest) for nest in (nest1, nest2)]
    raise exception(
        "The two structures don't have the same nested structure.\n\n"
        f"First structure: {_describe(nest1)}\n\nSecond structure: {_describe(nest2)}\n\nMore specifically: {text}\n"
        f"Entire first structure:\n{drawn[0]}\nEntire second structure:\n{drawn[1]}"
    )


class _Dot:
    """Stands for each leaf where a message shows how something is nested."""

    def __repr__(self):
        return "."


_DOT = _Dot()


def _describe(value):
    return f"type={type(value).__name__} str={value!s}"


def _difference(a, b, check_types, kinds):
    """The exception class and text of the first difference between `a` and `b`, or None."""
    kind_a, kind_b = kinds[type(a)], kinds[type(b)]
    if kind_a is None and kind_b is None:
        return None
    if kind_a is None or kind_b is None:
        nested, atom = (a, b) if kind_b is None else (b, a)
        text = f'Substructure "{_describe(nested)}" is a sequence, while substructure "{_describe(atom)}" is not'
        return ValueError, text
    found = _type_difference(a, b, kinds) if check_types else None
    if found is None and COMPOSITE in (kind_a, kind_b):
        found = _spec_difference(a, b, kinds)
    if found is not None:
        return found
    branches_a, branches_b = list(kind_a.values(a)), list(kind_b.values(b))
    for x, y in zip(branches_a, branches_b, strict=False):  # a difference further in is told before one in length
        found = _difference(x, y, check_types, kinds)
        if found is not None:
            return found
    if len(branches_a) != len(branches_b):
        text = (
            "The two structures don't have the same number of elements. "
            f"First structure: {_describe(a)}. Second structure: {_describe(b)}"
        )
        return ValueError, text
    return None


def _type_difference(a, b, kinds):
    """The exception class and text where two structures do not count as the same type, or None."""
    word, same = "structures", type(a) is type(b) or _alike(a, b, kinds)
    if not same and is_namedtuple(a) and is_namedtuple(b):
        word, same = "namedtuples", same_namedtuples(a, b)
    if not same:
        return TypeError, (
            f"The two {word} don't have the same sequence type. First structure {_describe(a)} has type "
            f"{type(a).__name__}, while second structure {_describe(b)} has type {type(b).__name__}"
        )
    if isinstance(a, Mapping) and set(a) != set(b):
        return ValueError, (
            "The two dictionaries don't have the same set of keys. First structure has keys "
            f"{_describe(list(a))}, while second structure has keys {_describe(list(b))}"
        )
    return None


def _alike(a, b, kinds):
    """Whether both are lists, or mappings, or composites or specs of them: kinds whose types may differ."""
    expanded = (COMPOSITE, SPEC)
    if kinds[type(a)] in expanded:
        return kinds[type(b)] in expanded
    return any(isinstance(a, base) and isinstance(b, base) for base in (list, Mapping))


def _spec_difference(a, b, kinds):
    """The exception class and text where no spec describes both `a` and `b`, at least one of which is a composite."""
    specs = {COMPOSITE: lambda value: value._type_spec, SPEC: lambda value: value}
    pair = []
    for value in (a, b):
        spec_of = specs.get(kinds[type(value)])
        if spec_of is None:
            return ValueError, f"Incompatible CompositeTensor TypeSpecs: {_describe(a)} vs. {_describe(b)}"
        pair.append(spec_of(value)._without_tensor_names())
    if pair[0].most_specific_common_supertype([pair[1]]) is None:
        return ValueError, f"Incompatible CompositeTensor TypeSpecs: {_describe(pair[0])} vs. {_describe(pair[1])}"
    return None


def yield_flat_paths(nest, expand_composites=False):
    """The path to each leaf: a tuple of the indices, keys and field names on the way, in the order of `flatten`.

    Example:
        >>> list(yield_flat_paths({"b": [1, 2], "a": 3}))
        [('a',), ('b', 0), ('b', 1)]
    """
    return (path for path, _ in _walk(nest, nest, EXPANDED if expand_composites else PLAIN, ()))


def _walk(shallow_tree, input_tree, kinds, path):
    """Yields (path, subtree of `input_tree`) for each leaf of `shallow_tree`."""
    kind = kinds[type(shallow_tree)]
    if kind is None:
        yield path, input_tree
        return
    branches = kinds[type(input_tree)].values(input_tree)
    for (key, shallow_branch), branch in zip(kind.items(shallow_tree), branches, strict=True):
        yield from _walk(shallow_branch, branch, kinds, (*path, key))


def flatten_with_tuple_paths(structure, expand_composites=False):
    """A list of (path, leaf), with paths as `yield_flat_paths` gives them."""
    return list(_walk(structure, structure, EXPANDED if expand_composites else PLAIN, ()))


def flatten_with_joined_string_paths(structure, separator="/", expand_composites=False):
    """A list of (path, leaf), with each path joined to one string.

    Example:
        >>> flatten_with_joined_string_paths({"b": [1, 2], "a": 3})
        [('a', 3), ('b/0', 1), ('b/1', 2)]
    """
    pairs = flatten_with_tuple_paths(structure, expand_composites)
    return [(separator.join(map(str, path)), leaf) for path, leaf in pairs]


def assert_shallow_structure(shallow_tree, input_tree, check_types=True, expand_composites=False):
    """Raises unless `input_tree` is nested like `shallow_tree` as deep as that goes, where it may go on.

    Raises:
        ValueError: lengths or keys differ.
        TypeError: `input_tree` ends first, or types differ while `check_types` is true.

    Example:
        >>> assert_shallow_structure([0, 0], [1, [2, 3]])
    """
    kinds = EXPANDED if expand_composites else PLAIN
    kind = kinds[type(shallow_tree)]
    if kind is None:
        return
    input_kind = kinds[type(input_tree)]
    if input_kind is None:
        raise TypeError(
            f"If shallow structure is a sequence, input must also be a sequence. Input has type: {type(input_tree)}."
        )
    if check_types and not _shallow_types_agree(shallow_tree, input_tree, kinds):
        raise TypeError(
            "The two structures don't have the same sequence type. Input structure has type "
            f"{type(input_tree)}, while shallow structure has type {type(shallow_tree)}."
        )
    if COMPOSITE in (kind, input_kind):
        found = _spec_difference(shallow_tree, input_tree, kinds)
        if found is not None:
            raise found[0](found[1])
    branches, input_branches = list(kind.values(shallow_tree)), list(input_kind.values(input_tree))
    if len(branches) != len(input_branches):
        raise ValueError(
            "The two structures don't have the same sequence length. Input structure has length "
            f"{len(input_branches)}, while shallow structure has length {len(branches)}."
        )
    if isinstance(shallow_tree, Mapping):
        absent = set(shallow_tree) - set(dict(input_kind.items(input_tree)))
        if absent:
            raise ValueError(
                "The shallow_tree's keys are not a subset of the input_tree's keys. The shallow_tree has the following "
                f"keys that are not in the input_tree: {sorted(absent)}."
            )
    for branch, input_branch in zip(branches, input_branches, strict=True):
        assert_shallow_structure(branch, input_branch, check_types, expand_composites)


def _shallow_types_agree(shallow_tree, input_tree, kinds):
    if isinstance(input_tree, type(shallow_tree)):
        return True
    if is_namedtuple(shallow_tree) and is_namedtuple(input_tree):
        return same_namedtuples(shallow_tree, input_tree)
    return _alike(shallow_tree, input_tree, kinds)


def flatten_up_to(shallow_tree, input_tree, check_types=True, expand_composites=False):
    """The parts of `input_tree` that stand where `shallow_tree` has leaves, as a list.

    Raises:
        ValueError, TypeError: as `assert_shallow_structure` does.

    Example:
        >>> flatten_up_to([0, [0]], [[1, 2], [(3, 4)]])
        [[1, 2], (3, 4)]
    """
    pairs = flatten_with_tuple_paths_up_to(shallow_tree, input_tree, check_types, expand_composites)
    return [part for _, part in pairs]


def flatten_with_tuple_paths_up_to(shallow_tree, input_tree, check_types=True, expand_composites=False):
    """A list of (path, part of `input_tree`) for each leaf of `shallow_tree`."""
    assert_shallow_structure(shallow_tree, input_tree, check_types, expand_composites)
    return list(_walk(shallow_tree, input_tree, EXPANDED if expand_composites else PLAIN, ()))


def map_structure_up_to(shallow_tree, func, *inputs, **kwargs):
    """A structure like `shallow_tree`, with `func` of the corresponding parts of the inputs as its leaves.

    Args:
        shallow_tree: how deep to go.
        func: called with one part of each input.
        *inputs: structures that agree with `shallow_tree`; at least one.
        **kwargs: `check_types` and `expand_composites`, as in `map_structure`.

    Raises:
        ValueError, TypeError: as `assert_shallow_structure` does.

    Example:
        >>> map_structure_up_to([0, 0], len, [[1, 2, 3], [4, 5]])
        [3, 2]
    """
    return map_structure_with_tuple_paths_up_to(shallow_tree, lambda path, *parts: func(*parts), *inputs, **kwargs)


def map_structure_with_tuple_paths_up_to(shallow_tree, func, *inputs, check_types=True, expand_composites=False, **kwargs):
    """Like `map_structure_up_to`, with the path before the parts; further keywords are handed to `func`."""
    if not inputs:
        raise ValueError("Cannot map over no sequences")
    rows = [flatten_with_tuple_paths_up_to(shallow_tree, tree, check_types, expand_composites) for tree in inputs]
    results = []
    for row in zip(*rows, strict=True):
        results.append(func(row[0][0], *[part for _, part in row], **kwargs))
    return pack_sequence_as(shallow_tree, results, expand_composites)


def map_structure_with_tuple_paths(func, *structure, **kwargs):
    """Like `map_structure`, with the path, a tuple, before the leaves; further keywords are handed to `func`."""
    return map_structure_with_tuple_paths_up_to(structure[0], func, *structure, **kwargs)


def map_structure_with_paths(func, *structure, **kwargs):
    """Like `map_structure`, with the path, joined by "/", before the leaves; further keywords are handed to `func`.

    Example:
        >>> map_structure_with_paths(lambda path, x: f"{path}={x}", {"a": [1, 2]})
        {'a': ['a/0=1', 'a/1=2']}
    """

    def with_joined_path(path, *leaves, **rest):
        return func("/".join(map(str, path)), *leaves, **rest)

    return map_structure_with_tuple_paths(with_joined_path, *structure, **kwargs)
