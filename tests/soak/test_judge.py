"""A judge who cannot find a planted leak is no judge; nor is one who sees a leak in noise."""

import dataclasses
import random
from collections import Counter

import pytest

from tests.chaos.auditor import Findings
from tests.soak.judge import Growth, Limit, Point, growth
from tests.soak.report import written
from tests.soak.samples import Series
from tests.soak.soak import LIMITS, Rest, Result, Soak, judge, not_told

RUN, WARM_UP, EVERY = 1800.0, 120.0, 5.0
MEMORY, DESCRIPTORS, OPEN = (
    LIMITS["worker", "memory"],
    LIMITS["worker", "descriptors"],
    LIMITS["kept", "open workflows"],
)
assert MEMORY is not None
assert DESCRIPTORS is not None
assert OPEN is not None


def life(
    begins: float, ends: float, level: float, *, per_hour: float = 0.0, noise: float = 0.0, warms_up: float = 0.0
) -> list[Point]:
    """A process that needs `warms_up` more in its first two minutes, and then `per_hour` more."""
    rng, points = random.Random(f"{begins} {level} {noise}"), []
    for number in range(int((ends - begins) / EVERY)):
        age = number * EVERY
        value = level + warms_up * min(1, age / WARM_UP) + per_hour * age / 3600 + rng.gauss(0, noise)
        points.append(Point(begins + age, value))
    return points


def of(*lives: list[Point]) -> Growth:
    found = growth(lives, warm_up=WARM_UP, run=RUN)
    assert found is not None
    return found


@pytest.mark.parametrize("noise", [0.5, 3])
def test_a_leak_of_memory_is_found(noise: float) -> None:
    """450 bytes for each of 15 notifications a second."""
    leaks = of(life(0, RUN, 150, per_hour=24, noise=noise))
    assert leaks.within == pytest.approx(12, abs=2)
    assert not leaks.flat(MEMORY)


def test_a_leak_is_found_in_the_lives_of_a_process_that_is_killed_again_and_again() -> None:
    starts = [0, 300, 650, 1100, 1500]
    lives = [life(begin, begin + 300, 150, per_hour=40, noise=1, warms_up=20) for begin in starts]
    assert not of(*lives).flat(MEMORY)


def test_what_each_new_process_takes_more_of_is_found_though_none_of_them_grows() -> None:
    starts = [0, 300, 650, 1100, 1500]
    found = of(*(life(begin, begin + 300, 150 + begin / 60, noise=1) for begin in starts))
    assert dataclasses.replace(found, across=None).flat(MEMORY)
    assert not found.flat(MEMORY)


def test_a_few_lives_at_the_beginning_do_not_tell_how_it_goes_on() -> None:
    """One more database connection, which is three handles, in each of three lives."""
    lives = life(0, 300, 5, noise=0.1), life(300, 600, 7, noise=0.1), life(600, RUN, 9, noise=0.1)
    assert of(*lives).flat(Limit(3))


def test_a_leak_of_descriptors_is_found() -> None:
    assert not of(life(0, RUN, 40, per_hour=14, noise=1)).flat(DESCRIPTORS)


def test_a_leak_at_every_fault_is_found_though_it_comes_in_steps() -> None:
    steps = [Point(point.at, point.value + 2 * (point.at // 300)) for point in life(0, RUN, 40, noise=1)]
    assert not of(steps).flat(DESCRIPTORS)


def test_workflows_that_nobody_ends_are_found() -> None:
    """One of a hundred, at 15 a second."""
    assert not of(life(0, RUN, 200, per_hour=540, noise=40)).flat(OPEN)


@pytest.mark.parametrize(("level", "noise", "limit"), [(150, 3, MEMORY), (40, 2, DESCRIPTORS), (200, 60, OPEN)])
def test_noise_is_no_growth(level: float, noise: float, limit: Limit) -> None:
    assert of(life(0, RUN, level, noise=noise)).flat(limit)
    lives = [life(begin, begin + 300, level, noise=noise) for begin in (0, 350, 700, 1100, 1500)]
    assert of(*lives).flat(limit)


def test_a_warm_up_is_no_growth_however_often_a_process_starts() -> None:
    assert of(life(0, RUN, 100, warms_up=60, noise=1)).flat(MEMORY)
    assert of(*(life(begin, begin + 340, 100, warms_up=60, noise=1) for begin in range(0, 1750, 350))).flat(MEMORY)


def test_a_jam_that_goes_away_is_no_growth() -> None:
    jam = [Point(point.at, point.value + 900 * (600 < point.at < 720)) for point in life(0, RUN, 200, noise=20)]
    assert of(jam).flat(OPEN)


def test_what_shrinks_does_not_grow() -> None:
    assert of(life(0, RUN, 150, per_hour=-60, noise=1)).flat(MEMORY)


def test_lives_that_end_in_their_warm_up_tell_nothing() -> None:
    assert growth([life(0, 100, 150, per_hour=1000)], warm_up=WARM_UP, run=RUN) is None
    short = of(life(0, 150, 150, per_hour=1000))
    assert (short.within, short.told) == (None, False)


def test_a_caller_who_was_not_told_of_the_end_is_found() -> None:
    stories = {"a": {"status": "delivered"}, "b": {"status": "undelivered"}, "c": {"status": "sent"}, "d": None}
    told = {"a": ["overdue", "delivered"], "b": ["delivered"], "c": ["overdue"]}
    assert list(not_told(stories, told)) == ["b"]
    assert list(not_told(stories, {})) == ["a", "b", "c"]


def result(**changes: object) -> Result:
    """A soak in which nothing went wrong, but for what is changed."""
    series = [
        Series("worker", "memory", {1: life(0, 900, 150), 2: life(910, RUN, 150)}),
        Series("kept", "open workflows", {0: life(0, RUN, 200)}),
    ]
    values: dict[str, object] = {
        "soak": Soak(30, 1), "saturation": 21.0, "per_second": 11.8, "busy": 70.0, "events": 21_240,
        "seconds": RUN, "settled_in": 60,
        "findings": Findings(), "not_told": {}, "faults": Counter(), "kinds": Counter(), "series": series, "rests": [],
        "judged": judge(series, warm_up=WARM_UP, run=RUN), "kilobytes": {}, "clerk": (0, 0),
    }  # fmt: skip
    return Result(**values | changes)  # type: ignore[arg-type]


ABOUT = {"at": "now", "commit": "abc", "machine": {"cores": 2, "processor": "any", "memoryGiB": 8}}
LEAKING = [Series("worker", "memory", {1: life(0, RUN, 150, per_hour=60)})]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"findings": Findings(lost={"event-1": "gone"})}, "- `event-1`: gone"),
        ({"findings": Findings(texted_twice={"event-1": "2 texts"})}, "- `event-1`: 2 texts"),
        ({"not_told": {"event-1": "delivered"}}, "- `event-1`: delivered"),
        ({"unsettled": ["event-1"]}, "| without an end in time | 1 |"),
        ({"rests": [Rest("kept", "open workflows", 0, 1, 0)]}, "| open workflows | 0 | 1 | **more** |"),
        ({"judged": judge(LEAKING, warm_up=WARM_UP, run=RUN)}, "| **grows** |"),
    ],
)
def test_a_soak_fails_by_each_of_its_promises(wrong: dict[str, object], says: str) -> None:
    assert result().clean
    failed = result(**wrong)
    assert not failed.clean
    assert says in written(failed, ABOUT)
    assert written(failed, ABOUT).startswith("# The last soak on SQLite: failed")
