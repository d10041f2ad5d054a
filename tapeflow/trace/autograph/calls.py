"""Calls from converted code: what is called is converted in its turn, or left as it is."""

import functools
import inspect
import sys
import types
import weakref

from tapeflow.trace.autograph import source
from tapeflow.trace.autograph.builtins import call_builtin
from tapeflow.trace.autograph.log import log, warn
from tapeflow.trace.autograph.malt import converter, py_builtins
from tapeflow.trace.autograph.status import status

# Wrappers of the standard library call the user's function, which is to be converted; nothing else of it is.
USER_WRAPPERS = frozenset({"contextlib", "functools"})
LIBRARIES = frozenset(
    {"PIL", "_pytest", "absl", "hypothesis", "jax", "keras", "malt", "matplotlib", "numpy", "pandas", "pytest", "scipy",
     "sklearn", "tapeflow", "tensorflow", "tensorflow_datasets", "tensorflow_probability", "tf_keras", "torch"}
)  # fmt: skip
OURSELVES = frozenset({"malt", "tapeflow", "tensorflow"})
GENERATORS = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
ARTIFACT = "autograph_info__"

make_options = functools.lru_cache(maxsize=64)(converter.ConversionOptions)


def options_of(features=(), recursive=True):
    """malt's options for a function that is to be converted; conversion of `assert` is always among them."""
    features = tuple(features or ()) if isinstance(features, (list, tuple, set, frozenset, type(None))) else (features,)
    chosen = {converter.Feature.ASSERT_STATEMENTS, *[converter.Feature[feature.name] for feature in features]}
    return make_options(recursive=recursive, user_requested=True, optional_features=frozenset(chosen))


def artifact(function):
    """Mark a function as converted, or as not to be converted: it is called as it is."""
    setattr(getattr(function, "__func__", function), ARTIFACT, None)
    return function


def left_alone(module):
    """The library that a module belongs to, where AutoGraph does not convert it; else None."""
    name = module.partition(".")[0]
    standard = name in sys.stdlib_module_names and name not in USER_WRAPPERS
    return name if name in LIBRARIES or standard else None


def target_of(function):
    """The Python function that calling `function` runs, and the arguments that come first; (None, ()) if there is none."""
    first = ()
    while isinstance(function, types.MethodType):
        first = (function.__self__, *first)
        function = function.__func__
    if isinstance(function, types.FunctionType):
        return function, first
    if isinstance(function, type):
        return None, ()  # a constructor
    call = inspect.getattr_static(type(function), "__call__", None)
    return (call, (function, *first)) if isinstance(call, types.FunctionType) else (None, ())


def why_not(function, first=(), requested=False):
    """Why a Python function is called as it is, in a few words; None where it is converted.

    A function that was itself decorated, or handed to `tf.function` or a dataset (`requested`), is converted in whatever library it
    stands; the functions that it calls there are not.
    """
    if hasattr(function, ARTIFACT):
        return "it is decorated with tf.autograph.experimental.do_not_convert"
    code = function.__code__
    library = left_alone(function.__globals__.get("__name__") or "")
    if library is not None and not (requested and library not in OURSELVES):
        return f"AutoGraph leaves the library {library} as it is"
    if code.co_flags & GENERATORS:
        return "AutoGraph does not convert generators and coroutines"
    if code.co_filename == "<string>":
        return "its source code is not available"
    unittest = sys.modules.get("unittest")
    if unittest is not None and first and isinstance(first[0], unittest.TestCase):
        return "AutoGraph does not convert the methods of a TestCase"
    return None


def converted_call(function, args, kwargs, scope=None, options=None):
    """Call a function from converted code.

    Args:
        function: any callable.
        args: its positional arguments, a tuple.
        kwargs: its keyword arguments, a dict, or None.
        scope: the `FunctionScope` of the caller.
        options: malt's options, where there is no scope.
    """
    kwargs = kwargs or {}
    options = scope.callopts if options is None else options
    while isinstance(function, functools.partial):
        args, kwargs, function = (*function.args, *args), {**function.keywords, **kwargs}, function.func
    if isinstance(function, (types.BuiltinFunctionType, type)):
        special = SPECIAL.get(function) if function.__module__ == "builtins" else None
        return special(function, args, scope) if special is not None else call_builtin(function, args, kwargs)
    if status.enabled is False or not (options.internal_convert_user_code or options.user_requested):
        return function(*args, **kwargs)
    target, first = target_of(function)
    if target is None or why_not(target, first, options.user_requested) is not None:
        return function(*args, **kwargs)
    converted = converted_function(target, options)
    return function(*args, **kwargs) if converted is None else converted(*first, *args, **kwargs)


def converted_function(function, options):
    """The converted form of a Python function; None where it cannot be converted, which is said once."""
    from tapeflow.trace.autograph.transpiler import TRANSPILER

    code = function.__code__
    try:
        factory = TRANSPILER.factory(function, options)
    except source.Untransformable as error:
        if id(code) not in failures:
            failures[id(code)] = weakref.ref(code, functools.partial(_forget, id(code))), error
            warn(function, error)
        return None
    log.debug("AutoGraph calls %s converted.", function)
    return factory.made(function)


def _forget(key, reference):
    failures.pop(key, None)


# The code objects that could not be converted, by id: a weak reference, and the error that says why.
failures: dict[int, tuple] = {}

SPECIAL = {
    eval: lambda f, args, scope: py_builtins.eval_in_original_context(f, args, scope),
    globals: lambda f, args, scope: py_builtins.globals_in_original_context(scope),
    locals: lambda f, args, scope: py_builtins.locals_in_original_context(scope),
    super: lambda f, args, scope: py_builtins.super_in_original_context(f, args, scope),
}

__all__ = [
    "artifact",
    "converted_call",
    "converted_function",
    "failures",
    "left_alone",
    "options_of",
    "target_of",
    "why_not",
]
