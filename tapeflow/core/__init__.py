"""Tensors, variables, primitives and the one door (`bind`) through which every op passes."""
