"""Random numbers with TensorFlow's own bits."""
