"""`log`: the logger through which the package speaks to people. `logging` is loaded when the first word is said."""

import sys


class _Logger:
    """`logging.getLogger("tapeflow")`, found when it is used: importing `logging` takes a twentieth of the import."""

    def __init__(self, name):
        self.name = name

    def debug(self, *words):
        """Say what only those hear who have asked `logging` for it: where it is not loaded, nobody has."""
        if "logging" in sys.modules:
            self.__getattr__("debug")(*words)

    def __getattr__(self, name):
        import logging

        return getattr(logging.getLogger(self.name), name)


log = _Logger("tapeflow")
autograph_log = _Logger("tapeflow.autograph")

__all__ = ["autograph_log", "log"]
