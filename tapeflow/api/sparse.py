"""`SparseTensor` and `tf.sparse`."""
