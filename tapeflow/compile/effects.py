"""What nodes with effects do to variables."""

from tapeflow.core.graph import graphs_in

OWN = {"read_variable", "update_variable"}
# Effects that neither look at variables nor change them.
BLIND = {"assert_that", "iterator_next", "iterator_next_optional", "timestamp"}


def is_blind(node):
    """Whether a node's effects, if it has any, have nothing to do with variables."""
    graphs = graphs_in(node.attrs)
    if graphs and not node.op.stateful:
        return all(is_blind(inner) for graph in graphs for inner in graph.nodes)
    return not node.op.stateful or node.op.name in BLIND


def is_barrier(node):
    """Whether a node is other code that may look at variables or assign them: their values are in their places when it runs."""
    return node.op.name not in OWN and not is_blind(node)


def asserts(node):
    """Whether a node may find that something does not hold: what comes before it has happened then, what comes after has not."""
    return node.op.name == "assert_that" or any(asserts(inner) for graph in graphs_in(node.attrs) for inner in graph.nodes)


def assigned_by(node):
    """The ids of the variables that a node may assign; None where it may be any, for it calls Python."""
    if node.op.name == "py_call":
        return None
    variable = node.attrs.get("variable", getattr(node.attrs.get("source"), "variable", None))
    found = set() if variable is None or node.op.name == "read_variable" else {id(variable)}
    for graph in graphs_in(node.attrs):
        for inner in graph.nodes:
            more = assigned_by(inner)
            if more is None:
                return None
            found |= more
    return found


def is_static_update(node):
    """Whether a node assigns to a variable of known shape a value of that shape."""
    if node.op.name != "update_variable":
        return False
    dims = node.attrs["variable"]._shape._dims
    return dims is not None and None not in dims and node.inputs[0].dims == dims


class Changes:
    """Where in a graph a variable's value, once read, is changed.

    Attributes:
        change: id of a value that was read -> the position of the first node after it that may assign the variable.
        barrier: the same for the first barrier from there on: whatever is computed of the old value, is computed before it.
        final: the ids of the results of updates after which nothing assigns the variable.
    """

    def __init__(self, graph):
        self.change, self.barrier, self.final = {}, {}, set()
        after = {}  # id of a variable, None for any -> the position of its next change
        barrier = None  # the position of the next barrier
        barriers = {}  # the position of a change -> that of the first barrier from there on
        for position, node in reversed(list(enumerate(graph.nodes))):
            if node.op.name in OWN:
                places = [after[key] for key in (id(node.attrs["variable"]), None) if key in after]
            if node.op.name == "read_variable":
                if places:
                    change = self.change[id(node.outputs[0])] = min(places)
                    if barriers[change] is not None:
                        self.barrier[id(node.outputs[0])] = barriers[change]
            elif node.op.name == "update_variable":
                if not places:
                    self.final.add(id(node.outputs[0]))
                after[id(node.attrs["variable"])] = position
                barriers[position] = barrier
            elif is_barrier(node) or asserts(node):
                barrier = barriers[position] = position
                assigned = assigned_by(node)
                after.update(dict.fromkeys([None] if assigned is None else assigned, position))


__all__ = ["BLIND", "Changes", "asserts", "assigned_by", "is_barrier", "is_blind", "is_static_update"]
