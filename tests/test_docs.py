"""Every example in a docstring of the package and every Python block of the documents runs as written."""

import doctest
import importlib
import re
from pathlib import Path

import numpy as np
import pytest

import tapeflow as tf

ROOT = Path(__file__).parents[1]
# The files that have an example: found by reading, since importing all of them is slow.
MODULES = sorted(path for path in (ROOT / "tapeflow").rglob("*.py") if ">>> " in path.read_text())
DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NAMES = {"tf": tf, "np": np}
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def name(path):
    return str(path.relative_to(ROOT))


class Finder(doctest.DocTestFinder):
    """Also finds the classes that got TensorFlow's module name when tapeflow took the name `tensorflow`."""

    def _from_module(self, module, object):
        if super()._from_module(module, object):
            return True
        methods = vars(object).values() if isinstance(object, type) else [object]
        return any(getattr(getattr(m, "__code__", None), "co_filename", None) == module.__file__ for m in methods)


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_docstrings(path):
    module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"))
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    for examples in Finder().find(module, extraglobs=NAMES):
        runner.run(examples)
    # A template of docstrings has no example of its own: those of the functions made from it are in their modules.
    assert runner.tries or ">>> print({" in path.read_text(), "its examples stand where doctest does not look"
    assert not runner.failures


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_code_blocks(path):
    """The blocks of a document share their names, as a reader takes them to."""
    text, names = path.read_text(), {"__name__": "__main__", **NAMES}
    for block in BLOCK.finditer(text):
        line = text.count("\n", 0, block.start()) + 1
        if ">>> " in block[1]:
            run_prompts(block[1], names, path, line)
        else:
            # The line breaks give an error the line of the document.
            exec(compile("\n" * line + block[1], str(path), "exec"), names)


def run_prompts(source, names, path, line):
    examples = doctest.DocTestParser().get_doctest(source, {}, name(path), str(path), line)
    examples.globs = names  # the parser would copy them
    assert not doctest.DocTestRunner(optionflags=FLAGS).run(examples, clear_globs=False).failed
