"""The tables of cases, one area a file."""

AREAS = ["elementwise", "reduce", "array", "index", "operators", "contract", "nn", "random", "objects", "io"]
