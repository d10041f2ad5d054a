"""`tf.DeviceSpec`: the name of a device, read and written."""

from tapeflow.api.export import export

FIELDS = ("job", "replica", "task", "device_type", "device_index")


@export("DeviceSpec")
class DeviceSpec:
    """What the name of a device says; None stands for what it leaves open.

    Args:
        job: the job's name.
        replica, task, device_index: non-negative ints.
        device_type: such as `"CPU"`.

    Example:
        >>> import tapeflow as tf
        >>> spec = tf.DeviceSpec.from_string("/job:ps/cpu:1")
        >>> spec.device_type, spec.device_index, spec.replace(task=2).to_string()
        ('CPU', 1, '/job:ps/task:2/device:CPU:1')
    """

    __slots__ = ("_values",)

    def __init__(self, job=None, replica=None, task=None, device_type=None, device_index=None):
        whole = [None if value is None else int(value) for value in (replica, task, device_index)]
        kind = None if device_type is None else str(device_type).upper()
        self._values = (None if job is None else str(job), whole[0], whole[1], kind, whole[2])

    job = property(lambda self: self._values[0])
    replica = property(lambda self: self._values[1])
    task = property(lambda self: self._values[2])
    device_type = property(lambda self: self._values[3])
    device_index = property(lambda self: self._values[4])

    @classmethod
    def from_string(cls, spec):
        """The `DeviceSpec` of a name such as `/job:ps/task:0/device:CPU:*`.

        Raises:
            ValueError: an unknown part, or two device types.
        """
        values, types = {}, 0
        for part in filter(None, (spec or "").split("/")):
            key, *rest = part.split(":")
            if key == "device" and len(rest) == 2:
                key, rest = rest[0], rest[1:]
            elif key in ("job", "replica", "task") and len(rest) == 1:
                if rest[0] != "*" or key == "job":
                    values[key] = rest[0]
                continue
            if key.upper() not in ("CPU", "GPU", "TPU", "TPU_SYSTEM", "XPU", "COMPOSITE") or len(rest) > 1:
                raise ValueError(f"Unknown attribute '{key}' is encountered while parsing the device spec: '{spec}'.")
            types += 1
            values["device_type"] = key
            if rest and rest[0] != "*":
                values["device_index"] = rest[0]
        if types > 1:
            raise ValueError(f"Multiple device types are not allowed while parsing the device spec: {spec}.")
        return cls(**values)

    def parse_from_string(self, spec):
        """The `DeviceSpec` of another name; this one stays as it is."""
        return self.from_string(spec)

    def to_string(self):
        """The name."""
        text = "".join(f"/{field}:{getattr(self, field)}" for field in FIELDS[:3] if getattr(self, field) is not None)
        if self.device_type is not None:
            text += f"/device:{self.device_type}:{'*' if self.device_index is None else self.device_index}"
        return text

    def replace(self, **kwargs):
        """A `DeviceSpec` with some fields changed."""
        return DeviceSpec(**{**dict(zip(FIELDS, self._values, strict=True)), **kwargs})

    def make_merged_spec(self, dev):
        """A `DeviceSpec` with the fields of `dev`, and this one's where `dev` leaves them open."""
        pairs = zip(self._values, dev._values, strict=True)
        return DeviceSpec(*[own if other is None else other for own, other in pairs])

    def __eq__(self, other):
        return isinstance(other, DeviceSpec) and self._values == other._values

    def __hash__(self):
        return hash(self._values)

    def __repr__(self):
        return f"<DeviceSpec({', '.join(f'{field}={getattr(self, field)}' for field in FIELDS)})>"
