"""The tables of cases, one area a file."""

AREAS = ["elementwise", "reduce"]
