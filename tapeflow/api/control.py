"""Public names of control flow: `cond`, `while_loop`, `map_fn`, `TensorArray`."""
