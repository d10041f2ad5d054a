"""Public names of random numbers (`tf.random`)."""
