"""Public names of strings (`tf.strings`)."""
