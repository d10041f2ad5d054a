"""Public names of automatic differentiation beyond the tape."""
