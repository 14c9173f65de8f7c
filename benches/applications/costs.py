"""What a variant's requests cost, from the processes and the portions in which they were done."""

import random
import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

RESAMPLES = 1_000


@dataclass
class Portions:
    """Of one process: CPU nanoseconds of each portion, for one request."""

    thread: list[float] = field(default_factory=list)
    """Of the thread that does the requests."""
    others: list[float] = field(default_factory=list)
    """Of the others, which export, until the next portion."""

    def add(self, portion: dict[str, Any], process: int, requests: int) -> None:
        """A portion, with the CPU of the process when the next one began."""
        self.thread.append(portion["thread"] / requests)
        self.others.append((process - portion["process"] - portion["thread"]) / requests)

    def request(self) -> float:
        """The median, so that what the machine does besides does not count; the mean of the exports, which are in some
        portions and not in others.
        """
        return statistics.median(self.thread) + statistics.fmean(self.others)


@dataclass
class Costs:
    """Of one variant. Processes of the same program differ by a tenth, by where their memory lies and how their
    dictionaries are filled: so there are several.
    """

    processes: list[Portions] = field(default_factory=list)
    latencies: list[int] = field(default_factory=list)
    """Of each request."""
    collections: list[int] = field(default_factory=list)
    """CPU nanoseconds of a collection of the metrics, in each process."""

    def request(self, processes: Iterable[int]) -> float:
        """A request, judged by these processes."""
        return statistics.fmean([self.processes[each].request() for each in processes])

    def others(self) -> float:
        return statistics.fmean([statistics.fmean(each.others) for each in self.processes])


def interval(processes: int, figure: Callable[[list[int]], float]) -> tuple[float, float]:
    """Within which a figure lies in 95 of 100 cases: the bootstrap, generations kept together."""
    dice = random.Random(processes)
    figures = sorted(figure(dice.choices(range(processes), k=processes)) for _ in range(RESAMPLES))
    return figures[RESAMPLES * 25 // 1000], figures[RESAMPLES * 975 // 1000 - 1]


def percentile(sorted_values: list[int], percent: float) -> float:
    return sorted_values[min(len(sorted_values) - 1, int(len(sorted_values) * percent / 100))]
