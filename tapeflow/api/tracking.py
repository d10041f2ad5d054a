"""`AutoTrackable`: an object whose children are its attributes, so that they are found again when it is saved and restored."""

import functools

from tapeflow.api.export import export_value
from tapeflow.core.tracking import CONTAINERS, Trackable


class AutoTrackable(Trackable):
    """A `Trackable` whose children are its attributes that are trackable, or lists, tuples or dicts of such."""

    def __setattr__(self, name, value):
        super().__setattr__(name, value)
        if isinstance(value, (Trackable, *CONTAINERS)) and getattr(self, "_self_setattr_tracking", True):
            self._track_trackable(value, name, overwrite=True)

    def __delattr__(self, name):
        self._children.pop(name, None)
        super().__delattr__(name)


def no_automatic_dependency_tracking(method):
    """A method within which attributes that are set do not become children."""

    @functools.wraps(method)
    def untracked(self, *args, **kwargs):
        before = getattr(self, "_self_setattr_tracking", True)
        self._self_setattr_tracking = False
        try:
            return method(self, *args, **kwargs)
        finally:
            self._self_setattr_tracking = before

    return untracked


export_value(Trackable, "__internal__.tracking.Trackable")
export_value(AutoTrackable, "__internal__.tracking.AutoTrackable")
export_value(no_automatic_dependency_tracking, "__internal__.tracking.no_automatic_dependency_tracking")
