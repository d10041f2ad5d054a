"""Public names of signal processing (`tf.signal`)."""
