"""Matrix decompositions and solvers."""
