"""A row of the table: what a workload measures and what tapeflow is to reach."""

from dataclasses import dataclass

LIBRARIES = ("tapeflow", "tensorflow", "torch", "jax")


@dataclass(frozen=True)
class Row:
    """What one workload tells of itself.

    Attributes:
      title: the first cell of the row.
      unit: of the values.
      peer: the library that the ratio is taken to: its value divided by tapeflow's, so that more is better.
      faster: the target: the least ratio; 1 stands for any ratio above 1.
      limit: the target: tapeflow's value stays below it.
      rounds: how many processes of each library are measured, where the command line does not say.
      median: the middle of the rounds is reported; the least where it is False.
      libraries: those that the row has figures for.
    """

    title: str
    unit: str = "µs"
    peer: str | None = None
    faster: float | None = None
    limit: float | None = None
    rounds: int = 3
    median: bool = False
    libraries: tuple[str, ...] = LIBRARIES
