"""`tf.function`, and how functions run."""

from tapeflow.api import types
from tapeflow.api.export import export_value
from tapeflow.trace.concrete import ConcreteFunction
from tapeflow.trace.function import Function, function, functions_run_eagerly, run_functions_eagerly

export_value(function, "function")
export_value(run_functions_eagerly, "config.run_functions_eagerly", "config.experimental_run_functions_eagerly")
export_value(functions_run_eagerly, "config.functions_run_eagerly", "config.experimental_functions_run_eagerly")
types.PolymorphicFunction.register(Function)
types.ConcreteFunction.register(ConcreteFunction)
