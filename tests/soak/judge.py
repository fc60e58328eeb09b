"""Whether a measure grows with time, judged so that noise, a warm-up and a restart are no growth. Pure."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

FEWEST = 12  # samples of a lifetime after its warm-up, below which it tells nothing of a slope
RISING = 2 / 3  # of the pairs: fewer, and what looks like a slope is noise in lives too short to tell
MOST = 120  # samples of a lifetime that are compared with each other; of more, medians of neighbours


@dataclass(frozen=True, slots=True)
class Point:
    """One look."""

    at: float
    """Seconds since the load began."""
    value: float


@dataclass(frozen=True, slots=True)
class Limit:
    """By how much a measure may grow over the whole run: the larger of the two."""

    amount: float
    share: float = 0.0
    """Of its level."""

    def of(self, level: float) -> float:
        return max(self.amount, self.share * level)


@dataclass(frozen=True, slots=True)
class Growth:
    """How a measure went."""

    level: float
    """The median, warm-ups left out."""
    within: float | None
    """By the slope within lifetimes, over the whole run; None where no process lived for long enough."""
    rising: float
    """The share of the pairs whose later sample is higher: a half, where nothing grows."""
    across: float | None
    """By which level later lifetimes have at the same age, from the first of them to the last; None where there were
    not enough of them."""
    lifetimes: int
    top: float

    def allowed(self, limit: Limit) -> float:
        return limit.of(self.level)

    def flat(self, limit: Limit) -> bool:
        """True also where nothing could be told: see `told`."""
        allowed = self.allowed(limit)
        # Levels of few and short lifetimes scatter: how a process starts again depends on what waits for it.
        grows = self.within is not None and self.within > allowed and self.rising > RISING
        return not grows and (self.across is None or self.across <= 2 * allowed)

    @property
    def told(self) -> bool:
        return self.within is not None


def growth(lifetimes: Iterable[Sequence[Point]], *, warm_up: float, run: float) -> Growth | None:
    """What `run` seconds of it come to, from the samples of each lifetime; None without any after a warm-up.

    The slope is Theil and Sen's: the median of the slopes between pairs of samples, here pairs of one lifetime. It
    bears a quarter of wild samples, and long lifetimes, which have more pairs, count for more. Pairs that are close to
    each other are noise divided by little, and are left out.
    """
    lives = [[point for point in life if point.at >= life[0].at + warm_up] for life in lifetimes if life]
    values = [point.value for life in lives for point in life]
    if not values:
        return None
    slopes = [slope for life in lives if len(life) >= FEWEST for slope in _slopes(_thinned(life))]
    return Growth(
        level=statistics.median(values),
        within=statistics.median(slopes) * run if slopes else None,
        rising=statistics.mean((slope > 0) + (slope == 0) / 2 for slope in slopes) if slopes else 0.5,
        across=_across([life for life in lives if len(life) >= FEWEST]),
        lifetimes=sum(1 for life in lives if life),
        top=max(values),
    )


def _slopes(life: Sequence[Point]) -> list[float]:
    apart = (life[-1].at - life[0].at) / 4
    return [(b.value - a.value) / (b.at - a.at) for a, b in combinations(life, 2) if b.at - a.at >= apart]


def _across(lives: Sequence[Sequence[Point]]) -> float | None:
    """From the levels right after the warm-up, so that old and young are not compared; and no further than was seen:
    a few lives at the beginning tell nothing of the end."""
    if len(lives) < 3:
        return None
    starts = [Point(life[0].at, statistics.median(point.value for point in life[:FEWEST])) for life in lives]
    slopes = [(b.value - a.value) / (b.at - a.at) for a, b in combinations(starts, 2) if b.at > a.at]
    return statistics.median(slopes) * (starts[-1].at - starts[0].at) if slopes else None


def _thinned(life: Sequence[Point]) -> list[Point]:
    size = -(-len(life) // MOST)
    groups = [life[begin : begin + size] for begin in range(0, len(life), size)]
    return [
        Point(statistics.mean(point.at for point in group), statistics.median(point.value for point in group))
        for group in groups
    ]
