"""`tf.train.ExponentialMovingAverage`: moving averages of variables, which often predict better than the last values."""

import itertools

from tapeflow.api.export import export
from tapeflow.api.framework import init_scope
from tapeflow.base.dtypes import bfloat16, float16, float32, float64
from tapeflow.core.convert import convert_to_tensor
from tapeflow.core.primitive import P
from tapeflow.core.variable import Variable

_serials: dict[str, itertools.count] = {}  # of the averages' names


@export("train.ExponentialMovingAverage")
class ExponentialMovingAverage:
    """Moving averages of variables: each `apply` makes `average = decay * average + (1 - decay) * variable`.

    Args:
        decay: near 1.
        num_updates: how often the variables were updated: at most (1 + num_updates) / (10 + num_updates) is the decay then.
        zero_debias: of use for tensors alone, which have no averages here; an average starts from the variable's value.
        name: the last part of the averages' names.

    Example:
        >>> import tapeflow as tf
        >>> v = tf.Variable(1.0)
        >>> ema = tf.train.ExponentialMovingAverage(decay=0.5)
        >>> ema.apply([v])
        >>> _ = v.assign(3.0)
        >>> ema.apply([v])
        >>> float(ema.average(v))
        2.0
    """

    def __init__(self, decay, num_updates=None, zero_debias=False, name="ExponentialMovingAverage"):
        self._decay, self._num_updates, self._name = decay, num_updates, name
        self._averages = {}  # by the variable's id: the variable and its average

    name = property(lambda self: self._name, doc="The last part of the averages' names.")

    def apply(self, var_list=None):
        """Take the variables' values into their averages, which are made at the first time.

        Args:
            var_list: the variables, of floats; all that have an average by default.

        Raises:
            TypeError: something else.
        """
        variables = [variable for variable, _ in self._averages.values()] if var_list is None else var_list
        for variable in variables:
            if not isinstance(variable, Variable):
                raise TypeError(
                    "tf.train.ExponentialMovingAverage does not support non-Variable tensors when eager execution is enabled."
                )
            if variable.dtype not in (float16, bfloat16, float32, float64):
                raise TypeError(f"The variables must be half, float, or double: {variable.name}")
            if id(variable) not in self._averages:
                with init_scope():
                    name = f"{variable._shared_name}/{self._name}"
                    serial = next(_serials.setdefault(name, itertools.count()))
                    name = f"{name}_{serial}" if serial else name
                    average = Variable(variable.read_value(), trainable=False, name=name)
                self._averages[id(variable)] = variable, average
            self._update(*self._averages[id(variable)])

    def _update(self, variable, average):
        decay = convert_to_tensor(self._decay, float32)
        if self._num_updates is not None:
            n = P.cast(convert_to_tensor(self._num_updates), dtype=float32)
            decay = P.minimum(decay, (1.0 + n) / (10.0 + n))
        rate = P.cast(1.0 - decay, dtype=variable.dtype)
        average.assign_sub((average - variable) * rate)

    def average(self, var):
        """The variable that holds the average of a variable; None where there is none."""
        return self._averages.get(id(var), (None, None))[1]

    def average_name(self, var):
        """The name of a variable's average, without `:0`."""
        average = self.average(var)
        return f"{var._shared_name}/{self._name}" if average is None else average._shared_name

    def variables_to_restore(self, moving_avg_variables=None):
        """The variables by the names under which their averages are saved.

        Args:
            moving_avg_variables: the variables; those that have an average by default.
        """
        if moving_avg_variables is None:
            moving_avg_variables = [variable for variable, _ in self._averages.values()]
        return {self.average_name(variable): variable for variable in moving_avg_variables}
