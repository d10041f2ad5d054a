"""What is done to a function's tree before malt sees it: what cannot be converted is named, what malt does not know is rewritten."""

import ast

from tapeflow.trace.autograph.source import Untransformable

MENDS = {
    "for/else": "set a flag before `break` and test it after the loop, in place of `else`.",
    "while/else": "set a flag before `break` and test it after the loop, in place of `else`.",
    "match": "write if, elif and else.",
    "yield": "write what the generator yields to a tf.TensorArray, or use tf.data.Dataset.from_generator.",
    "await": "call it outside of the function.",
    "except*": "write `except`.",
    ":=": "assign the variable in a statement before this one.",
}


def prepare(node, function):
    """Check a function's tree, and rewrite it for malt in place.

    Raises:
        Untransformable: there is a construct that cannot be converted; says which, where, and what to write instead.
    """
    _check(node)
    _forget_annotations(node)
    return _Rewriter(_class_name(function)).visit(node)


def _forget_annotations(node):
    """Annotations may name what only the place of the definition knows; the converted function does not need them."""
    args = node.args
    for arg in (*args.posonlyargs, *args.args, *args.kwonlyargs, args.vararg, args.kwarg):
        if arg is not None:
            arg.annotation = None
    if isinstance(node, ast.FunctionDef):
        node.returns = None


def _refuse(construct, node):
    raise Untransformable(f"{construct} is not supported", node.lineno, MENDS[construct])


def _check(node):
    """Refuse what malt would convert into something else."""
    for part in ast.walk(node):
        match part:
            case ast.For(orelse=[_, *_]):
                _refuse("for/else", part.orelse[0])
            case ast.While(orelse=[_, *_]):
                _refuse("while/else", part.orelse[0])
            case ast.Match():
                _refuse("match", part)
            case ast.Yield() | ast.YieldFrom():
                _refuse("yield", part)
            case ast.Await() | ast.AsyncFor() | ast.AsyncWith():
                _refuse("await", part)
            case ast.TryStar():
                _refuse("except*", part)
            # These become functions of their own, in which `:=` would set another variable.
            case ast.BoolOp() | ast.IfExp() | ast.Lambda() | ast.Compare(ops=[_, _, *_]):
                _refuse_walrus(part)
            case ast.While():
                _refuse_walrus(part.test)


def _refuse_walrus(node):
    for part in ast.walk(node):
        if isinstance(part, ast.NamedExpr):
            _refuse(":=", part)


def _class_name(function):
    """The class in whose body a function was written: private names carry its name."""
    *path, _ = function.__qualname__.split(".")
    while path and path[-1] == "<locals>":
        path = path[:-2]
    return path[-1].lstrip("_") if path else ""


class _Rewriter(ast.NodeTransformer):
    """Private names as the compiler would write them, and `except E as e` as an assignment."""

    def __init__(self, owner):
        self.owner = owner

    def _mangled(self, name):
        private = self.owner and name.startswith("__") and not name.endswith("__")
        return f"_{self.owner}{name}" if private else name

    def visit_ClassDef(self, node):
        return node  # its methods are compiled within it

    def visit_Attribute(self, node):
        node.attr = self._mangled(node.attr)
        return self.generic_visit(node)

    def visit_Name(self, node):
        node.id = self._mangled(node.id)
        return node

    def visit_ExceptHandler(self, node):
        self.generic_visit(node)
        if node.name is None:
            return node
        name, node.name = node.name, None
        caught = ast.parse(f"{name} = ag__.caught()").body[0]
        forget = ast.parse(f"del {name}").body[0]  # as Python does: the exception holds the frame that holds the variable
        node.body = [caught, ast.Try(node.body, [], [], [forget])]
        for part in (caught, *node.body[1:], forget):
            _move(part, node)
        return node


def _move(node, place):
    """Give a new node the place of another; parts that have their own keep them."""
    for part in (node, *(ast.walk(node) if not isinstance(node, ast.Try) else ())):
        if "lineno" in part._attributes:
            ast.copy_location(part, place)


__all__ = ["prepare"]
