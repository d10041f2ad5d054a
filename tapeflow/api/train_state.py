"""The file `checkpoint` of a folder, which names its checkpoints: `tf.train.latest_checkpoint` and what else reads it."""

import os
import time

from tapeflow.api.export import export
from tapeflow.base.errors import OpError
from tapeflow.base.log import log
from tapeflow.io.bundle import index_name
from tapeflow.io.files import path_of, read_bytes, write_bytes
from tapeflow.io.messages import message


def update_checkpoint_state(folder, path, paths=(), timestamps=(), preserved=None):
    """Write the file `checkpoint` of a folder; paths are noted from there, so that the folder can be moved.

    Args:
        folder: the folder.
        path: the last checkpoint.
        paths: all checkpoints, the oldest first.
        timestamps: when they were written, in seconds.
        preserved: when the last checkpoint was written that is kept for good.

    Raises:
        RuntimeError: the checkpoint has the name of that file.
    """
    if os.path.join(folder, "checkpoint") == path:
        raise RuntimeError(
            f"Save path '{path}' conflicts with path used for checkpoint state.  Please use a different save path."
        )
    from google.protobuf import text_format

    found = message("CheckpointState")(model_checkpoint_path=_from(folder, path))
    found.all_model_checkpoint_paths.extend(_from(folder, one) for one in paths or [path])
    found.all_model_checkpoint_timestamps.extend(timestamps)
    if preserved is not None:
        found.last_preserved_timestamp = preserved
    write_bytes(os.path.join(folder, "checkpoint"), text_format.MessageToString(found).encode())


def _from(folder, path):
    return os.path.relpath(path, folder or ".")


@export("train.get_checkpoint_state")
def get_checkpoint_state(checkpoint_dir, latest_filename=None):
    """What the file `checkpoint` of a folder says: a message with `model_checkpoint_path`, `all_model_checkpoint_paths`, ...

    Args:
        checkpoint_dir: the folder.
        latest_filename: the file's name in it; "checkpoint" by default.

    Returns:
        The `CheckpointState`, with whole paths; None where there is no such file, or it is no such message.

    Raises:
        ValueError: it names no checkpoint.
    """
    from google.protobuf import text_format

    folder = path_of(checkpoint_dir)
    path = os.path.join(folder, latest_filename or "checkpoint")
    if not os.path.exists(path):
        return None
    found = message("CheckpointState")()
    try:
        text_format.Parse(read_bytes(path), found)
    except (OpError, text_format.ParseError, UnicodeDecodeError) as error:
        log.warning("%s: %s: Checkpoint ignored", path, error)
        return None
    if not found.model_checkpoint_path:
        raise ValueError(f"Invalid checkpoint state loaded from {folder}")
    found.model_checkpoint_path = os.path.join(folder, found.model_checkpoint_path)
    for i, one in enumerate(found.all_model_checkpoint_paths):
        found.all_model_checkpoint_paths[i] = os.path.join(folder, one)
    return found


@export("train.latest_checkpoint")
def latest_checkpoint(checkpoint_dir, latest_filename=None):
    """The path of the last checkpoint of a folder, for `tf.train.Checkpoint.restore`; None where there is none.

    Args:
        checkpoint_dir: the folder.
        latest_filename: the name of the file in it that names checkpoints; "checkpoint" by default.

    Example:
        >>> import tapeflow as tf, tempfile
        >>> folder = tempfile.mkdtemp()
        >>> path = tf.train.Checkpoint(v=tf.Variable(1.0)).save(folder + "/ckpt")
        >>> tf.train.latest_checkpoint(folder) == path
        True
    """
    found = get_checkpoint_state(checkpoint_dir, latest_filename)
    if found is None:
        return None
    path = found.model_checkpoint_path
    if os.path.exists(index_name(path)):
        return path
    log.error("Couldn't match files for checkpoint %s", path)
    return None


@export("train.checkpoints_iterator")
def checkpoints_iterator(checkpoint_dir, min_interval_secs=0, timeout=None, timeout_fn=None):
    """Yield the path of each new checkpoint of a folder, waiting for the next one.

    Args:
        checkpoint_dir: the folder.
        min_interval_secs: the least time between two.
        timeout: how many seconds to wait for the next; for ever by default.
        timeout_fn: a function that is called after that time: the iteration ends where it returns True, or is not given.
    """
    last = None
    while True:
        new = _wait_for_new(checkpoint_dir, last, timeout)
        if new is None:
            if timeout_fn is None or timeout_fn():
                return
            continue
        start, last = time.time(), new
        yield last
        time.sleep(max(0, start + min_interval_secs - time.time()))


def _wait_for_new(folder, last, timeout, pause=1.0):
    """The path of a checkpoint that is not `last`, or None after `timeout` seconds."""
    stop = None if timeout is None else time.time() + timeout
    while True:
        path = latest_checkpoint(folder)
        if path is not None and path != last:
            return path
        if stop is not None and time.time() + pause > stop:
            return None
        time.sleep(pause)
