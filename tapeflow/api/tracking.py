"""`Trackable` and `AutoTrackable`: objects whose attributes are found again by name when they are saved and restored."""

import functools

from tapeflow.api.export import export_value


class Trackable:
    """An object that keeps named children."""

    @property
    def _children(self):
        return self.__dict__.setdefault("_self_children", {})

    def _track_trackable(self, trackable, name, overwrite=False):
        """Keep `trackable` as the child `name`.

        Raises:
            ValueError: there is another child of that name, and `overwrite` is false.
        """
        before = self._children.get(name)
        if before is not None and before is not trackable and not overwrite:
            raise ValueError(f"There is a child named {name!r} already: {before!r}.")
        self._children[name] = trackable
        return trackable

    def _trackable_children(self, save_type="checkpoint", **kwargs):
        """The children by name."""
        return dict(self._children)

    def _lookup_dependency(self, name, cached_dependencies=None):
        """The child `name`, or None."""
        return self._trackable_children().get(name)

    def _maybe_initialize_trackable(self):
        """Nothing: children are made when first used."""

    def _no_dependency(self, value):
        return value


class AutoTrackable(Trackable):
    """A `Trackable` whose children are its attributes that are trackable."""

    def __setattr__(self, name, value):
        super().__setattr__(name, value)
        if isinstance(value, Trackable) and getattr(self, "_self_setattr_tracking", True):
            self._children[name] = value

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
