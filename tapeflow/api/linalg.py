"""Public names of linear algebra (`tf.linalg`)."""
