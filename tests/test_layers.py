"""A folder imports only from the rows above it (docs/layout.md)."""

import ast
from pathlib import Path

import pytest

import tapeflow

ROWS = ["base", "io", "core", "ops", "autodiff", "trace", "compile", "data", "api", "compat"]
ROOT = Path(tapeflow.__file__).parent


def imported_layers(path):
    """The layers that a file imports from, with the line."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "tapeflow":
            parts = node.module.split(".")
            for name in [parts[1]] if len(parts) > 1 else [alias.name for alias in node.names]:
                yield name, node.lineno
        elif isinstance(node, ast.Import):
            for alias in node.names:
                parts = alias.name.split(".")
                if parts[0] == "tapeflow" and len(parts) > 1:
                    yield parts[1], node.lineno


FILES = sorted(path for layer in ROWS for path in (ROOT / layer).rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_upwards(path):
    own = ROWS.index(path.relative_to(ROOT).parts[0])
    wrong = [f"line {line}: {layer}" for layer, line in imported_layers(path) if layer in ROWS and ROWS.index(layer) > own]
    assert not wrong
