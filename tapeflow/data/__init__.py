"""`tf.data`: input pipelines. Nothing is imported until a program asks for a name of `tf.data` (see `api/data.py`)."""
