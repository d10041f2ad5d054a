"""Convolutions and pooling, with both gradients."""
