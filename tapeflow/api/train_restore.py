"""Restoring: `Restoration` finds the objects of a checkpoint's values, now or when they are made, and statuses tell how it went."""

import collections
import itertools
import weakref

from tapeflow.api.framework import init_scope
from tapeflow.api.train_graph import GRAPH_KEY, ObjectGraph, attributes_of, node_names
from tapeflow.base.errors import DataLossError, InvalidArgumentError
from tapeflow.base.log import log
from tapeflow.base.shape import TensorShape
from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.tensor import wrap
from tapeflow.io.messages import message

_serial = itertools.count(1)


def graph_of(reader):
    """The graph of objects in a checkpoint.

    Raises:
        ValueError: it has none: it was written by TensorFlow 1.
        DataLossError: it is damaged.
    """
    from google.protobuf.message import DecodeError

    if GRAPH_KEY not in reader:
        raise ValueError(
            f'The specified checkpoint "{reader.prefix}" does not appear to be object-based (saved with TF2) since it is missing '
            f'the key "{GRAPH_KEY}". Likely it was created with the TF1 name-based saver and does not contain an object dependency '
            "graph. tf.train.load_checkpoint reads its values."
        )
    try:
        graph = message("TrackableObjectGraph").FromString(reader.array(GRAPH_KEY)[()])
    except DecodeError as error:
        raise DataLossError(None, None, f"corrupted graph of objects in {reader.prefix}: {error}") from error
    count = len(graph.nodes)
    if not count or any(not 0 <= child.node_id < count for node in graph.nodes for child in node.children):
        raise DataLossError(None, None, f"corrupted graph of {count} objects in {reader.prefix}: a child is missing")
    return graph


class Position:
    """A node of a checkpoint that waits for its object."""

    def __init__(self, restoration, number):
        self.restoration, self.number = restoration, number

    def restore(self, thing):
        """Give the node's values to an object, and those below it to the objects below."""
        self.restoration.restore(self.number, thing)


class Restoration:
    """The values of one checkpoint on their way to their objects.

    It holds objects weakly: an object with children to come holds it.

    Args:
        reader: the bundle.
        graph: its graph of objects.

    Attributes:
        uid: its number; later restorations have greater ones.
        objects: by the number of its node, the object that has taken it.
        unused: by the number of a node, its values that its object has no use for.
    """

    def __init__(self, reader, graph):
        self.reader, self.graph = reader, graph
        self.uid = next(_serial)
        self.objects = weakref.WeakValueDictionary()
        self.matched = set()
        self.unused = {}
        self.partial = False

    def restore(self, number, thing, attached=()):
        """Give a node's values to an object, and those below it to the objects below; what is not there yet waits.

        Args:
            number: the node's number.
            thing: the object.
            attached: further children of the object, by name.

        Raises:
            ValueError: a value's shape is not its object's. As with all errors, no object was changed.
            InvalidArgumentError: a value's dtype is not its object's.
            NotFoundError, DataLossError: a value is missing or damaged.
        """
        with init_scope():
            met, waiting = self._meet(number, thing, attached)
            values = {n: self._values(n, one) for n, one in met.items() if one._update_uid < self.uid}
            self.objects.update(met)
            self.matched.update(met)
            for parent, name, child in waiting:
                parent._deferred_dependencies.setdefault(name, []).append(Position(self, child))
            for n, tensors in values.items():
                if tensors:
                    met[n]._restore_from_tensors(tensors)
                met[n]._update_uid = self.uid

    def _meet(self, number, thing, attached):
        """The objects of the nodes from one on, breadth first, and whose children are not there: (parent, name, node)."""
        met, waiting, queue = {}, [], collections.deque([(number, thing)])
        while queue:
            number, thing = queue.popleft()
            if number in met or number in self.objects:
                continue
            met[number] = thing
            children = {**thing._trackable_children(), **dict(attached)}
            attached = ()
            for child in self.graph.nodes[number].children:
                there = thing._lookup_dependency(child.local_name, children)
                if there is not None:
                    queue.append((child.node_id, there))
                elif self._has_values(child.node_id):
                    waiting.append((thing, child.local_name, child.node_id))
        return met, waiting

    def _has_values(self, number):
        node = self.graph.nodes[number]
        if node.HasField("has_checkpoint_values"):
            return node.has_checkpoint_values.value
        return bool(node.children or node.attributes or node.slot_variables or node.HasField("registered_saver"))

    def _values(self, number, thing):
        """The tensors of a node for its object, by the object's names for them."""
        wanted = dict(attributes_of(thing))
        found = {}
        for attribute in self.graph.nodes[number].attributes:
            if attribute.name not in wanted:
                self.unused.setdefault(number, []).append(attribute.name)
                continue
            for ending, tensor in wanted[attribute.name].items():
                key = attribute.checkpoint_key + ending
                value = wrap(self.reader.array(key))
                _check(key, value, thing, convert_to_tensor(tensor))
                found[ending or attribute.name] = value
        return found

    def __del__(self):
        if self.partial:
            return
        left = self.unmatched()
        if left or self.unused:
            names = node_names(self.graph)
            log.warning(
                "Detecting that an object or model or tf.train.Checkpoint is being deleted with unrestored values. "
                "`status.expect_partial()` silences these warnings."
            )
            for number in left:
                log.warning("Value in checkpoint could not be found in the restored object: %s", names.get(number))
            for number, attributes in self.unused.items():
                log.warning("Object %s has no use for the checkpoint's %s", names.get(number), attributes)

    def unmatched(self):
        """The numbers of the nodes with values whose object has not come."""
        return [n for n, node in enumerate(self.graph.nodes) if node.attributes and n not in self.matched]


def _check(key, value, thing, now):
    """Whether a value fits in the place of the present one; that of a variable may have another shape where it allows it."""
    if value.dtype is not now.dtype:
        raise InvalidArgumentError(
            None,
            None,
            f"tensor_name = {key}; expected dtype {now.dtype.name} does not equal original dtype {value.dtype.name} [Op:RestoreV2]",
        )
    shape = getattr(thing, "shape", None)
    if shape is not None and not TensorShape(shape).is_compatible_with(value.shape):
        raise ValueError(
            f"Received incompatible tensor with shape {value.shape} when attempting to restore variable with shape {shape} and "
            f"name {getattr(thing, 'name', key)}."
        )


class CheckpointLoadStatus:
    """How far the values of a checkpoint have found their objects.

    Args:
        restoration: the `Restoration`.
        checkpoint: the `tf.train.Checkpoint` that restores.
    """

    def __init__(self, restoration, checkpoint):
        self._restoration, self._checkpoint = restoration, checkpoint

    def _unbound(self):
        """The objects with values of their own below the root that have no node."""
        graph = ObjectGraph(*self._checkpoint._roots())
        bound = {id(thing) for thing in self._restoration.objects.values()}
        return [thing for thing in graph.objects if id(thing) not in bound and attributes_of(thing)]

    def assert_consumed(self):
        """Check that all values were taken, and that all objects have one. Returns the status.

        Raises:
            AssertionError: a value without an object, or an object without a value.
        """
        self.assert_existing_objects_matched()
        restoration, names = self._restoration, node_names(self._restoration.graph)
        for number, node in enumerate(restoration.graph.nodes):
            if node.attributes and restoration.objects.get(number) is None:
                raise AssertionError(f"Unresolved object in checkpoint {names.get(number)}: {node}")
        if restoration.unused:
            lines = [f"{names[n]} ({restoration.objects[n]}): {unused}" for n, unused in restoration.unused.items()]
            text = "Unused attributes in these objects (the attributes exist in the checkpoint but were not restored):\n"
            raise AssertionError(text + "\n".join(lines))
        return self

    def assert_existing_objects_matched(self):
        """Check that all objects that there are have a value in the checkpoint. Returns the status.

        Raises:
            AssertionError: an object has none.
        """
        unbound = self._unbound()
        if unbound:
            count, shown = len(unbound), min(10, len(unbound))
            raise AssertionError(
                f"Found {count} Python objects that were not bound to checkpointed values, likely due to changes in the Python "
                f"program. Showing {shown} of {count} unmatched objects: {unbound[:shown]}"
            )
        return self

    def assert_nontrivial_match(self):
        """Check that more than the root was found in the checkpoint. Returns the status.

        Raises:
            AssertionError: nothing but the root.
        """
        if any(number != 0 for number in self._restoration.matched):
            return self
        unbound = self._unbound()
        if not unbound:
            raise AssertionError(f"Nothing to load. No dependencies have been added to {self._checkpoint._roots()[0]} yet.")
        raise AssertionError(
            "Nothing except the root object matched a checkpointed value. Typically this means that the checkpoint does not match "
            f"the Python program. The following objects have no matching checkpointed value: {unbound}"
        )

    def expect_partial(self):
        """Do not warn of values that no object took. Returns the status."""
        self._restoration.partial = True
        return self

    def initialize_or_restore(self, session=None):
        """Nothing: values are restored when their objects are there."""

    run_restore_ops = initialize_or_restore


class InitializationOnlyStatus:
    """The status where there was no checkpoint to restore (`save_path=None`): all assertions fail."""

    def assert_consumed(self):
        """Raise AssertionError: nothing is restored."""
        raise AssertionError("No checkpoint specified (save_path=None); nothing is being restored.")

    assert_existing_objects_matched = assert_nontrivial_match = assert_consumed

    def run_restore_ops(self, session=None):
        """Raise AssertionError: nothing is restored."""
        raise AssertionError("No checkpoint specified, so no restore ops are available (save_path=None to Saver.restore).")

    def expect_partial(self):
        """Returns the status."""
        return self

    def initialize_or_restore(self, session=None):
        """Nothing: variables have their initial values."""
