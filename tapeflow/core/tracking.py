"""`Trackable`: an object with named children, by whose names saved values find their objects again."""

CONTAINERS = (list, tuple, dict)


class Trackable:
    """An object that keeps named children, and may have values that are saved.

    A child is a trackable object, or a list, tuple or dict that holds some. Values that were restored before their child was
    there wait for it (`_deferred_dependencies`).
    """

    _update_uid = -1  # which restoration gave the object its values; later ones have greater numbers

    @property
    def _children(self):
        return self.__dict__.setdefault("_self_children", {})

    @property
    def _deferred_dependencies(self):
        """For the names of children to come, the places in checkpoints that wait for them."""
        return self.__dict__.setdefault("_self_deferred", {})

    def _track_trackable(self, trackable, name, overwrite=False):
        """Keep `trackable` as the child `name`; it takes the values that wait for it.

        Raises:
            ValueError: there is another child of that name, and `overwrite` is false; or a waiting value has another shape.
        """
        before = self._children.get(name)
        if before is not None and before is not trackable and not overwrite:
            raise ValueError(f"There is a child named {name!r} already: {before!r}.")
        self._children[name] = trackable
        if self._deferred_dependencies and holds_trackable(trackable):
            self._handle_deferred_dependencies(name, trackable)
        return trackable

    def _handle_deferred_dependencies(self, name, trackable):
        """Give the child `name` the values that wait for it, those of the last restoration; where that fails they wait on."""
        positions = self._deferred_dependencies.get(name, ())
        for position in sorted(positions, key=lambda position: -position.restoration.uid):
            position.restore(as_trackable(trackable))
        self._deferred_dependencies.pop(name, None)

    def _trackable_children(self, save_type="checkpoint", **kwargs):
        """The children by name; containers as `Container`s, those in which there is something to track."""
        return {name: as_trackable(child) for name, child in self._children.items() if holds_trackable(child)}

    def _lookup_dependency(self, name, cached_dependencies=None):
        """The child `name`, or None."""
        children = self._trackable_children() if cached_dependencies is None else cached_dependencies
        return children.get(name)

    def _maybe_initialize_trackable(self):
        """Nothing: children are made when first used."""

    def _no_dependency(self, value):
        return value

    def _serialize_to_tensors(self):
        """The values to save, as tensors by name.

        Raises:
            NotImplementedError: the object has none of its own.
        """
        raise NotImplementedError(f"{type(self).__name__} has no values of its own to save.")

    def _restore_from_tensors(self, restored_tensors):
        """Take the values that `_serialize_to_tensors` gave once."""
        raise NotImplementedError(f"{type(self).__name__} has no values of its own to restore.")


class Container(Trackable):
    """What a list, tuple or dict holds, as children that are named by their places or keys."""

    def __init__(self, container):
        self.container = container

    def __repr__(self):
        return repr(self.container)

    def _trackable_children(self, save_type="checkpoint", **kwargs):
        """The children by name.

        Raises:
            ValueError: a key that is no string and no int.
        """
        if not isinstance(self.container, dict):
            items = enumerate(self.container)
        else:
            items = self.container.items()
        return {self._name(key): as_trackable(child) for key, child in items if holds_trackable(child)}

    def _name(self, key):
        if not isinstance(key, (str, int)):
            raise ValueError(
                f"Unable to save the object {self.container!r}: its key {key!r} is neither a string nor an int, so it is no "
                "name in a checkpoint."
            )
        return str(key)


def as_trackable(child):
    """A child as a trackable object: itself, or the `Container` of a list, tuple or dict."""
    return child if isinstance(child, Trackable) else Container(child)


def holds_trackable(child, around=()):
    """Whether a value is trackable, or a list, tuple or dict in which there is something that is."""
    if isinstance(child, Trackable):
        return True
    if not isinstance(child, CONTAINERS) or id(child) in around:
        return False
    around = (*around, id(child))
    parts = child.values() if isinstance(child, dict) else child
    return any(holds_trackable(part, around) for part in parts)
