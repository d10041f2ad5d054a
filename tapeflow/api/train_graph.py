"""The graph of the objects below a root, as a checkpoint holds it: who is whose child by which name, and who has which values."""

import collections

from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.tracking import Container
from tapeflow.io.messages import message

GRAPH_KEY = "_CHECKPOINTABLE_OBJECT_GRAPH"
ATTRIBUTES = ".ATTRIBUTES"


def escaped(name):
    """A child's name as a part of a path.

    Example:
        >>> escaped("a/b.c")
        'a.Sb..c'
    """
    return name.replace(".", "..").replace("/", ".S")


class ObjectGraph:
    """What is reached from a root, breadth first, each object once.

    Args:
        root: a trackable object.
        attached: further children of the root, by name.

    Attributes:
        objects: the objects; their places are their numbers in a checkpoint.
        paths: for each object the names on the shortest way to it.
        children: for each object its children's numbers by name.
    """

    def __init__(self, root, attached):
        self.objects, self.paths, self.children = [root], [()], []
        numbers = {_identity(root): 0}
        queue = collections.deque([0])
        while queue:
            number = queue.popleft()
            found = dict(self.objects[number]._trackable_children())
            if number == 0:
                found.update(attached)
            self.children.append({})
            for name, child in found.items():
                key = _identity(child)
                if key not in numbers:
                    numbers[key] = len(self.objects)
                    queue.append(numbers[key])
                    self.objects.append(child)
                    self.paths.append((*self.paths[number], name))
                self.children[number][name] = numbers[key]

    def serialized(self):
        """What a checkpoint of these objects holds: pairs of dtype and array, by name."""
        graph, found = message("TrackableObjectGraph")(), {}
        for thing, path, children in zip(self.objects, self.paths, self.children, strict=True):
            node = graph.nodes.add()
            for name, number in children.items():
                node.children.add(node_id=number, local_name=name)
            prefix = "/".join(map(escaped, path)) + f"/{ATTRIBUTES}/"
            for attribute, keys in attributes_of(thing):
                key = prefix + escaped(attribute)
                node.attributes.add(name=attribute, full_name=_full_name(thing), checkpoint_key=key)
                for ending, tensor in keys.items():
                    tensor = convert_to_tensor(tensor)
                    found[key + ending] = tensor.dtype, tensor._value
        for node, has_values in zip(graph.nodes, _with_values(graph), strict=True):
            node.has_checkpoint_values.value = has_values
        text = convert_to_tensor(graph.SerializeToString())
        found[GRAPH_KEY] = text.dtype, text._value
        return found


def _identity(thing):
    """What tells an object from others: containers are found anew at every walk."""
    return id(thing.container) if isinstance(thing, Container) else id(thing)


def _full_name(thing):
    """The name of a variable, by which checkpoints without a graph know it."""
    return getattr(thing, "_shared_name", "")


def attributes_of(thing):
    """The attributes of an object in a checkpoint: pairs of a name, and tensors by what follows it in their keys.

    Each value of an object is an attribute, but those of an object with a `_saveable_name` are one of that name together.
    """
    try:
        tensors = thing._serialize_to_tensors()
    except NotImplementedError:
        return []
    together = getattr(thing, "_saveable_name", None)
    return [(together, tensors)] if together else [(name, {"": tensor}) for name, tensor in tensors.items()]


def _with_values(graph):
    """Whether each node of a graph, or one that is reached from it, has values."""
    parents = collections.defaultdict(list)
    for number, node in enumerate(graph.nodes):
        for child in node.children:
            parents[child.node_id].append(number)
    found = [bool(node.attributes) for node in graph.nodes]
    queue = [number for number, has_values in enumerate(found) if has_values]
    while queue:
        for parent in parents[queue.pop()]:
            if not found[parent]:
                found[parent] = True
                queue.append(parent)
    return found


def node_names(graph):
    """Words for each node of a checkpoint's graph, such as `(root).model.w`."""
    names, queue = {0: "(root)"}, collections.deque([0])
    while queue:
        number = queue.popleft()
        for child in graph.nodes[number].children:
            if child.node_id not in names:
                names[child.node_id] = f"{names[number]}.{child.local_name}"
                queue.append(child.node_id)
    for number, node in enumerate(graph.nodes):
        for slot in node.slot_variables:
            of = names.get(slot.original_variable_node_id)
            names[slot.slot_variable_node_id] = f"{names.get(number)}'s state '{slot.slot_name}' for {of}"
    return names
