"""The places of a plan: slots of the pointer table, offsets in the arena, what is borrowed of the plan around; results, variables."""

# Slots of the pointer table: the arena, and memory that library calls work in, one after another.
ARENA, WORKSPACE = range(2)


class Place:
    """Where a value is: in a slot of the table (`slot`, offset 0), or at an offset in the arena."""

    __slots__ = ("offset", "slot")

    def __init__(self, slot, offset=0):
        self.slot = slot
        self.offset = offset


class Borrowed:
    """A place that the plan around a nested plan has."""

    __slots__ = ("key", "plan")

    def __init__(self, plan, key):
        self.plan = plan
        self.key = key


class RowPlace:
    """A row of an array, at a key of a plan, by a counter at another one."""

    def __init__(self, plan, array, counter, dtype, size):
        self.plan = plan
        self.array = array
        self.counter = counter
        self.dtype = dtype  # of the counter
        self.size = size  # bytes of a row


class Output:
    """A stored value that the graph returns; `place` is None where it is not native code that makes it."""

    def __init__(self, value, number):
        self.value = value
        self.number = number
        self.place = None


class Held:
    """A variable that native code reads or writes.

    Attributes:
        variable: the variable.
        place: a slot for an array, a cell for a scalar.
        spec: its shape and dtype.
        written: whether it is assigned; then its buffer must be the variable's alone.
    """

    def __init__(self, variable, place, spec, written=False):
        self.variable = variable
        self.place = place
        self.spec = spec
        self.written = written


__all__ = ["ARENA", "WORKSPACE", "Borrowed", "Held", "Output", "Place", "RowPlace"]
