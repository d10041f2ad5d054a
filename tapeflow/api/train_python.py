"""`tf.train.experimental.PythonState`: an object whose state a checkpoint holds as a string."""

from tapeflow.api.export import export
from tapeflow.base.dtypes import string
from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.tracking import Trackable

_NAME = "py_state"


@export("train.experimental.PythonState")
class PythonState(Trackable):
    """A base class for objects with a state that is no tensor.

    Example:
        >>> import tapeflow as tf, tempfile
        >>> class Words(tf.train.experimental.PythonState):
        ...     def __init__(self):
        ...         self.words = []
        ...     def serialize(self):
        ...         return " ".join(self.words)
        ...     def deserialize(self, string_value):
        ...         self.words = string_value.decode().split()
        >>> words = Words()
        >>> words.words.append("one")
        >>> path = tf.train.Checkpoint(words=words).write(tempfile.mkdtemp() + "/x")
        >>> words.words.append("two")
        >>> status = tf.train.Checkpoint(words=words).read(path)
        >>> words.words
        ['one']
    """

    def serialize(self):
        """The state, as `str` or `bytes`."""
        raise NotImplementedError("A subclass of PythonState has to have the method `serialize`.")

    def deserialize(self, string_value):
        """Take a state: the `bytes` that `serialize` gave."""
        raise NotImplementedError("A subclass of PythonState has to have the method `deserialize`.")

    def _serialize_to_tensors(self):
        return {_NAME: convert_to_tensor(self.serialize(), string)}

    def _restore_from_tensors(self, restored_tensors):
        self.deserialize(restored_tensors[_NAME]._value[()])
