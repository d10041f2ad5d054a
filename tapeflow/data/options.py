"""`tf.data.Options`: they change how fast a pipeline runs, never what it yields, so they are checked and remembered."""

import enum


class AutoShardPolicy(enum.IntEnum):
    """How a dataset is divided among workers; one process has all of it."""

    OFF = -1
    AUTO = 0
    FILE = 1
    DATA = 2
    HINT = 3


class ExternalStatePolicy(enum.Enum):
    """What to do about state outside of a pipeline when it is copied; pipelines are not copied here."""

    WARN = 0
    IGNORE = 1
    FAIL = 2


class AutotuneAlgorithm(enum.Enum):
    """How parallelism is found; nothing runs in parallel here."""

    DEFAULT = 0
    HILL_CLIMB = 1
    GRADIENT_DESCENT = 2
    MAX_PARALLELISM = 3
    STAGE_BASED = 4


class _Group:
    """Options that are remembered, by name; setting one of another name or type is an error."""

    _types: dict = {}  # name: type; a `_Group` there is a group of further options
    _defaults: dict = {}

    def __init__(self):
        groups = {name: kind() for name, kind in self._types.items() if issubclass(kind, _Group)}
        object.__setattr__(self, "_values", groups)

    def __getattr__(self, name):
        if name not in self._types:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return self._values.get(name, self._defaults.get(name))

    def __setattr__(self, name, value):
        if name not in self._types:
            raise AttributeError(f"Cannot set the property {name} on {type(self).__name__}.")
        kind = self._types[name]
        if not isinstance(value, kind) and not (issubclass(kind, enum.Enum) and isinstance(value, int)):
            raise TypeError(f'Property "{name}" must be of type {kind}, got: {value!r} (type: {type(value)})')
        self._values[name] = value

    def __eq__(self, other):
        return type(self) is type(other) and self._values == other._values

    def __ne__(self, other):
        return not self == other

    __hash__ = None  # type: ignore[assignment]

    def _merged(self, other):
        result = type(self)()
        for source in (self, other):
            for name, value in source._values.items():
                before = result._values[name] if isinstance(value, _Group) else None
                result._values[name] = value if before is None else before._merged(value)
        return result


def _table(kind, names):
    return dict.fromkeys(names.split(), kind)


class AutotuneOptions(_Group):
    """How much of the machine pipelines may take."""

    _types = {
        **_table(bool, "enabled"),
        **_table(int, "cpu_budget ram_budget initial_parallelism min_parallelism"),
        "autotune_algorithm": AutotuneAlgorithm,
    }


class DistributeOptions(_Group):
    """How a dataset is divided among workers."""

    _types = {"auto_shard_policy": AutoShardPolicy, "num_devices": int}
    _defaults = {"auto_shard_policy": AutoShardPolicy.AUTO}


class OptimizationOptions(_Group):
    """Which rewrites of a pipeline are allowed."""

    _types = _table(
        bool,
        "apply_default_optimizations filter_fusion filter_parallelization inject_prefetch map_and_batch_fusion "
        "map_and_filter_fusion map_fusion map_parallelization noop_elimination parallel_batch seq_interleave_prefetch "
        "shuffle_and_repeat_fusion",
    )


class ServiceOptions(_Group):
    """What is pinned to a service."""

    _types = {"pinned": bool}


class ThreadingOptions(_Group):
    """How many threads pipelines may take."""

    _types = _table(int, "max_intra_op_parallelism private_threadpool_size")


class Options(_Group):
    """Options of a dataset, for `Dataset.with_options`.

    Example:
        >>> import tapeflow as tf
        >>> options = tf.data.Options()
        >>> options.threading.private_threadpool_size = 2
        >>> tf.data.Dataset.range(3).with_options(options).options().threading.private_threadpool_size
        2
    """

    _types = {
        **_table(bool, "deterministic experimental_deterministic experimental_slack experimental_symbolic_checkpoint"),
        **_table(bool, "experimental_warm_start"),
        **_table(str, "dataset_name"),
        **_table(list, "framework_type"),
        "autotune": AutotuneOptions,
        "experimental_distribute": DistributeOptions,
        "experimental_optimization": OptimizationOptions,
        "experimental_service": ServiceOptions,
        "threading": ThreadingOptions,
        "experimental_threading": ThreadingOptions,
        "experimental_external_state_policy": ExternalStatePolicy,
    }

    def merge(self, options):
        """The options of both; those of `options` count where both set one."""
        return self._merged(options)
