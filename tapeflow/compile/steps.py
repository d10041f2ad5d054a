"""The plain steps of a plan; those of library calls, loops and assertions stand with what writes them."""

from tapeflow.compile.memory import bytes_of


class Loops:
    """A step that is a loop kernel."""

    native = True

    def __init__(self, group, kernel, keys):
        self.group = group
        self.kernel = kernel
        self.keys = keys
        self.failures = None  # the offset of the cells for the number of an error and a value


class Copy:
    """A step that copies a value to another place."""

    native = True

    def __init__(self, source, target, value):
        self.keys = [source, target]
        self.value = value
        self.count = bytes_of(value)


class Host:
    """A step that is Python: a node run on its NumPy kernel.

    Attributes:
        why: for a branch or a loop: what in it needs Python.
    """

    native = False

    def __init__(self, node, why=None):
        self.node = node
        self.why = why


class Unfit(Exception):
    """A nested graph needs Python, so whatever runs it does.

    Args:
        why: what in it does, for people.
    """

    def __init__(self, why):
        super().__init__(why)
        self.why = why


__all__ = ["Copy", "Host", "Loops", "Unfit"]
