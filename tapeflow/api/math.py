"""Public names of arithmetic: elementwise math, comparisons, reductions (`tf.math`, `tf.reduce_*`)."""
