"""Public names that shape, slice, join, index and sort tensors."""
