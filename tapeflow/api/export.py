"""`export` gives public functions their TensorFlow names; `build` makes the namespaces (`tf.math`, `tf.nn`, ...) of them."""

import importlib
import sys
import types

EXPORTS: dict[str, object] = {}
V1 = "compat.v1."
LATER: dict[str, str] = {}  # the names whose values stand in a module that is imported when one of them is asked for


def export(*names):
    """Make a function or class public under TensorFlow's names, such as `export("add", "math.add")`."""

    def register(value):
        export_value(value, *names)
        return value

    return register


def export_value(value, *names):
    """Make a constant (a dtype, an alias) public under some names."""
    for name in names:
        if name in EXPORTS and EXPORTS[name] is not value:
            raise ValueError(f"tf.{name} is exported twice: {EXPORTS[name]!r} and {value!r}.")
        EXPORTS[name] = value


def export_later(source, *names):
    """Make names public that the module `source` exports: it is imported when one of them is first asked for."""
    for name in names:
        LATER[name] = source


def public(name):
    """The value of a public name, for functions of other areas that are wanted only when a function runs."""
    if name not in EXPORTS and name in LATER:
        importlib.import_module(LATER[name])
    return EXPORTS[name]


def build(root):
    """Set every exported name on the module `root` and on modules below it, which are made where they are missing."""
    for name, value in EXPORTS.items():
        _set(*_home(root, name), value)
    for name in LATER:
        module, _ = _home(root, name)
        if "__getattr__" not in vars(module):
            module.__getattr__ = _loader(root, module, name.rpartition(".")[0])


def _set(module, name, value):
    """Give a module a public name. A function that its own module has not, or has as another one, is pickled by that name."""
    setattr(module, name, value)
    if value.__class__ is types.FunctionType:
        own = sys.modules.get(value.__module__)
        if own is None or vars(own).get(value.__qualname__) is not value:
            value.__module__, value.__qualname__ = module.__name__, name


def _home(root, name):
    """The module in which a public name stands, and its last part."""
    *path, last = name.split(".")
    module = root
    for part in path:
        module = _submodule(module, part)
    return module, last


def _loader(root, module, path):
    """The `__getattr__` of a module some of whose names come later."""

    def load(attribute):
        source = LATER.get(f"{path}.{attribute}")
        if source is None:
            if f"{path}.".startswith(V1) and not attribute.startswith("_"):
                return _as_before(root, module, f"{path}.{attribute}".removeprefix(V1))
            raise AttributeError(f"module {module.__name__!r} has no attribute {attribute!r}")
        importlib.import_module(source)
        for name in [name for name, other in LATER.items() if other == source]:
            _set(*_home(root, name), EXPORTS[name])
        return vars(module)[attribute]

    return load


def _as_before(root, module, name):
    """Find a name of `tf.compat.v1`, and set it on `module`."""
    from tapeflow.api import compat_v1

    value, last = compat_v1.find(root, name), name.rpartition(".")[2]
    if compat_v1.is_namespace(value):
        value = _submodule(module, last)
    setattr(module, last, value)
    return value


def _submodule(parent, name):
    found = vars(parent).get(name)
    if isinstance(found, types.ModuleType):
        return found
    full = f"{parent.__name__}.{name}"
    module = sys.modules.get(full)
    if module is None:
        module = types.ModuleType(full, f"Public names of tf.{full.split('.', 1)[1]}.")
        module.__path__ = []  # `import tapeflow.math` finds it in sys.modules
        sys.modules[full] = module
        if f"{full}.".startswith(f"tapeflow.{V1}"):
            module.__getattr__ = _loader(sys.modules["tapeflow"], module, full.removeprefix("tapeflow."))
    setattr(parent, name, module)
    return module
