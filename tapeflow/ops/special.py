"""Special functions: error function, gamma, beta, Bessel and their kin."""
