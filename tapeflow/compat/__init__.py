"""Standing in for `tensorflow`: the module alias, Keras on top, and the internal names that libraries import."""

from tapeflow.compat.alias import install_as_tensorflow, install_finder, load_keras
from tapeflow.compat.later import function_for

__all__ = ["function_for", "install_as_tensorflow", "install_finder", "load_keras"]
