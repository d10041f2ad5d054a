"""`tf.experimental.numpy`: NumPy's names over tensors."""
