"""What asking for `tf.function` gives while there is none: an error that says what to do."""

# Keras's convolutions decorate an inner function at each call, which XLA would run where TensorFlow's own kernels cannot.
# Ours can, so there it stays as it is.
UNDECORATED = {"keras.src.backend.tensorflow.nn"}


def function_for(module):
    """The decorator for code in one of the modules `UNDECORATED`: it changes nothing.

    Raises:
        AttributeError: any other module asks.
    """
    if module in UNDECORATED:
        return _unchanged
    raise AttributeError(
        "tapeflow has no tf.function yet, it computes eagerly: with Keras use model.compile(..., run_eagerly=True) or set "
        "model.run_eagerly = True; elsewhere leave the decorator out."
    )


def _unchanged(func=None, **options):
    return (lambda function: function) if func is None else func
