"""Closed and open loops over something that begins, and ends a while later."""

import asyncio
import statistics
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter

Begin = Callable[[str], Awaitable[None]]
"""Starts the thing of this ID; returns as soon as it was taken."""
End = Callable[[str], Awaitable[None]]
"""Returns when it has ended."""


@dataclass
class Times:
    """Seconds."""

    taken: list[float] = field(default_factory=list)
    ended: list[float] = field(default_factory=list)
    wall: float = 0.0

    @property
    def per_second(self) -> float:
        return len(self.ended) / self.wall


def percentile(values: Sequence[float], percent: int) -> float:
    """Milliseconds."""
    return 1000 * statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


async def one(times: Times, begin: Begin, end: End, name: str) -> None:
    began = perf_counter()
    await begin(name)
    times.taken.append(perf_counter() - began)
    await end(name)
    times.ended.append(perf_counter() - began)


async def closed(begin: Begin, end: End, prefix: str, *, count: int, at_once: int) -> Times:
    """So many of them, each begun when one before it has ended."""
    times, names = Times(), iter(range(count))
    began = perf_counter()

    async def loop() -> None:
        for number in names:
            await one(times, begin, end, f"{prefix}-{number}")

    await asyncio.gather(*(loop() for _ in range(at_once)))
    times.wall = perf_counter() - began
    return times


async def steady(begin: Begin, end: End, prefix: str, *, per_second: float, seconds: float) -> Times:
    """So many a second, whether those before have ended or not."""
    times, began = Times(), perf_counter()
    running = []
    for number in range(int(per_second * seconds)):
        await asyncio.sleep(max(0.0, began + number / per_second - perf_counter()))
        running.append(asyncio.create_task(one(times, begin, end, f"{prefix}-{number}")))
    await asyncio.gather(*running)
    times.wall = perf_counter() - began
    return times
