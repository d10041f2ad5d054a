"""Public names of images (`tf.image`)."""
