"""The conversion itself: diastatic-malt rewrites the tree of a function, which is compiled under the user's own lines."""

import ast
import functools
import threading
import types
import weakref

from tapeflow.trace.autograph import operators
from tapeflow.trace.autograph.malt import (
    activity,
    anno,
    asserts,
    break_statements,
    cfg,
    conditional_expressions,
    continue_statements,
    control_flow,
    converter,
    directives,
    inspect_utils,
    lists,
    liveness,
    logical_expressions,
    naming,
    qual_names,
    reaching_definitions,
    reaching_fndefs,
    return_statements,
    set_loop_options,
    slices,
    templates,
    transformer,
    variables,
)
from tapeflow.trace.autograph.prepare import prepare
from tapeflow.trace.autograph.source import Untransformable, syntax_tree
from tapeflow.trace.autograph.status import loop_options
from tapeflow.trace.autograph.wrap import Calls, Scopes

ORIGIN = anno.Basic.ORIGIN
FLOW = (ast.If, ast.For, ast.While)
GENERATED = ("else_body", "extra_test", "get_state", "if_body", "loop_body", "loop_test", "set_state")


class Directives(directives.DirectivesTransformer):
    """Knows `tf.autograph.experimental.set_loop_options` by tapeflow's function."""

    def _known(self, node):
        if anno.getanno(node, directives.STATIC_VALUE, default=None) is loop_options:
            anno.setanno(node, directives.STATIC_VALUE, set_loop_options)
        return node

    def visit_Name(self, node):
        return self._known(super().visit_Name(node))

    def visit_Attribute(self, node):
        return self._known(super().visit_Attribute(node))


class Asserts(asserts.AssertTransformer):
    """Takes any message."""

    def visit_Assert(self, node):
        self.generic_visit(node)
        message = node.msg or ast.Constant(None)
        return templates.replace("ag__.assert_stmt(test, lambda: msg)", test=node.test, msg=message)


class ConditionalExpressions(conditional_expressions.ConditionalExpressionTransformer):
    """Converts conditional expressions within conditional expressions too."""

    def visit_IfExp(self, node):
        return super().visit_IfExp(self.generic_visit(node))


class Analyzer(liveness.Analyzer):
    """Knows that a for loop may run no iteration: then its target is what it was before."""

    def __init__(self, graph, loops):
        super().__init__(graph, True)
        self.loops = loops

    def visit_node(self, node):
        before = self.in_[node]
        super().visit_node(node)
        loop = self.loops.get(id(node.ast_node))
        if loop is not None:
            self.in_[node] = self.in_[node].union(*[self.in_[following] for following in self.graph.stmt_next[loop]])
        return self.in_[node] != before


class Liveness(liveness.TreeAnnotator):
    """Notes which variables are read after each statement; `loops` are the for loops by the id of what they iterate over."""

    def __init__(self, ctx, graphs, loops):
        super().__init__(ctx, graphs, True)
        self.loops = loops

    def _analyze_function(self, node, is_lambda):
        outer = self.current_analyzer
        analyzer = Analyzer(self.graphs[node], self.loops)
        analyzer.visit_reverse()
        self.current_analyzer = analyzer
        node = self.generic_visit(node)
        self.current_analyzer = outer
        return node


def control_flow_pass(node, ctx):
    """Branches and loops become calls of operators."""
    graphs = cfg.build(node)
    node = qual_names.resolve(node)
    node = activity.resolve(node, ctx, None)
    node = reaching_definitions.resolve(node, ctx, graphs)
    node = reaching_fndefs.resolve(node, ctx, graphs)
    loops = {id(part.iter): part for part in ast.walk(node) if isinstance(part, ast.For)}
    node = Liveness(ctx, graphs, loops).visit(node)
    return control_flow.ControlFlowTransformer(ctx).visit(node)


class Factory:
    """Makes converted functions: one code object, bound to the globals and the closure of each function it stands for.

    Args:
        tree: the converted tree.
        context: malt's context of the conversion.
        function: the function that was converted; it is not kept.
    """

    def __init__(self, tree, context, function):
        code = function.__code__
        self.free = code.co_freevars
        tree = _wrapped(tree, context.info.name, self.free, context.info.future_features)
        finish(tree, code.co_firstlineno)
        compiled = compile(tree, code.co_filename, "exec", dont_inherit=True)
        namespace = {}
        exec(_renamed(compiled, context.info.name, code), namespace)
        self.code = namespace["outer_factory"]().__code__

    def made(self, function):
        """The converted form of a function that has the code that was converted."""
        cells = dict(zip(self.free, function.__closure__ or (), strict=True))
        closure = tuple([cells[name] for name in self.code.co_freevars])  # a directive may have been the only use of one
        converted = types.FunctionType(self.code, function.__globals__, closure=closure)(operators)
        converted.__defaults__ = function.__defaults__
        converted.__kwdefaults__ = function.__kwdefaults__
        return converted


def _wrapped(tree, name, free, future):
    """A module with a function that gives a function of `ag__` that gives the converted one, under the closure it had."""
    module = ast.parse(
        "".join(f"from __future__ import {feature}\n" for feature in future)
        + "def outer_factory():\n"
        + "".join(f" {variable} = None\n" for variable in free)
        + f" def inner_factory(ag__):\n  pass\n  return {name}\n return inner_factory"
    )
    module.body[-1].body[-2].body[0] = tree
    return module


def _renamed(code, name, original):
    """The code with the user's name on it and on the functions that conversion made of its statements."""
    prefix = f"outer_factory.<locals>.inner_factory.<locals>.{name}"

    def walk(code):
        parts = tuple([walk(x) if isinstance(x, types.CodeType) else x for x in code.co_consts])
        if code.co_name == name or code.co_name.rstrip("0123456789").rstrip("_") in GENERATED:
            return code.replace(co_consts=parts, co_name=original.co_name, co_qualname=original.co_qualname)
        return code.replace(co_consts=parts, co_qualname=code.co_qualname.replace(prefix, original.co_qualname, 1))

    return walk(code)


class Transpiler:
    """Converts functions by malt's passes, with tapeflow's operators, and knows the lines of the user's."""

    def __init__(self):
        self._lock = threading.RLock()
        self._factories = {}  # id of a code object: a weak reference to it, and its factories

    def transform_ast(self, node, ctx):
        """All passes, in order; one that has nothing to do is left out, as each walks the whole tree several times."""
        kinds = {type(part) for part in ast.walk(node)}
        uses = ctx.user.options.uses
        flow = not kinds.isdisjoint(FLOW)
        for part in ast.walk(node):
            if isinstance(part, ast.Name):  # what `variables` looks for: names of the user's
                anno.setanno(part, anno.Static.ORIG_DEFINITIONS, ())
        if _mentions(node, "set_loop_options") or any(x is loop_options for x in ctx.info.namespace.values()):
            node = Directives(ctx).visit(node)
        node = Scopes(ctx).visit(node)
        if ast.Break in kinds:
            node = break_statements.transform(node, ctx)
        if ast.Assert in kinds and uses(converter.Feature.ASSERT_STATEMENTS):
            node = Asserts(ctx).visit(node)
        if not kinds.isdisjoint((ast.Break, ast.Continue)):  # a `break` has become a `continue`
            node = continue_statements.transform(node, ctx)
        if flow and _returns_within(node):
            node = return_statements.transform(node, ctx)
        if uses(converter.Feature.LISTS):
            node = lists.transform(node, ctx)
            node = slices.transform(node, ctx)
        node = Calls(ctx).visit(node)
        if flow:
            node = control_flow_pass(node, ctx)
        if ast.IfExp in kinds:
            node = ConditionalExpressions(ctx).visit(node)
        if uses(converter.Feature.EQUALITY_OPERATORS) or any(map(_is_logical, ast.walk(node))):
            node = logical_expressions.transform(node, ctx)
        return variables.transform(node, ctx) if flow else node

    def factory(self, function, options):
        """The `Factory` of a Python function, made once for each code object and options.

        Raises:
            Untransformable: the function cannot be converted.
        """
        code = function.__code__
        with self._lock:
            entry = self._factories.get(id(code))
            if entry is None:
                forget = functools.partial(_forget, self._factories, id(code))
                entry = self._factories[id(code)] = (weakref.ref(code, forget), {})
            known = entry[1]
            if options not in known:
                try:
                    known[options] = self._convert(function, options)
                except Untransformable as error:
                    error.__context__ = None  # it is kept: it must hold no frames
                    known[options] = error.with_traceback(None)
        if isinstance(known[options], Untransformable):
            raise known[options]
        return known[options]

    def _convert(self, function, options):
        return Factory(*self.tree(function, options), function)

    def tree(self, function, options):
        """The converted tree of a function, and malt's context of the conversion.

        Raises:
            Untransformable: the function cannot be converted.
        """
        node = prepare(syntax_tree(function), function)
        for part in ast.walk(node):
            if hasattr(part, "end_lineno"):
                anno.setanno(part, ORIGIN, _origin(part))
        future = inspect_utils.getfutureimports(function)
        namespace = inspect_utils.getnamespace(function)
        namer = naming.Namer(namespace)
        name = namer.new_symbol(_converted_name(node), ())
        info = transformer.EntityInfo(name, "", "<fragment>", future, namespace)
        context = transformer.Context(info, namer, converter.ProgramContext(options))
        try:
            node = self.transform_ast(_without_defaults(node), context)
        except Exception as error:  # whatever malt cannot say better
            raise Untransformable(f"{type(error).__name__}: {error}") from error
        if isinstance(node, ast.Lambda):
            return ast.Assign([ast.Name(name, ast.Store())], node), context
        node.name = name
        return node, context


def _converted_name(node):
    """TensorFlow's name of a converted function."""
    return "tf__lam" if isinstance(node, ast.Lambda) else f"tf__{node.name}"


def _without_defaults(node):
    """A function's tree whose defaults are None: their values are known, their expressions belong to another place."""
    args = node.args
    args.defaults = [ast.Constant(None) for _ in args.defaults]
    args.kw_defaults = [x and ast.Constant(None) for x in args.kw_defaults]
    return node


def _mentions(node, name):
    """Whether a tree holds a name, alone or as an attribute."""
    return any(getattr(part, "attr", None) == name or getattr(part, "id", None) == name for part in ast.walk(node))


def _is_logical(node):
    """Whether a node is `and`, `or`, `not` or a chain of comparisons."""
    negation = isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)
    return negation or isinstance(node, ast.BoolOp) or (isinstance(node, ast.Compare) and len(node.ops) > 1)


def _returns_within(node):
    """Whether a branch or a loop holds a return statement."""
    return any(isinstance(part, FLOW) and any(isinstance(x, ast.Return) for x in ast.walk(part)) for part in ast.walk(node))


def _origin(node):
    """The place of a node; of a compound statement, its head."""
    head = getattr(node, "test", getattr(node, "iter", node))
    end = (head.end_lineno, head.end_col_offset)
    if isinstance(node, ast.stmt) and hasattr(node, "body") and end[0] != node.lineno:
        end = (node.lineno, node.col_offset)
    return (node.lineno, node.col_offset, *end)


def _forget(factories, key, reference):
    entry = factories.get(key)
    if entry is not None and entry[0] is reference:
        del factories[key]


def finish(tree, line):
    """Make a tree that malt has made fit for the compiler: places, contexts, lists where it has tuples."""
    _place(tree, (line, 0, line, 0))
    for part in ast.walk(tree):
        _set_targets(part)


def _place(node, origin):
    """Give each node the place that it comes from; one without has its parent's."""
    own = anno.getanno(node, ORIGIN, default=None)
    if own is None and isinstance(node, ast.Attribute):  # of a call that spans lines, Python shows the line where this ends
        origin = origin[:2] * 2
    origin = own or origin
    if "lineno" in node._attributes:
        node.lineno, node.col_offset, node.end_lineno, node.end_col_offset = origin
    if hasattr(node, "ctx"):
        node.ctx = ast.Load()
    for field in type(node)._fields:
        value = getattr(node, field, None)
        if isinstance(value, tuple):
            value = list(value)
            setattr(node, field, value)
        for child in value if isinstance(value, list) else (value,):
            if isinstance(child, ast.AST):
                _place(child, origin)


TARGETS = {
    ast.Assign: "targets",
    ast.AnnAssign: "target",
    ast.AugAssign: "target",
    ast.NamedExpr: "target",
    ast.For: "target",
    ast.comprehension: "target",
    ast.withitem: "optional_vars",
    ast.Delete: "targets",
}


def _set_targets(node):
    field = TARGETS.get(type(node))
    if field is not None:
        found = getattr(node, field)
        for target in found if isinstance(found, list) else (found,):
            _set_context(target, ast.Del if isinstance(node, ast.Delete) else ast.Store)


def _set_context(target, context):
    if hasattr(target, "ctx"):
        target.ctx = context()
        for part in (*getattr(target, "elts", ()), *([target.value] if isinstance(target, ast.Starred) else ())):
            _set_context(part, context)


TRANSPILER = Transpiler()

__all__ = ["TRANSPILER", "Transpiler"]
