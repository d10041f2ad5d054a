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
    defined = {
        name for name, value in EXPORTS.items() if id(value) in functions and getattr(value, "__module__", None) == source
    }
    assert {name for name, other in LATER.items() if other == source} == defined


def test_they_are_found_where_they_are_asked_for():
    assert tf.as_string is tf.strings.as_string
    assert tf.compat.v1.sparse_concat(0, [tf.sparse.eye(2)]).shape == [2, 2]
    with pytest.raises(AttributeError, match="nothing"):
        tf.sparse.nothing  # noqa: B018 - it raises
