"""Public names of neural networks (`tf.nn`)."""
