"""`tf.distribute` for one process: the default strategy, in whose terms code for many replicas runs on one."""

import contextlib
import enum

from tapeflow.api.export import export, export_value


@export("distribute.ReduceOp")
class ReduceOp(enum.Enum):
    """How values of several replicas become one."""

    SUM = "SUM"
    MEAN = "MEAN"

    @staticmethod
    def from_variable_aggregation(aggregation):
        """The `ReduceOp` of a `VariableAggregation`."""
        return ReduceOp[aggregation.name]


@export("distribute.DistributedValues")
class DistributedValues:
    """A value for each replica; one process has plain values instead."""


@export("distribute.DistributedDataset")
class DistributedDataset:
    """A dataset for each replica; one process has plain datasets instead."""


@export("distribute.DistributedIterator")
class DistributedIterator:
    """An iterator for each replica; one process has plain iterators instead."""


@export("distribute.StrategyExtended")
class StrategyExtended:
    """The part of a strategy that optimizers use."""

    def __init__(self, container_strategy):
        self._strategy = container_strategy

    worker_devices = ("/device:CPU:0",)
    parameter_devices = ("/device:CPU:0",)
    experimental_require_static_shapes = False

    def update(self, var, fn, args=(), kwargs=None, group=True):
        """`fn(var, *args, **kwargs)`."""
        return fn(var, *args, **(kwargs or {}))

    def variable_created_in_scope(self, v):
        """Whether `v` was created under this strategy: all are."""
        return True

    def value_container(self, value):
        """The value itself."""
        return value

    def reduce_to(self, reduce_op, value, destinations, options=None):
        """The value of the only replica."""
        return value

    def batch_reduce_to(self, reduce_op, value_destination_pairs, options=None):
        """The values of the only replica."""
        return [value for value, _ in value_destination_pairs]

    @contextlib.contextmanager
    def colocate_vars_with(self, colocate_with_variable):
        """Nothing: there is one device."""
        yield


@export("distribute.Strategy")
class Strategy:
    """The strategy of one replica on this machine's CPU."""

    num_replicas_in_sync = 1
    cluster_resolver = None

    def __init__(self, extended):
        self._extended = extended

    extended = property(lambda self: self._extended, doc="The `StrategyExtended`.")

    @contextlib.contextmanager
    def scope(self):
        """A context in which this strategy is the current one."""
        before = _current[0]
        _current[0] = self
        try:
            yield self
        finally:
            _current[0] = before

    def run(self, fn, args=(), kwargs=None, options=None):
        """`fn(*args, **kwargs)` on the only replica."""
        return fn(*args, **(kwargs or {}))

    def reduce(self, reduce_op, value, axis):
        """The value, reduced over `axis` where one is given."""
        from tapeflow.api.export import EXPORTS

        if axis is None:
            return value
        name = "reduce_sum" if ReduceOp(getattr(reduce_op, "value", reduce_op)) is ReduceOp.SUM else "reduce_mean"
        return EXPORTS[name](value, axis=axis)

    def gather(self, value, axis):
        """The value of the only replica."""
        return value

    def experimental_local_results(self, value):
        """A tuple of the only replica's value."""
        return (value,)

    def experimental_distribute_dataset(self, dataset, options=None):
        """The dataset itself."""
        return dataset

    def distribute_datasets_from_function(self, dataset_fn, options=None):
        """The dataset of the only input pipeline."""
        return dataset_fn(None)


class _OneReplica(Strategy):
    """A strategy with one replica on this machine's CPU."""

    def __init__(self):
        super().__init__(StrategyExtended(self))


class ReplicaContext:
    """What code that runs on the only replica sees."""

    num_replicas_in_sync = 1

    def __init__(self, strategy, replica_id_in_sync_group):
        self._strategy = strategy
        self.replica_id_in_sync_group = replica_id_in_sync_group

    strategy = property(lambda self: self._strategy or get_strategy(), doc="The strategy that the replica belongs to.")

    def all_reduce(self, reduce_op, value, options=None):
        """The value of the only replica."""
        return value

    def all_gather(self, value, axis, options=None):
        """The value of the only replica."""
        return value

    def merge_call(self, merge_fn, args=(), kwargs=None):
        """`merge_fn(strategy, *args, **kwargs)`."""
        return merge_fn(get_strategy(), *args, **(kwargs or {}))


_default = _OneReplica()
_current: list = [_default]
_replica = ReplicaContext(None, 0)
export_value(ReplicaContext, "distribute.ReplicaContext")


@export("distribute.get_strategy")
def get_strategy():
    """The current strategy."""
    return _current[0]


@export("distribute.has_strategy")
def has_strategy():
    """Whether a strategy's scope is open."""
    return _current[0] is not _default


@export("distribute.in_cross_replica_context")
def in_cross_replica_context():
    """False: with one replica, all code is the replica's."""
    return False


@export("distribute.get_replica_context")
def get_replica_context():
    """The context of the only replica."""
    return _replica


@export("distribute.OneDeviceStrategy")
class OneDeviceStrategy(_OneReplica):
    """A strategy that names its one device."""

    def __init__(self, device):
        super().__init__()
        self._device = device


@export("distribute.MirroredStrategy")
class MirroredStrategy(_OneReplica):
    """Replicas on several devices; here there is one CPU, so one replica.

    Raises:
        ValueError: more than one device is asked for.
    """

    def __init__(self, devices=None, cross_device_ops=None):
        super().__init__()
        if devices is not None and len(devices) > 1:
            raise ValueError(
                f"tapeflow computes on one CPU device; MirroredStrategy was asked for {len(devices)}: {devices}."
            )


@export("distribute.TPUStrategy")
class TPUStrategy(Strategy):
    """There are no TPUs; the class is here so that code can ask whether a strategy is one."""

    def __init__(
        self, tpu_cluster_resolver=None, experimental_device_assignment=None, experimental_spmd_xla_partitioning=False
    ):
        raise NotImplementedError("tapeflow computes on the CPU: there is no TPUStrategy.")


@export("distribute.MultiWorkerMirroredStrategy")
class MultiWorkerMirroredStrategy(Strategy):
    """There is one process; the class is here so that code can ask whether a strategy is one."""

    def __init__(self, cluster_resolver=None, communication_options=None):
        raise NotImplementedError("tapeflow computes in one process: there is no MultiWorkerMirroredStrategy.")


@export("__internal__.distribute.interim.maybe_merge_call")
def maybe_merge_call(fn, strategy, *args, **kwargs):
    """`fn(strategy, *args, **kwargs)`: with one replica there is nothing to merge."""
    return fn(strategy, *args, **kwargs)


@export("__internal__.distribute.strategy_supports_no_merge_call")
def strategy_supports_no_merge_call():
    """True: with one replica there is nothing to merge."""
    return True
