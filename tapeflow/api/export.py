"""`export` gives public functions their TensorFlow names; `build` makes the namespaces (`tf.math`, `tf.nn`, ...) of them."""

import sys
import types

EXPORTS: dict[str, object] = {}


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


def build(root):
    """Set every exported name on the module `root` and on modules below it, which are made where they are missing."""
    for name, value in EXPORTS.items():
        *path, last = name.split(".")
        module = root
        for part in path:
            module = _submodule(module, part)
        setattr(module, last, value)


def _submodule(parent, name):
    found = getattr(parent, name, None)
    if isinstance(found, types.ModuleType):
        return found
    full = f"{parent.__name__}.{name}"
    module = sys.modules.get(full)
    if module is None:
        module = types.ModuleType(full, f"Public names of tf.{full.split('.', 1)[1]}.")
        module.__path__ = []  # `import tapeflow.math` finds it in sys.modules
        sys.modules[full] = module
    setattr(parent, name, module)
    return module
