"""Tracing: Python functions run once over symbolic tensors, into graphs."""
