"""The two passes that every function needs: its body in a scope, and its calls by `ag__.converted_call`.

They do what malt's `functions` and `call_trees` do, without templates that are parsed anew for each node, and without analyses of
which only the names in use are needed: a third of the time of converting a function without branches and loops.
"""

import ast

from tapeflow.trace.autograph.malt import anno, converter

SCOPE = "function_context_name"  # by which malt's passes know, too, that a function has a scope
ORIGIN = anno.Basic.ORIGIN
DEBUGGERS = ("pdb.set_trace", "ipdb.set_trace", "breakpoint")  # they look at the frame that calls them


def _name(name):
    return ast.Name(name, ast.Load())


def _operator(name, *args):
    """A call of an operator."""
    return ast.Call(ast.Attribute(_name("ag__"), name, ast.Load()), list(args), [])


def _in_place_of(old, new):
    """A new node that comes from where an old one does."""
    origin = anno.getanno(old, ORIGIN, default=None)
    if origin is not None:
        anno.setanno(new, ORIGIN, origin)
    return new


class Scopes(ast.NodeTransformer):
    """Each function's body stands in `with ag__.FunctionScope(...) as fscope`."""

    def __init__(self, context):
        self.context = context
        self.depth = 0

    def _new_name(self, root, node):
        return self.context.namer.new_symbol(root, {part.id for part in ast.walk(node) if isinstance(part, ast.Name)})

    def _options(self):
        """The options of the function's calls: those that were asked for are for the outermost function alone."""
        options = self.context.user.options
        options = options if self.depth == 1 else options.call_options()
        if options == converter.STANDARD_OPTIONS:
            return ast.Attribute(_name("ag__"), "STD", ast.Load())
        features = "".join(f"ag__.{feature}, " for feature in sorted(options.optional_features, key=str))
        return ast.parse(
            f"ag__.ConversionOptions(recursive={options.recursive}, user_requested={options.user_requested}, "
            f"optional_features=({features}), internal_convert_user_code={options.internal_convert_user_code})",
            mode="eval",
        ).body

    def visit_Lambda(self, node):
        self.depth += 1
        try:
            node = self.generic_visit(node)
            if self.depth > 1:
                return _in_place_of(node, _operator("autograph_artifact", node))
            name = self._new_name("lscope", node)
            anno.setanno(node, SCOPE, name)
            body = ast.Lambda(ast.arguments([], [ast.arg(name)], None, [], [], None, []), node.body)
            node.body = _operator("with_function_scope", body, ast.Constant(name), self._options())
            return node
        finally:
            self.depth -= 1

    def visit_FunctionDef(self, node):
        self.depth += 1
        try:
            name = self._new_name("fscope", node)
            anno.setanno(node, SCOPE, name)
            node = self.generic_visit(node)
            if self.depth == 1:
                node.decorator_list = []  # it is the undecorated function that is converted
            else:
                node.decorator_list.append(ast.Attribute(_name("ag__"), "autograph_artifact", ast.Load()))
            start = 1 if _is_docstring(node.body[0]) else 0
            scope = _operator("FunctionScope", ast.Constant(node.name), ast.Constant(name), self._options())
            body = node.body[start:] or [ast.Pass()]
            node.body[start:] = [ast.With([ast.withitem(scope, ast.Name(name, ast.Store()))], body)]
            return node
        finally:
            self.depth -= 1


def _is_docstring(statement):
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


class Calls(ast.NodeTransformer):
    """`f(x, *y, z=1)` as `ag__.converted_call(f, (x,) + tuple(y), dict(z=1), fscope)`."""

    def __init__(self, context):
        self.converts_print = context.user.options.uses(converter.Feature.BUILTIN_FUNCTIONS)
        self.scope = None

    def _visit_within(self, node, fields):
        """Visit some fields of a function within its scope."""
        before, self.scope = self.scope, anno.getanno(node, SCOPE)
        for field in fields:
            self._visit_field(node, field)
        self.scope = before

    def _visit_field(self, node, field):
        value = getattr(node, field)
        if isinstance(value, list):
            found = [self.visit(part) for part in value if part is not None]
            setattr(node, field, [None if part is None else found.pop(0) for part in value])
        elif value is not None:
            setattr(node, field, self.visit(value))

    def visit_Lambda(self, node):
        if not anno.hasanno(
            node, SCOPE
        ):  # one within a function, or that conversion has made: it runs in the scope around it
            return self.generic_visit(node)
        self._visit_within(node, ("args", "body"))
        return node

    def visit_FunctionDef(self, node):
        self._visit_field(node, "decorator_list")
        self._visit_field(node.args, "defaults")
        self._visit_field(node.args, "kw_defaults")
        self._visit_within(node, ("body",))
        return node

    def visit_With(self, node):
        self._visit_field(node, "body")  # how a context is made stays as it is
        return node

    def visit_Call(self, node):
        name = _dotted(node.func)
        node = self.generic_visit(node)
        if (
            name.startswith(("ag__.", f"{self.scope}."))
            or name in DEBUGGERS
            or (name == "print" and not self.converts_print)
        ):
            return node
        keywords = ast.Call(_name("dict"), [], node.keywords) if node.keywords else ast.Constant(None)
        call = _operator("converted_call", node.func, _as_tuple(node.args), keywords, _name(self.scope))
        return _in_place_of(node, call)


def _dotted(node):
    """A name with its attributes as text; empty for other expressions."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""


def _as_tuple(args):
    """Positional arguments as an expression of one tuple."""
    parts, plain = [], None
    for arg in args:
        if isinstance(arg, ast.Starred):
            parts.append(ast.Call(_name("tuple"), [arg.value], []))
            plain = None
        elif plain is None:
            plain = ast.Tuple([arg], ast.Load())
            parts.append(plain)
        else:
            plain.elts.append(arg)
    found = parts[0] if parts else ast.Tuple([], ast.Load())
    for part in parts[1:]:
        found = ast.BinOp(found, ast.Add(), part)
    return found


__all__ = ["Calls", "Scopes"]
