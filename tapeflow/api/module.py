"""`tf.Module`: an object that knows its variables and the modules within it."""

import functools
import re

from tapeflow.api.export import export
from tapeflow.api.framework import name_scope
from tapeflow.api.tracking import AutoTrackable
from tapeflow.base import nest
from tapeflow.core.variable import Variable
from tapeflow.trace.autograph import converted_here

WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


@export("Module")
class Module(AutoTrackable):
    """A base class for models: finds the variables and modules among its attributes, in lists, tuples and dicts too.

    Args:
        name: a Python identifier; by default the class's name in snake case.

    Raises:
        ValueError: the name is no Python identifier.

    Example:
        >>> import tapeflow as tf
        >>> class Dense(tf.Module):
        ...     def __init__(self, units):
        ...         super().__init__()
        ...         self.w = tf.Variable([[1.0] * units], name="w")
        ...     def __call__(self, x):
        ...         return x @ self.w
        >>> model = Dense(3)
        >>> model.name, [v.name for v in model.trainable_variables]
        ('dense', ['w:0'])
    """

    def __init__(self, name=None):
        if name is None:
            name = WORD_START.sub("_", type(self).__name__).lower()
        elif not name.isidentifier():
            raise ValueError(
                f"{name!r} is not a valid module name. Module names must be valid Python identifiers "
                "(e.g. a valid class name)."
            )
        self._name = name
        with name_scope(name) as self._scope_name:  # of its own in a graph: numbered where the name was used before
            pass

    @property
    def name(self):
        """The name of this module, without those around it."""
        return self._name

    @property
    def name_scope(self):
        """A `tf.name_scope` of this module's name, within the scope in which it was made."""
        return name_scope(self._scope_name)

    @property
    def variables(self):
        """A tuple of the variables of this module and those within it: by sorted attribute name, its own ones first."""
        return tuple(self._flatten(predicate=_is_variable, expand_composites=True))

    @property
    def trainable_variables(self):
        """A tuple of the trainable ones of `variables`."""
        return tuple(self._flatten(predicate=lambda x: _is_variable(x) and x.trainable, expand_composites=True))

    @property
    def non_trainable_variables(self):
        """A tuple of those of `variables` that are not trainable."""
        return tuple(self._flatten(predicate=lambda x: _is_variable(x) and not x.trainable, expand_composites=True))

    @property
    def submodules(self):
        """A tuple of the modules within this one, at any depth."""
        return tuple(self._flatten(predicate=_is_module))

    def _flatten(
        self, recursive=True, predicate=None, attribute_traversal_key=None, with_path=False, expand_composites=False
    ):
        """Yield the leaves of the attributes that satisfy `predicate`, each once.

        Args:
            recursive: whether the modules found are searched too.
            predicate: a function of a leaf; all leaves by default.
            attribute_traversal_key: the sort key of attribute names.
            with_path: whether pairs (path, leaf) are given, then under every path.
            expand_composites: whether composites are taken apart.
        """
        return _flatten(
            self, recursive, predicate or (lambda _: True), attribute_traversal_key, with_path, expand_composites
        )

    @classmethod
    def with_name_scope(cls, method):
        """Decorate a method so that its variables' names start with the module's.

        Example:
            >>> import tapeflow as tf
            >>> class Counter(tf.Module):
            ...     @tf.Module.with_name_scope
            ...     def make(self):
            ...         return tf.Variable(0, name="count")
            >>> Counter().make().name
            'counter/count:0'
        """

        @functools.wraps(method)
        def scoped(self, *args, **kwargs):
            with self.name_scope:
                return converted_here(method)(self, *args, **kwargs)

        return scoped


def _is_variable(x):
    return isinstance(x, Variable)


def _is_module(x):
    return isinstance(x, Module)


def _flatten(module, recursive, predicate, key, with_path, expand_composites, path=(), seen=None):
    seen = {id(module)} if seen is None else seen
    attributes = {name: value for name, value in vars(module).items() if not name.startswith("_self_")}
    submodules = []
    for name in sorted(attributes, key=key):
        try:
            leaves = nest.flatten_with_tuple_paths(attributes[name], expand_composites)
        except Exception as error:
            raise ValueError(f"Error processing property {name!r} of {attributes[name]!r}: {error}") from error
        for leaf_path, leaf in leaves:
            full_path = (*path, name, *leaf_path)
            if not with_path:
                if id(leaf) in seen:
                    continue
                seen.add(id(leaf))
            if predicate(leaf):
                yield (full_path, leaf) if with_path else leaf
            if recursive and _is_module(leaf):
                submodules.append((full_path, leaf))
    for sub_path, submodule in submodules:
        # With paths a module may be found under several of them, but not within itself.
        around = seen | {id(submodule)} if with_path else seen
        if not with_path or id(submodule) not in seen:
            yield from _flatten(submodule, recursive, predicate, key, with_path, expand_composites, sub_path, around)
