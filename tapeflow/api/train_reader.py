"""`tf.train.load_checkpoint` and its kin: what stands in a checkpoint, without the objects that it came from."""

import os

from tapeflow.api.export import export
from tapeflow.api.train_graph import ObjectGraph
from tapeflow.api.train_restore import graph_of
from tapeflow.api.train_state import latest_checkpoint
from tapeflow.core.tracking import Trackable
from tapeflow.io.bundle import BundleReader
from tapeflow.io.files import path_of


class CheckpointReader:
    """The tensors of a checkpoint by their keys; made by `tf.train.load_checkpoint`."""

    def __init__(self, filename):
        self._bundle = BundleReader(filename)

    def get_variable_to_shape_map(self):
        """The shapes of all tensors, as lists, by their keys."""
        return {key: list(self._bundle.shape(key)) for key in self._bundle.names()}

    def get_variable_to_dtype_map(self):
        """The `DType`s of all tensors by their keys."""
        return {key: self._bundle.dtype(key) for key in self._bundle.names()}

    def has_tensor(self, tensor_str):
        """Whether there is a tensor of a key."""
        return tensor_str in self._bundle

    def get_tensor(self, tensor_str):
        """A tensor as an array, a scalar as a NumPy scalar or `bytes`.

        Raises:
            NotFoundError: there is no such key.
            DataLossError: the file is damaged.
        """
        return self._bundle.array(_text(tensor_str))[()]

    def debug_string(self):
        """A line for each tensor: its key, dtype and shape, as bytes."""
        lines = []
        for key in self._bundle.names():
            shape = ",".join(map(str, self._bundle.shape(key)))
            lines.append(f"{key} ({self._bundle.dtype(key).name}) [{shape}]\n")
        return "".join(lines).encode()


def _text(key):
    return key.decode() if isinstance(key, bytes) else key


def _path_of_one(name):
    """The path of a checkpoint, or of the last one in a folder.

    Raises:
        ValueError: a folder without checkpoints.
    """
    path = path_of(name)
    if not os.path.isdir(path):
        return path
    last = latest_checkpoint(path)
    if last is None:
        raise ValueError(f"Couldn't find 'checkpoint' file or checkpoints in given directory {path}")
    return last


@export("train.load_checkpoint")
def load_checkpoint(ckpt_dir_or_file):
    """A reader of a checkpoint, TensorFlow's or ours.

    Args:
        ckpt_dir_or_file: its path, or a folder, for the last one in it.

    Returns:
        An object with `get_tensor(key)`, `has_tensor(key)`, `get_variable_to_shape_map()`, `get_variable_to_dtype_map()`.

    Raises:
        ValueError: a folder without checkpoints.
        NotFoundError: there is no such checkpoint.
        DataLossError: it is damaged.

    Example:
        >>> import tapeflow as tf, tempfile
        >>> path = tf.train.Checkpoint(v=tf.Variable([1.0, 2.0])).write(tempfile.mkdtemp() + "/x")
        >>> tf.train.load_checkpoint(path).get_tensor("v/.ATTRIBUTES/VARIABLE_VALUE")
        array([1., 2.], dtype=float32)
    """
    return CheckpointReader(_path_of_one(ckpt_dir_or_file))


@export("train.load_variable")
def load_variable(ckpt_dir_or_file, name):
    """One tensor of a checkpoint as an array.

    Args:
        ckpt_dir_or_file: the checkpoint's path, or a folder, for the last one in it.
        name: the tensor's key.

    Raises:
        ValueError: a folder without checkpoints.
        NotFoundError: there is no such checkpoint, or no such key.
        DataLossError: it is damaged.

    Example:
        >>> import tapeflow as tf, tempfile
        >>> path = tf.train.Checkpoint(v=tf.Variable(3)).write(tempfile.mkdtemp() + "/x")
        >>> int(tf.train.load_variable(path, "v/.ATTRIBUTES/VARIABLE_VALUE"))
        3
    """
    return load_checkpoint(ckpt_dir_or_file).get_tensor(name.removesuffix(":0"))


@export("train.list_variables")
def list_variables(ckpt_dir_or_file):
    """The keys and shapes of all tensors of a checkpoint, as pairs.

    Args:
        ckpt_dir_or_file: the checkpoint's path, or a folder, for the last one in it.

    Raises:
        ValueError: a folder without checkpoints.
        NotFoundError: there is no such checkpoint.
        DataLossError: it is damaged.

    Example:
        >>> import tapeflow as tf, tempfile
        >>> path = tf.train.Checkpoint(v=tf.Variable([1.0, 2.0])).write(tempfile.mkdtemp() + "/x")
        >>> tf.train.list_variables(path)
        [('_CHECKPOINTABLE_OBJECT_GRAPH', []), ('v/.ATTRIBUTES/VARIABLE_VALUE', [2])]
    """
    return sorted(load_checkpoint(ckpt_dir_or_file).get_variable_to_shape_map().items())


@export("train.TrackableView")
class TrackableView:
    """The objects below a root, as a checkpoint of it would have them.

    Example:
        >>> import tapeflow as tf
        >>> module = tf.Module()
        >>> module.v = tf.Variable(1.0)
        >>> view = tf.train.TrackableView(module)
        >>> list(view.children(module)), len(view.descendants())
        (['v'], 2)
    """

    def __init__(self, root):
        self._root = root

    root = property(lambda self: self._root, doc="The root.")

    @classmethod
    def children(cls, obj, save_type="checkpoint", **kwargs):
        """The children of an object by name."""
        return obj._trackable_children(save_type, **kwargs)

    def descendants(self):
        """All objects from the root on, breadth first."""
        return ObjectGraph(self._root, {}).objects


@export("train.CheckpointView")
class CheckpointView:
    """The nodes of a checkpoint's graph of objects, by their numbers; 0 is the root.

    Args:
        save_path: the checkpoint's path.

    Raises:
        NotFoundError: there is no such checkpoint.
        ValueError: it has no such graph.

    Example:
        >>> import tapeflow as tf, tempfile
        >>> path = tf.train.Checkpoint(v=tf.Variable(1.0)).write(tempfile.mkdtemp() + "/x")
        >>> view = tf.train.CheckpointView(path)
        >>> view.children(0), view.descendants()
        ({'v': 1}, [0, 1])
    """

    def __init__(self, save_path):
        self._graph = graph_of(BundleReader(save_path))

    def children(self, node_id):
        """The numbers of the children of a node, by name."""
        return {child.local_name: child.node_id for child in self._graph.nodes[node_id].children}

    def descendants(self):
        """The numbers of all nodes from the root on, breadth first."""
        found = [0]
        for number in found:  # it grows meanwhile
            found += [child for child in dict.fromkeys(self.children(number).values()) if child not in found]
        return found

    def match(self, obj):
        """Which objects the nodes are, from an object as the root on: a dict from numbers to objects.

        Raises:
            ValueError: `obj` is no trackable object.
        """
        if not isinstance(obj, Trackable):
            raise ValueError(f"Expected a Trackable, got {obj} of type {type(obj)}.")
        found = {0: obj}
        queue = [0]
        for number in queue:  # it grows meanwhile
            there = found[number]._trackable_children()
            for name, child in self.children(number).items():
                if name in there and child not in found:
                    found[child] = there[name]
                    queue.append(child)
        return found
