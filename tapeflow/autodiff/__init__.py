"""Automatic differentiation: tapes, forward accumulators, vectorised maps, custom gradients, explanations."""

from tapeflow.core.state import tracking_lines as track_lines

__all__ = ["track_lines"]
