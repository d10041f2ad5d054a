"""The syntax tree of a Python function, read from its source, with the lines and columns of the file it stands in."""

import ast
import copy
import functools
import linecache


class Untransformable(Exception):
    """A function cannot be converted.

    Attributes:
        cause: why, in one sentence.
        line: the number of the line that shows it, or None.
        mend: what to write instead.
    """

    def __init__(self, cause, line=None, mend=None):
        super().__init__(cause)
        self.cause = cause
        self.line = line
        self.mend = mend


def syntax_tree(function):
    """The `ast.FunctionDef` or `ast.Lambda` of a Python function.

    Raises:
        Untransformable: the source cannot be read, or is not that of the function.
    """
    code = function.__code__
    linecache.checkcache(code.co_filename)
    lines = linecache.getlines(code.co_filename, function.__globals__)
    if not lines:
        raise Untransformable(
            "its source code is not available",
            mend="define the function in a .py file (or a notebook cell), so that its source can be read.",
        )
    node = _lambda(code, lines) if code.co_name == "<lambda>" else _definition(code, lines)
    if node is None or _parameters(node) != code.co_varnames[: len(_parameters(node))]:
        raise Untransformable(
            f"line {code.co_firstlineno} of {code.co_filename} does not define it: the file was changed after it was read",
            mend="restart Python, or reload the module.",
        )
    return node


def line_of(code, number):
    """`file:line` and the text of a line, for messages."""
    text = linecache.getline(code.co_filename, number).strip()
    return f"{code.co_filename}:{number}" + (f"\n    {text}" if text else "")


def _definition(code, lines):
    first = code.co_firstlineno
    for block in _blocks(lines[first - 1 :]):
        # An indented block is parsed below an `if`, which keeps the columns.
        indented = block[:1].isspace()
        try:
            (node,) = ast.parse("if 1:\n" + block).body[0].body if indented else ast.parse(block).body
        except SyntaxError:
            continue
        except (ValueError, IndexError):
            return None
        ast.increment_lineno(node, first - 1 - indented)
        return node if isinstance(node, ast.FunctionDef) and node.name == code.co_name else None
    return None


def _blocks(lines):
    """What the first lines may be that belong together: each time up to a line that is not indented more than the first one.

    The least of them that can be parsed is the definition, as inside of strings and brackets none can. `inspect.getblock` finds the
    same by tokens, whose regular expression takes 3 ms to compile.
    """
    depth = _depth(lines[0]) if lines else 0
    for number, line in enumerate(lines[1:], 1):
        text = line.strip()
        if text and text[0] != "#" and _depth(line) <= depth:
            yield "".join(lines[:number])
    yield "".join(lines)


def _depth(line):
    return len(line) - len(line.lstrip())


def _lambda(code, lines):
    """Several lambdas may start in one line; the compiler notes the place of each instruction of the body."""
    try:
        found = [node for node in _lambdas("".join(lines)) if node.lineno == code.co_firstlineno]
    except SyntaxError:
        return None
    if len(found) > 1:
        places = [(line, column, end, last) for line, end, column, last in code.co_positions() if last]
        found = [node for node in found if all(_holds(node.body, *place) for place in places)]
        # A lambda within a lambda lies in both: the body is the smallest that holds all of the code.
        found.sort(
            key=lambda node: (node.body.end_lineno - node.body.lineno, node.body.end_col_offset - node.body.col_offset)
        )
    return copy.deepcopy(found[0]) if found else None


def _holds(node, line, column, end, last):
    return (node.lineno, node.col_offset) <= (line, column) and (end, last) <= (node.end_lineno, node.end_col_offset)


@functools.lru_cache(maxsize=8)
def _lambdas(source):
    return [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Lambda)]


def _parameters(node):
    args = node.args
    plain = [*args.posonlyargs, *args.args, *args.kwonlyargs]
    starred = [arg for arg in (args.vararg, args.kwarg) if arg is not None]
    return tuple([arg.arg for arg in (*plain, *starred)])


__all__ = ["Untransformable", "line_of", "syntax_tree"]
