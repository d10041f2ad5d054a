"""The names that come later are those that their modules export."""

import importlib

import pytest

import tapeflow as tf
from tapeflow.api.export import EXPORTS, LATER
from tapeflow.api.later import COMPOSITES


@pytest.mark.parametrize("module", COMPOSITES)
def test_names_of_a_module(module):
    source = f"tapeflow.api.{module}"
    functions = {id(value) for value in vars(importlib.import_module(source)).values()}
    defined = {name for name, value in EXPORTS.items() if id(value) in functions and home_of(value) == source}
    assert {name for name, other in LATER.items() if other == source} == defined


def home_of(value):
    """The module whose code made a function or class; `__module__` may be the public one, once the name was asked for."""
    return value.__globals__["__name__"] if hasattr(value, "__globals__") else getattr(value, "__module__", None)


def test_they_are_found_where_they_are_asked_for():
    assert tf.as_string is tf.strings.as_string
    assert tf.compat.v1.sparse_concat(0, [tf.sparse.eye(2)]).shape == [2, 2]
    with pytest.raises(AttributeError, match="nothing"):
        tf.sparse.nothing  # noqa: B018 - it raises
