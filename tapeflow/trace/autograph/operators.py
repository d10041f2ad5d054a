"""The operators of converted code: what it calls `ag__`."""

import sys

from tapeflow.trace.autograph.branches import and_, assert_stmt, eq, if_exp, if_stmt, not_, not_eq, or_
from tapeflow.trace.autograph.calls import artifact as autograph_artifact
from tapeflow.trace.autograph.calls import converted_call
from tapeflow.trace.autograph.calls import make_options as ConversionOptions
from tapeflow.trace.autograph.lists import (
    GetItemOpts,
    ListPopOpts,
    ListStackOpts,
    get_item,
    list_append,
    list_pop,
    list_stack,
    new_list,
    set_item,
    update_item_with_op,
)
from tapeflow.trace.autograph.loops import for_stmt, while_stmt
from tapeflow.trace.autograph.malt import converter
from tapeflow.trace.autograph.scopes import FunctionScope, with_function_scope
from tapeflow.trace.autograph.variables import Undefined, UndefinedReturnValue, ld, ldu

Feature, STD = converter.Feature, converter.STANDARD_OPTIONS


def caught():
    """The exception of the `except` clause that asks."""
    return sys.exc_info()[1]


__all__ = [
    "STD", "ConversionOptions", "Feature", "FunctionScope", "GetItemOpts", "ListPopOpts", "ListStackOpts", "Undefined",
    "UndefinedReturnValue", "and_", "assert_stmt", "autograph_artifact", "caught", "converted_call", "eq", "for_stmt", "get_item",
    "if_exp", "if_stmt", "ld", "ldu", "list_append", "list_pop", "list_stack", "new_list", "not_", "not_eq", "or_", "set_item",
    "update_item_with_op", "while_stmt", "with_function_scope",
]  # fmt: skip
