"""Scopes and calls are what malt's own passes make of them, for all functions of some modules of the standard library."""

import argparse
import ast
import configparser
import copy
import difflib
import functools
import inspect
import json.decoder
import pprint
import re
import textwrap
import threading
import types

import pytest
from malt.converters import call_trees, functions

import tapeflow as tf
from tapeflow.trace.autograph import calls
from tapeflow.trace.autograph.malt import converter, naming, transformer
from tapeflow.trace.autograph.prepare import prepare
from tapeflow.trace.autograph.source import Untransformable, syntax_tree
from tapeflow.trace.autograph.transpiler import _without_defaults
from tapeflow.trace.autograph.wrap import Calls, Scopes

MODULES = [argparse, configparser, copy, difflib, functools, inspect, json.decoder, pprint, re, textwrap, threading]


def functions_of(module):
    for thing in vars(module).values():
        for function in vars(thing).values() if isinstance(thing, type) else (thing,):
            if isinstance(function, types.FunctionType) and function.__module__ == module.__name__:
                yield function


def code(function, options, scopes, converted_calls):
    """The code after two passes."""
    tree = _without_defaults(prepare(syntax_tree(function), function))
    info = transformer.EntityInfo("name", "", "<fragment>", (), {})
    context = transformer.Context(info, naming.Namer({"fscope": None}), converter.ProgramContext(options))
    tree = ast.fix_missing_locations(converted_calls(scopes(tree, context), context))
    return re.sub(r"optional_features=.*?, internal", "internal", ast.unparse(tree))


@pytest.mark.parametrize("features", [(), tf.autograph.experimental.Feature.ALL], ids=["none", "all"])
@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_the_passes_give_malt_s_code(module, features):
    options = calls.options_of(features)
    count = 0
    for function in functions_of(module):
        try:
            expected = code(function, options, functions.transform, call_trees.transform)
        except Untransformable:
            continue
        found = code(function, options, lambda tree, ctx: Scopes(ctx).visit(tree), lambda tree, ctx: Calls(ctx).visit(tree))
        assert found == expected, function.__qualname__
        count += 1
    assert count
