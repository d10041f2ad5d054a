"""`tf.train.Checkpoint`: objects' values in TensorFlow's own files, found again by the names of the objects' attributes."""

import copy
import os
import weakref

from tapeflow.api.export import export
from tapeflow.api.tracking import AutoTrackable
from tapeflow.api.train_graph import ObjectGraph
from tapeflow.api.train_restore import CheckpointLoadStatus, InitializationOnlyStatus, Restoration, graph_of
from tapeflow.api.train_state import update_checkpoint_state
from tapeflow.base.dtypes import int64
from tapeflow.base.errors import NotFoundError
from tapeflow.core.state import state
from tapeflow.core.tracking import CONTAINERS, Trackable, as_trackable
from tapeflow.core.variable import Variable
from tapeflow.io.bundle import BundleReader, write_bundle
from tapeflow.io.files import path_of


@export("train.CheckpointOptions")
class CheckpointOptions:
    """How checkpoints are written and read; the options of devices, threads and shards are only remembered.

    Args:
        experimental_write_callbacks: functions that are called when a checkpoint is written, with its path or nothing.
    """

    def __init__(
        self,
        experimental_io_device=None,
        experimental_enable_async_checkpoint=False,
        experimental_write_callbacks=None,
        enable_async=False,
        experimental_skip_slot_variables=False,
        experimental_sharding_callback=None,
    ):
        self.experimental_io_device = experimental_io_device
        self.enable_async = experimental_enable_async_checkpoint or enable_async
        self.experimental_enable_async_checkpoint = self.enable_async
        self.experimental_write_callbacks = experimental_write_callbacks
        self.experimental_skip_slot_variables = experimental_skip_slot_variables
        self.experimental_sharding_callback = experimental_sharding_callback

    def __copy__(self):
        found = self.__class__.__new__(self.__class__)
        found.__dict__.update(self.__dict__)
        if self.experimental_write_callbacks is not None:
            found.experimental_write_callbacks = list(self.experimental_write_callbacks)
        return found


def with_callback(options, callback):
    """Options with one function more that is called when the checkpoint is written."""
    options = CheckpointOptions() if options is None else copy.copy(options)
    options.experimental_write_callbacks = [*(options.experimental_write_callbacks or ()), callback]
    return options


@export("train.Checkpoint")
class Checkpoint(AutoTrackable):
    """Saves and restores the values of objects: variables, modules, models, optimizers, iterators, tables, and lists of them.

    Values are known by the attributes that lead to their objects, not by the variables' names. The files are TensorFlow's: each
    reads the other's. Values of objects that are not there when a checkpoint is restored wait until they are made and become
    attributes. That is so for lists and dicts, too, when they become attributes: one that is filled afterwards has to be set anew.
    An iterator over a dataset goes on at the next element; TensorFlow cannot read its state, nor tapeflow that of TensorFlow's
    iterators.

    Args:
        root: the object from which all names start; by default the checkpoint itself, with `kwargs` as its attributes.
        kwargs: objects, or lists, tuples or dicts of objects, by their names.

    Attributes:
        save_counter: an int64 variable, how often `save` was called; it is saved, too.

    Raises:
        ValueError: an object that has nothing to save; or `root` has another child of a name in `kwargs`.

    Example:
        >>> import tapeflow as tf, tempfile
        >>> v = tf.Variable([1.0, 2.0])
        >>> checkpoint = tf.train.Checkpoint(v=v)
        >>> path = checkpoint.save(tempfile.mkdtemp() + "/ckpt")
        >>> path[-6:], v.assign([0.0, 0.0]).numpy().tolist()
        ('ckpt-1', [0.0, 0.0])
        >>> status = checkpoint.restore(path)
        >>> v.numpy().tolist(), int(checkpoint.save_counter)
        ([1.0, 2.0], 1)
    """

    def __init__(self, root=None, **kwargs):
        self._save_counter = None
        self._root = root  # a root of its own; a weak reference stays one
        self._attached = {}  # the root's children for this checkpoint alone
        if root is not None:
            kwargs["root"] = root
        for name, value in sorted(kwargs.items()):
            held = value() if isinstance(value, weakref.ref) else value
            if not isinstance(held, Trackable if name == "root" else (Trackable, *CONTAINERS)):
                raise ValueError(
                    f"`Checkpoint` was expecting {name} to be a trackable object (an object derived from `Trackable`), got "
                    f"{held!r}. Variables, modules, Keras models and optimizers, iterators and lookup tables are, and, as other "
                    "arguments than root, lists, tuples and dicts."
                )
            setattr(self, name, value)
        if root is not None:
            self._attach({name: getattr(self, name) for name in kwargs if name != "root"})

    def __setattr__(self, name, value):
        if name in ("_save_counter", "_root", "_attached"):
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)

    def _attach(self, children):
        """Make objects children of the root for this checkpoint alone."""
        root, attached = self._roots()
        for name, child in children.items():
            before = root._lookup_dependency(name)
            if before is None:
                attached[name] = as_trackable(child() if isinstance(child, weakref.ref) else child)
            elif before is not child and getattr(before, "container", None) is not child:
                raise ValueError(f"Cannot create a Checkpoint with keyword argument {name} if root.{name} already exists.")
        self._save_counter = root._lookup_dependency("save_counter")

    def _roots(self):
        """The object from which the names start, and the children that it has for the checkpoint alone."""
        root = self._root() if isinstance(self._root, weakref.ref) else self._root
        return (self if root is None else root), self._attached

    @property
    def save_counter(self):
        """How often `save` was called, an int64 variable; made when it is first asked for."""
        if self._save_counter is None:
            self._save_counter = Variable(0, dtype=int64, trainable=False, name="save_counter")
            root, _ = self._roots()
            if root is self:
                self._track_trackable(self._save_counter, "save_counter")
            else:
                self._attached["save_counter"] = self._save_counter
                root._handle_deferred_dependencies("save_counter", self._save_counter)
        return self._save_counter

    def write(self, file_prefix, options=None):
        """Write all values to `file_prefix.index` and `file_prefix.data-00000-of-00001`, both or none; to be read by `read`.

        Returns:
            `file_prefix`.

        Raises:
            NotImplementedError: called while a function is traced.
            PermissionDeniedError, FailedPreconditionError, ResourceExhaustedError: the files cannot be written.
        """
        _check_eager("write")
        prefix = path_of(file_prefix)
        write_bundle(prefix, ObjectGraph(*self._roots()).serialized())
        for callback in (options and options.experimental_write_callbacks) or ():
            callback(prefix) if _takes_path(callback) else callback()
        return prefix

    def save(self, file_prefix, options=None):
        """Write all values to files numbered by `save_counter`, and note them as the last ones of their folder.

        Returns:
            The path to restore from: `file_prefix-1` and so on.

        Raises:
            NotImplementedError: called while a function is traced.
            PermissionDeniedError, FailedPreconditionError, ResourceExhaustedError: the files cannot be written.
        """
        _check_eager("save")
        number = int(self.save_counter.assign_add(1))
        return self.write(f"{path_of(file_prefix)}-{number}", with_callback(options, _note_last))

    def read(self, save_path, options=None):
        """Restore what `write` wrote: like `restore`, but the save counter may be missing.

        Returns:
            A status: see `restore`.

        Raises:
            NotFoundError: there is no such checkpoint.
            DataLossError: it is damaged.
            ValueError: a value's shape is not its variable's. Nothing is changed then.
            InvalidArgumentError: a value's dtype is not its variable's.
        """
        _check_eager("read")
        if save_path is None:
            return InitializationOnlyStatus()
        root, attached = self._roots()
        reader = BundleReader(save_path)
        restoration = Restoration(reader, graph_of(reader))
        try:
            restoration.restore(0, root, attached)
        except BaseException:
            restoration.partial = True  # the error says it: no warning of what was not restored
            raise
        return CheckpointLoadStatus(restoration, self)

    def restore(self, save_path, options=None):
        """Restore what `save` wrote; values whose objects are not there yet wait for them.

        Args:
            save_path: what `save` or `tf.train.latest_checkpoint` returned, or the folder of a SavedModel. None restores nothing.

        Returns:
            A status with the methods `assert_consumed`, `assert_existing_objects_matched`, `assert_nontrivial_match` and
            `expect_partial`.

        Raises:
            NotFoundError: there is no such checkpoint.
            DataLossError: it is damaged.
            ValueError: a value's shape is not its variable's. Nothing is changed then.
            InvalidArgumentError: a value's dtype is not its variable's.
        """
        try:
            status = self.read(_variables_of(save_path), options)
        except NotFoundError as error:
            raise NotFoundError(
                None,
                None,
                f"Error when restoring from checkpoint or SavedModel at {save_path}: {error.message}\nPlease double-check that the "
                "path is correct. You may be missing the checkpoint suffix (e.g. the '-1' in 'path/to/ckpt-1').",
            ) from None
        self.save_counter  # noqa: B018 (it takes its value now)
        return status

    def sync(self):
        """Nothing: checkpoints are written when `save` returns."""


def _check_eager(method):
    if state.graph is not None:
        raise NotImplementedError(
            f"Calling tf.train.Checkpoint.{method}() from a function is not supported: call it outside of the tf.function."
        )


def _takes_path(callback):
    """Whether a function wants the checkpoint's path."""
    import inspect

    count = len(inspect.signature(callback).parameters)
    if count > 1:
        raise AssertionError(
            f"Callback functions for checkpoint are required to have 0 or 1 parameters, but this has {count} parameters: {callback}"
        )
    return count == 1


def _note_last(path):
    update_checkpoint_state(os.path.dirname(path), path)


def _variables_of(path):
    """Where the variables of a SavedModel are, for its folder; other paths as they are."""
    if path is None:
        return None
    path = path_of(path)
    saved = any(os.path.exists(os.path.join(path, f"saved_model.{ending}")) for ending in ("pb", "pbtxt"))
    return os.path.join(path, "variables", "variables") if saved else path
