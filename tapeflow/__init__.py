"""TensorFlow 2 in readable Python: eager tensors, gradient tapes and Keras 3, under TensorFlow's names and semantics."""

import sys
import warnings

import numpy  # first: when a module of ours is the first to import it, numpy._typing takes 15 to 50 ms longer

# NumPy's floating point warnings about our own arithmetic are not the user's: 1/0 is inf here, as in TensorFlow.
warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"tapeflow\.")

from tapeflow import api, compat  # noqa: E402
from tapeflow.api.export import LATER, build, public  # noqa: E402
from tapeflow.base.heap import keep_freed_memory  # noqa: E402

OF_KERAS = ("initializers", "losses", "metrics", "optimizers")  # its modules that have these names here, too
__version__ = "2.21.0+tapeflow.0.1"

keep_freed_memory()
build(sys.modules[__name__])
compat.install_finder()


def __getattr__(name):
    if name in LATER:
        value = globals()[name] = public(name)
        return value
    # Keras is loaded when it is first asked for: importing it takes longer than all of tapeflow.
    if name == "keras" or name in OF_KERAS:
        module = compat.load_keras()
        value = globals()[name] = module if name == "keras" else getattr(module, name)
        return value
    raise AttributeError(f"module 'tapeflow' has no attribute {name!r}")
