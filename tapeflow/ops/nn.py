"""Fused ops of neural networks: softmax, its losses, normalisations."""
