"""Automatic differentiation: tapes, forward accumulators, vectorised maps, custom gradients, explanations."""
