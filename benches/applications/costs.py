"""What a variant's requests cost, from the portions in which they were done."""

import random
import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

RESAMPLES = 1_000


@dataclass
class Costs:
    """CPU nanoseconds of each portion, for one request."""

    thread: list[float] = field(default_factory=list)
    """Of the thread that does the requests."""
    others: list[float] = field(default_factory=list)
    """Of the others, which export, until the next portion."""
    latencies: list[int] = field(default_factory=list)
    """Of each request."""
    collection: float = 0
    """CPU nanoseconds of one collection of the metrics."""

    def add(self, portion: dict[str, Any], process: int, requests: int) -> None:
        """A portion, with the CPU of the process when the next one began."""
        self.thread.append(portion["thread"] / requests)
        self.others.append((process - portion["process"] - portion["thread"]) / requests)
        self.latencies += portion["latencies"]

    def request(self, portions: Iterable[int]) -> float:
        """A request, judged by these portions.

        The median, so that what the machine does besides does not count; the mean of the exports, which are in some
        portions and not in others.
        """
        thread = statistics.median([self.thread[each] for each in portions])
        return thread + statistics.fmean([self.others[each] for each in portions])


def interval(portions: int, figure: Callable[[list[int]], float]) -> tuple[float, float]:
    """Within which a figure lies in 95 of 100 cases: the bootstrap, with the portions of a round kept together."""
    dice = random.Random(portions)
    figures = sorted(figure(dice.choices(range(portions), k=portions)) for _ in range(RESAMPLES))
    return figures[RESAMPLES * 25 // 1000], figures[RESAMPLES * 975 // 1000 - 1]


def percentile(sorted_values: list[int], percent: float) -> float:
    return sorted_values[min(len(sorted_values) - 1, int(len(sorted_values) * percent / 100))]
