"""Holds every public name's parameters, their order and defaults against TensorFlow 2.21's own (`signatures.tsv`)."""

import ast
import inspect
from pathlib import Path

import pytest

import tapeflow as tf
from tapeflow.api.export import EXPORTS

ROWS = [line.split("\t") for line in (Path(__file__).parent / "signatures.tsv").read_text().splitlines()[1:]]
SIGNATURES = {name.removeprefix("tf."): signature for _, name, kind, signature in ROWS if kind in ("function", "class")}

# Names whose parameters differ, each with the reason.
DIFFERENT = {
    "DType": "TensorFlow's takes a protobuf enum; dtypes are made here only by base/dtypes.py",
    "dtypes.DType": "the same class",
    "nest.map_structure": "names the two keywords that TensorFlow reads from **kwargs",
    "types.experimental.FunctionType": "TensorFlow shows no valid signature for it",
    "Tensor": "made by tf.constant, never by its class",
    "data.Dataset": "made by its static methods",
    "RaggedTensor": "made by its class methods",
}
# Names that real programs use and that are still to come, by what they belong to.
LATER = {
    "tf.function": "tracing",
    "tf.saved_model.load": "saving",
    "tf.saved_model.save": "saving",
}


def parameters(text):
    """[(name, kind, default)] of a signature's text; a default is source text, or None."""
    arguments = ast.parse(f"def f{text}: pass").body[0].args
    positional = arguments.posonlyargs + arguments.args
    defaults = [None] * (len(positional) - len(arguments.defaults)) + list(arguments.defaults)
    found = [(a.arg, "plain", d) for a, d in zip(positional, defaults, strict=True)]
    if arguments.vararg:
        found.append((arguments.vararg.arg, "star", None))
    found += [(a.arg, "keyword", d) for a, d in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]
    if arguments.kwarg:
        found.append((arguments.kwarg.arg, "stars", None))
    return found


def default_matches(node, value):
    """Whether a parameter's default is what TensorFlow's signature says; `...` there stands for an object without a text."""
    if node is None:
        return value is inspect.Parameter.empty
    text = ast.unparse(node)
    if text == "...":
        return value is not inspect.Parameter.empty
    if text.startswith("tf."):
        expected = tf
        for part in text.split(".")[1:]:
            expected = getattr(expected, part)
    else:
        expected = ast.literal_eval(node)
    return value is expected or (type(value) is type(expected) and value == expected)


KINDS = {
    inspect.Parameter.POSITIONAL_ONLY: "plain",
    inspect.Parameter.POSITIONAL_OR_KEYWORD: "plain",
    inspect.Parameter.VAR_POSITIONAL: "star",
    inspect.Parameter.KEYWORD_ONLY: "keyword",
    inspect.Parameter.VAR_KEYWORD: "stars",
}


def own_parameters(value):
    """The parameters of a function or of a class's constructor."""
    if inspect.isclass(value):
        found = list(inspect.signature(value.__init__).parameters.values())[1:]
        return list(inspect.signature(value).parameters.values()) if value.__init__ is object.__init__ else found
    return list(inspect.signature(value).parameters.values())


@pytest.mark.parametrize("name", sorted(set(SIGNATURES) & set(EXPORTS) - set(DIFFERENT)))
def test_parameters_are_tensorflows(name):
    wanted = parameters(SIGNATURES[name])
    if [(n, kind) for n, kind, _ in wanted] == [("args", "star"), ("kwargs", "stars")]:
        pytest.skip("TensorFlow hides this one's parameters behind a decorator")
    own = own_parameters(EXPORTS[name])
    assert [(p.name, KINDS[p.kind]) for p in own] == [(n, kind) for n, kind, _ in wanted], f"tf.{name}{SIGNATURES[name]}"
    for parameter, (_, _, default) in zip(own, wanted, strict=True):
        assert default_matches(default, parameter.default), f"tf.{name}: default of {parameter.name}"


def test_every_name_that_eight_programs_use_is_here():
    missing = []
    for count, name, _, _ in ROWS:
        plain = name.removeprefix("tf.")
        outside = plain.startswith(("data.", "distribute.", "strings.", "image.")) or name in LATER
        if int(count) >= 8 and not outside and plain not in EXPORTS and not _reachable(plain):
            missing.append(name)
    assert not missing


def _reachable(name):
    value = tf
    for part in name.split("."):
        if not hasattr(value, part):
            return False
        value = getattr(value, part)
    return True
