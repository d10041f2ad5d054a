"""Standing in for `tensorflow`: the module alias, Keras on top, and the internal names that libraries import."""

from tapeflow.compat.alias import install_as_tensorflow, install_finder, load_keras

__all__ = ["install_as_tensorflow", "install_finder", "load_keras"]
