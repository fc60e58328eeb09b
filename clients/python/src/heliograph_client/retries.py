"""When a call is made again, and how long that is waited for."""

import random
import time
from dataclasses import dataclass
from enum import Enum, auto

from heliograph_client.errors import ApiError, TooManyRequests, Unavailable


class Repeat(Enum):
    """What may be repeated, by what a second one does."""

    ALWAYS = auto()  # doing it twice is doing it once
    WHERE_NOTHING_WAS_DONE = (
        auto()
    )  # no connection was made, 429, or 503 `overloaded` or `unavailable`: the API says that it did nothing
    WHERE_NOTHING_WAS_TAKEN = auto()  # no connection was made, 429, or 503 `overloaded`


@dataclass(frozen=True, slots=True)
class Retries:
    """How often and how long a call is tried. `Retries(attempts=1)` never repeats one."""

    attempts: int = 5
    """All in all."""
    within: float = 30.0
    """Seconds from the first attempt's begin, in which the last one must begin. A `Retry-After` that leads beyond them
    ends the trying at once."""
    first: float = 0.25
    """Seconds before the second attempt; each further pause is twice as long. Up to half of each is left to chance."""
    longest: float = 8.0
    """Seconds that a pause has at most, unless the API asks for more."""

    def __post_init__(self) -> None:
        if self.attempts < 1 or min(self.within, self.first, self.longest) < 0:
            raise ValueError("attempts must be at least 1, and no time negative")


class Tries:
    """The attempts at one call."""

    def __init__(self, retries: Retries) -> None:
        self._retries = retries
        self._made = 0
        self._began = time.monotonic()

    def pause(self, failure: ApiError, repeat: Repeat) -> float | None:
        """Seconds to wait before the next attempt; None where this one was the last."""
        self._made += 1
        if self._made >= self._retries.attempts or not _may_be_repeated(failure, repeat):
            return None
        pause = min(self._retries.longest, self._retries.first * 2 ** (self._made - 1)) * random.uniform(0.5, 1)
        if failure.retry_after is not None:
            pause += failure.retry_after  # never sooner, and not all callers at the same moment
        ends = self._began + self._retries.within
        return pause if time.monotonic() + pause <= ends else None


def _may_be_repeated(failure: ApiError, repeat: Repeat) -> bool:
    if isinstance(failure, TooManyRequests) or failure.error in (NOT_CONNECTED, "overloaded"):
        return True
    if repeat is Repeat.WHERE_NOTHING_WAS_DONE:
        return failure.error == "unavailable"
    return repeat is Repeat.ALWAYS and isinstance(failure, Unavailable)


NOT_CONNECTED = "not_connected"
