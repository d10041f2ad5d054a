"""Public names of the surroundings: modules, names, devices, configuration, checks."""
