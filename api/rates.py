"""How often a caller may call. Per API process: a question to a shared counter would cost every event its time."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(slots=True)
class _Bucket:
    left: float
    """Below 0 after a batch, which is taken as a whole and paid for afterwards."""
    at: float
    """Seconds of the clock, when `left` was right."""


class Rates:
    """A bucket of tokens per caller, holding what a second brings, at least one; every call takes one."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: dict[str, _Bucket] = {}

    def take(self, caller: str, per_second: float) -> int | None:
        """Takes one; where there is none, whole seconds (at least 1) after which there will be, and nothing taken."""
        now, most = self._clock(), max(1.0, per_second)
        bucket = self._buckets.setdefault(caller, _Bucket(most, now))
        bucket.left = min(most, bucket.left + (now - bucket.at) * per_second)
        bucket.at = now
        if bucket.left < 1:
            return max(1, math.ceil((1 - bucket.left) / per_second))
        bucket.left -= 1
        return None

    def owe(self, caller: str, calls: int) -> None:
        """Takes more than there may be, for a call that counts as several; the next ones wait for it."""
        if calls and (bucket := self._buckets.get(caller)) is not None:
            bucket.left -= calls
