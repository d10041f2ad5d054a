"""Random small programs with nested control flow, as source text, and functions made of them."""

import itertools
import linecache

from hypothesis import strategies as st

NAMES = ("a", "b", "c")
names = st.sampled_from(NAMES)
_numbers = itertools.count()


def function_of(source, **namespace):
    """The function that `source` defines, which has its source at hand as one in a file has."""
    path = f"<program {next(_numbers)}>"
    lines = source.splitlines(keepends=True)
    linecache.cache[path] = (len(source), None, lines, path)
    values = {"__name__": "programs", **namespace}
    exec(compile(source, path, "exec"), values)
    return next(value for name, value in values.items() if name.startswith("program"))


@st.composite
def expressions(draw, depth=2):
    """An arithmetic expression of ints that stays small."""
    if depth == 0 or draw(st.booleans()):
        return draw(st.one_of(names, st.integers(-3, 3).map(lambda n: f"({n})")))
    left, right = draw(expressions(depth - 1)), draw(expressions(depth - 1))
    if draw(st.integers(0, 4)) == 0:
        return f"({left} if {draw(conditions(1))} else {right})"
    return f"({left} {draw(st.sampled_from('+-'))} {right})"


@st.composite
def conditions(draw, depth=2):
    """A condition."""
    if depth and draw(st.booleans()):
        kind = draw(st.sampled_from(["not", "and", "or"]))
        if kind == "not":
            return f"(not {draw(conditions(depth - 1))})"
        return f"({draw(conditions(depth - 1))} {kind} {draw(conditions(depth - 1))})"
    left, right = draw(expressions(0)), draw(expressions(0))
    if draw(st.integers(0, 5)) == 0:
        return f"({left} <= {draw(names)} < {right})"
    return f"({left} {draw(st.sampled_from(['<', '<=', '>', '>=', '==', '!=']))} {right})"


@st.composite
def blocks(draw, depth, loop, returns, iterations):
    """Lines of a block; `loop` says whether `break` and `continue` may stand in it."""
    lines = []
    for _ in range(draw(st.integers(1, 3))):
        lines += draw(statements(depth, loop, returns, iterations))
    return lines


def indented(lines):
    return [f"    {line}" for line in lines]


@st.composite
def statements(draw, depth, loop, returns, iterations):
    """Lines of a statement."""
    kinds = ["set", "set", "add"]
    if depth:
        kinds += ["if", "if", "for", "while"]
    if loop:
        kinds += ["break", "continue"]
    if returns:
        kinds += ["return"]
    kind = draw(st.sampled_from(kinds))
    body = blocks(depth - 1, loop, returns, iterations)
    match kind:
        case "set":
            return [f"{draw(names)} = {draw(expressions())}"]
        case "add":
            return [f"{draw(names)} {draw(st.sampled_from(['+=', '-=']))} {draw(expressions(1))}"]
        case "if":
            lines = [f"if {draw(conditions())}:", *indented(draw(body))]
            return [*lines, "else:", *indented(draw(body))] if draw(st.booleans()) else lines
        case "for":
            inner = blocks(depth - 1, True, returns, iterations)
            target = draw(st.sampled_from(["i", "a", "b"]))
            return [f"for {target} in {iterations}({draw(st.integers(0, 4))}):", *indented(draw(inner))]
        case "while":
            # a counter of its own ends it
            counter = f"n{depth}"
            inner = blocks(depth - 1, True, returns, iterations)
            head = [f"{counter} = {draw(st.integers(0, 4))} + 0 * a", f"while {counter} > 0 and {draw(conditions(1))}:"]
            return [*head, f"    {counter} -= 1", *indented(draw(inner))]
        case "return":
            return [f"if {draw(conditions(1))}:", f"    return {draw(expressions(1))}"]
        case _:
            return [f"if {draw(conditions(1))}:", f"    {kind}"]


@st.composite
def programs(draw, iterations="range", returns=True):
    """The source of a function of three ints that returns an int, or three."""
    body = draw(blocks(3, False, returns, iterations))
    result = "a + 2 * b + 3 * c" if returns else "a, b, c"
    return "\n".join(["def program(a, b, c):", *indented(body), f"    return {result}", ""])
