"""`RaggedTensor` and `tf.ragged`."""
