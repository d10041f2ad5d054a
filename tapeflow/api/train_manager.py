"""`tf.train.CheckpointManager`: numbered checkpoints in one folder, of which the last ones are kept."""

import contextlib
import os
import re
import time

from tapeflow.api.export import export
from tapeflow.api.train import with_callback
from tapeflow.api.train_state import get_checkpoint_state, update_checkpoint_state
from tapeflow.io.bundle import index_name
from tapeflow.io.files import path_of


@export("train.CheckpointManager")
class CheckpointManager:
    """Writes checkpoints into a folder and deletes old ones; a new manager goes on where the last one stopped.

    Args:
        checkpoint: the `tf.train.Checkpoint`.
        directory: the folder.
        max_to_keep: how many checkpoints stay, or None for all.
        keep_checkpoint_every_n_hours: one that would go stays for good if the last such one is so many hours older.
        checkpoint_name: what the files' names begin with.
        step_counter: an integer variable, for `checkpoint_interval`.
        checkpoint_interval: how many steps there have to be between two checkpoints.
        init_fn: a function that `restore_or_initialize` calls where there is no checkpoint.
        last_checkpoint_step: the step of the last checkpoint.

    Raises:
        ValueError: `max_to_keep` is not positive, or an interval without a counter.

    Example:
        >>> import tapeflow as tf, tempfile
        >>> checkpoint = tf.train.Checkpoint(v=tf.Variable(1.0))
        >>> manager = tf.train.CheckpointManager(checkpoint, tempfile.mkdtemp(), max_to_keep=2)
        >>> for _ in range(3):
        ...     path = manager.save()
        >>> [path[-6:] for path in manager.checkpoints], manager.latest_checkpoint == path
        (['ckpt-2', 'ckpt-3'], True)
    """

    def __init__(
        self,
        checkpoint,
        directory,
        max_to_keep,
        keep_checkpoint_every_n_hours=None,
        checkpoint_name="ckpt",
        step_counter=None,
        checkpoint_interval=None,
        init_fn=None,
        last_checkpoint_step=None,
    ):
        if max_to_keep is not None and max_to_keep <= 0:
            raise ValueError(f"Expected a positive integer or `None` for `max_to_keep`, got {max_to_keep}.")
        if checkpoint_interval is not None and step_counter is None:
            raise ValueError("`step_counter` should be passed if `checkpoint_interval` is not None.")
        self._checkpoint, self._directory = checkpoint, path_of(directory)
        self._prefix = os.path.join(self._directory, checkpoint_name)
        self._max_to_keep, self._hours = max_to_keep, keep_checkpoint_every_n_hours
        self._step_counter, self._interval = step_counter, checkpoint_interval
        self._init_fn, self._last_step = init_fn, last_checkpoint_step
        self._latest, self._preserved, self._active = None, time.time() - 1.0, {}
        self._go_on(get_checkpoint_state(self._directory))

    def _go_on(self, found):
        """Take over what another manager has noted."""
        if found is None:
            return
        now = time.time()
        self._latest = found.model_checkpoint_path
        self._preserved = min(found.last_preserved_timestamp, now)
        paths = found.all_model_checkpoint_paths
        times = found.all_model_checkpoint_timestamps or [self._preserved] * len(paths)
        for path, written in zip(paths, times, strict=False):
            if min(written, now) > self._preserved:
                self._active[path] = min(written, now)

    directory = property(lambda self: self._directory, doc="The folder.")
    checkpoint = property(lambda self: self._checkpoint, doc="The `tf.train.Checkpoint`.")
    checkpoint_interval = property(
        lambda self: self._interval, doc="How many steps there have to be between two checkpoints."
    )
    latest_checkpoint = property(lambda self: self._latest, doc="The path of the last checkpoint, or None.")

    @property
    def checkpoints(self):
        """The paths of the checkpoints that may be deleted later, the oldest first."""
        return list(self._active)

    def save(self, checkpoint_number=None, check_interval=True, options=None):
        """Write a checkpoint, delete those that are too many.

        Args:
            checkpoint_number: its number; the checkpoint's `save_counter`, which grows in any case, by default.
            check_interval: whether it has to be `checkpoint_interval` steps after the last one.
            options: a `tf.train.CheckpointOptions`.

        Returns:
            Its path; None where it was not time for one.
        """
        if self._interval is not None:
            step = int(self._step_counter)
            last = self._last_step
            if last is not None and (step == last or (check_interval and step < last + self._interval)):
                return None
            self._last_step = step
        counted = self._checkpoint.save_counter.assign_add(1)
        number = int(counted if checkpoint_number is None else checkpoint_number)
        return self._checkpoint.write(f"{self._prefix}-{number}", with_callback(options, self._written))

    def _written(self, path):
        self._active.pop(path, None)
        self._active[path] = time.time()
        self._latest = path
        self._record()
        while self._max_to_keep and len(self._active) > self._max_to_keep:
            old = next(iter(self._active))
            written = self._active.pop(old)
            if self._hours and written - self._hours * 3600.0 >= self._preserved:
                self._preserved = written
            else:
                _delete(old)
        self._record()

    def _record(self):
        paths, times = list(self._active), list(self._active.values())
        update_checkpoint_state(self._directory, self._latest, paths, times, self._preserved)

    def restore_or_initialize(self):
        """Restore the last checkpoint and return its path; where there is none call `init_fn` and return None."""
        if self._latest is not None:
            self._checkpoint.restore(self._latest)
            if self._interval is not None:
                self._last_step = int(self._step_counter)
            return self._latest
        if self._init_fn is not None:
            self._init_fn()
        return None

    def sync(self):
        """Nothing: checkpoints are written when `save` returns."""


def _delete(prefix):
    """Delete a checkpoint's files, the index first: without it there is no checkpoint."""
    folder, name = os.path.split(prefix)
    shard = re.compile(re.escape(name) + r"\.data-\d{5}-of-\d{5}")
    names = [one for one in os.listdir(folder or ".") if shard.fullmatch(one)]
    for path in [index_name(prefix), *(os.path.join(folder, one) for one in names)]:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
