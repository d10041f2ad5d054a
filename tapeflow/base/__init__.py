"""What needs no tensor: dtypes, shapes, specs, nested structures, errors and flags."""
