"""Files and their formats: bytes to NumPy and back. There is no tensor here; ops, datasets and the API stand on it."""
