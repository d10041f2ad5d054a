"""A function's tree is that of the lines which Python's own `inspect` takes for its source."""

import argparse
import ast
import configparser
import difflib
import inspect
import linecache
import pdb
import tarfile
import textwrap
import types
import typing

import pytest

from tapeflow.trace.autograph import source

MODULES = [argparse, ast, configparser, difflib, inspect, pdb, tarfile, textwrap, typing]


def codes(code):
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield constant
            yield from codes(constant)


def expected(code, lines):
    block = "".join(inspect.getblock(lines[code.co_firstlineno - 1 :]))
    indented = block[:1].isspace()
    node = ast.parse("if 1:\n" + block).body[0].body[0] if indented else ast.parse(block).body[0]
    ast.increment_lineno(node, code.co_firstlineno - 1 - indented)
    return node


def check(code, lines):
    node = source._definition(code, lines)
    assert ast.dump(node, include_attributes=True) == ast.dump(expected(code, lines), include_attributes=True), code.co_name


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_all_functions_of_a_module(module):
    lines = linecache.getlines(module.__file__)
    found = [code for code in codes(compile("".join(lines), module.__file__, "exec")) if "<" not in code.co_name]
    functions = [code for code in found if code.co_flags & inspect.CO_NEWLOCALS and not code.co_flags & inspect.CO_COROUTINE]
    for code in functions:
        check(code, lines)
    assert len(functions) > 5


ODD = '''
@staticmethod
@(
lambda f: f)
def decorated(
x,
):
    """Words
that begin where the function does
"""
# a remark
    y = [
x,
    ]

    return y + \\
x
def short(x): return x
if True:
\tdef inner():
\t\treturn """
def wrong(): pass
"""
\tz = 1
def last(x):
    return x'''


def test_odd_indents():
    lines = ODD.splitlines(keepends=True)
    found = [code for code in codes(compile(ODD, "odd", "exec")) if "<" not in code.co_name]
    assert [code.co_name for code in found] == ["decorated", "short", "inner", "last"]
    for code in found:
        check(code, lines)


def test_a_file_that_was_changed_defines_something_else():
    (code,) = codes(compile("def f(x):\n    return x\n", "file", "exec"))
    assert source._definition(code, []) is None
    assert source._definition(code, ["def g(x):\n", "    return x\n"]) is None
    assert source._definition(code, ["x = 1\n"]) is None
    assert source._definition(code, ["def f(x:\n"]) is None
