"""One soak: measure what the stack can take, post at a share of it for long while parts of it are killed, look at
everything that could grow, let it come to rest, audit and judge."""

import asyncio
import dataclasses
import itertools
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from devstack.processes import free_ports
from notifications.status import FINAL
from tests.bench.loads import closed
from tests.chaos.auditor import Findings, audit
from tests.chaos.campaign import Ground, Plan, ground, settled, storm
from tests.chaos.faults import KILL_API, KILL_WORKER, STOP_WORKER, Faults
from tests.receiver import SECRET
from tests.soak.judge import Growth, Limit, Point, growth
from tests.soak.people import CallersDesk, Clerk, MixedCallers
from tests.soak.samples import Sampler, Series

SHARE = 0.7  # of saturation in bad weather
BAD_WEATHER = 0.8  # of saturation is left where answers are lost, looked up and sent again, and parts start anew
AT_ONCE = 32  # of the closed loop: enough to keep two cores busy
EVERY = 5.0  # seconds between two looks
PAUSE = (40.0, 60.0)  # seconds between two faults
ENDING_LIVES = 1 / 3  # of the time; then API and worker live on, through all other faults: a leak takes time to show
WARM_UP = 1_500  # events, until what a process keeps for later use is there
FILLS_IN = 150.0  # seconds, until as many events end as begin: the longest deadline, and who clears up after it
REST = 20.0  # seconds; connections are kept alive for ten

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Soak:
    """For how long, and how hard."""

    minutes: float
    seed: int
    per_second: float | None = None
    """Otherwise a share of the saturation that is measured first."""
    postgres: bool = False
    saturating: int = 200
    """Notifications that saturation is measured with."""
    pause: tuple[float, float] = PAUSE
    every: float = EVERY
    settle: float = 900
    """Seconds to come to rest."""

    @property
    def warm_up(self) -> float:
        """Seconds at the beginning of a process's life that are not judged."""
        seconds = 120.0 if self.per_second is None else max(120.0, WARM_UP / self.per_second)
        return min(seconds, self.minutes * 60 / 5)


@dataclass(frozen=True, slots=True)
class Judged:
    """A measure of a part, how it went, and how it may."""

    part: str
    measure: str
    went: Growth
    limit: Limit | None
    """None where it is told of and not judged."""

    @property
    def flat(self) -> bool:
        return self.limit is None or self.went.flat(self.limit)


@dataclass(frozen=True, slots=True)
class Rest:
    """A measure of a part with nothing going on: before the load, and after it has come to an end."""

    part: str
    measure: str
    before: float
    after: float
    may_differ: float

    @property
    def same(self) -> bool:
        return self.after <= self.before + self.may_differ


@dataclass
class Result:
    """What it came to."""

    soak: Soak
    saturation: float | None
    per_second: float
    busy: float
    """Percent of the processors' time that was used while the load lasted, by everything."""
    events: int
    seconds: float
    settled_in: float
    findings: Findings
    not_told: dict[str, str]
    faults: Counter[str]
    kinds: Counter[str]
    judged: list[Judged]
    rests: list[Rest]
    series: list[Series]
    kilobytes: dict[str, float]
    """On disk for each notification."""
    clerk: tuple[int, int]
    unsettled: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        sound = self.findings.clean and not self.not_told and not self.unsettled
        return sound and all(one.flat for one in self.judged) and all(one.same for one in self.rests)


# Over the whole run. Python takes memory in steps and gives little of it back, so a mebibyte says nothing.
LIMITS: Mapping[tuple[str, str], Limit | None] = {
    **{
        (part, measure): limit
        for part in ("api", "worker")
        for measure, limit in {
            "memory": Limit(8, 0.05),
            "descriptors": Limit(5, 0.1),
            "sockets": Limit(5, 0.1),
            "database handles": Limit(3),
            "threads": Limit(12, 0.3),  # pools fill up to the most that was ever done at once
            "tasks": Limit(20, 0.1),
        }.items()
    },
    # It keeps every message, as Twilio does, and would be no witness otherwise.
    ("simulator", "memory"): None,
    ("simulator", "descriptors"): Limit(20, 0.3),
    # It caches the histories that it has written for an hour, up to a limit that a soak does not reach.
    ("temporal", "memory"): None,
    ("temporal", "descriptors"): Limit(10, 0.1),
    ("temporal", "threads"): Limit(6),
    ("postgresql", "memory"): Limit(32, 0.2),
    ("postgresql", "descriptors"): Limit(20, 0.1),
    ("postgresql", "processes"): Limit(5),
    ("kept", "database connections"): Limit(5),
    ("kept", "open workflows"): Limit(20, 0.25),
    ("kept", "escalated and open"): Limit(20, 0.25),
    ("kept", "backlog of queues"): Limit(20),
    ("kept", "webhooks to send"): Limit(20),
    ("kept", "Heliograph's WAL"): Limit(16),
    ("kept", "Temporal's WAL"): Limit(16),
    ("kept", "Heliograph's database"): None,
    ("kept", "Temporal's database"): None,
}
_AT_REST = {"tasks": 5.0, "descriptors": 8.0, "sockets": 8.0, "database handles": 6.0, "threads": 8.0}
_NOTHING = ("open workflows", "escalated and open", "backlog of queues", "webhooks to send")


async def run(soak: Soak, folder: Path, tell: Tell) -> Result:
    """Raises ProcessFailed when a part does not come back."""
    plan = Plan(
        events=0, seed=soak.seed, per_second=0, pause=soak.pause, deadline=(30, 90), list_lag=20, settle=soak.settle,
        postgres=soak.postgres,
    )  # fmt: skip
    async with AsyncExitStack() as at_the_end:
        told = await at_the_end.enter_async_context(CallersDesk(SECRET, random.Random(soak.seed + 2)).open())
        [metrics_port] = free_ports(1)
        environment = {
            "EVENTS_WEBHOOK_URL": f"http://127.0.0.1:{told.port}/",  # type: ignore[attr-defined]
            "EVENTS_WEBHOOK_SECRET": SECRET,
            "METRICS_PORT": str(metrics_port),
            "QUIET_HOURS": "none",
        }
        here = await at_the_end.enter_async_context(ground(plan, folder, callers=MixedCallers, environment=environment))
        return await _Course(soak, here, told, Sampler(here, metrics_port), tell).run(plan)  # type: ignore[arg-type]


class _Course:
    """What happens, in order."""

    def __init__(self, soak: Soak, here: Ground, told: CallersDesk, sampler: Sampler, tell: Tell) -> None:
        self._soak = soak
        self._here = here
        self._told = told
        self._sampler = sampler
        self._tell = tell
        self._clerk = Clerk(here)

    async def run(self, plan: Plan) -> Result:
        saturation, rate = await self._rates()
        plan = dataclasses.replace(plan, per_second=rate, events=int(rate * 60 * self._soak.minutes))
        self._tell(f"posting {rate:g} a second, {plan.events} in all")
        before = await self._at_rest()
        self._sampler.begin()
        began = time.monotonic()
        async with self._clearing():
            busy = await self._loaded(plan)
            load = time.monotonic() - began
            series = [_until(one, load) for one in self._sampler.series]
            at_rest = await self._at_rest()
        settled_in = time.monotonic() - began - load
        records, unsettled = await settled(self._here, 60, self._tell)
        rests = [
            Rest(part, measure, value, at_rest[part, measure], _AT_REST.get(measure, 0.0))
            for (part, measure), value in before.items()
            if (part, measure) in at_rest
        ]
        return Result(
            soak=self._soak,
            saturation=saturation,
            per_second=rate,
            busy=busy,
            events=plan.events,
            seconds=load,
            settled_in=settled_in,
            findings=audit(records),
            not_told=not_told(records.stories, self._told.notices),
            faults=self._here.faults.done,
            kinds=Counter(str(story.get("kind")) for story in records.stories.values() if story),
            judged=judge(series, warm_up=self._soak.warm_up, run=load),
            rests=rests,
            series=series,
            kilobytes={name: _per(series, f"{name}'s database", plan.events) for name in ("Heliograph", "Temporal")},
            clerk=(self._clerk.delivered_late, self._clerk.sent_again),
            unsettled=unsettled,
        )

    async def _rates(self) -> tuple[float | None, float]:
        """Saturation, unless it is not asked for, and what is posted, both a second."""
        callers = self._here.callers
        assert isinstance(callers, MixedCallers)
        self._told.patient = True
        self._tell("warming up")
        await closed(callers.begin, self._told.told, "warm-up", count=self._soak.saturating // 3, at_once=AT_ONCE)
        if self._soak.per_second is not None:
            return None, self._soak.per_second
        self._tell("measuring saturation")
        times = await closed(callers.begin, self._told.told, "saturating", count=self._soak.saturating, at_once=AT_ONCE)
        self._tell(f"{times.per_second:.1f} a second are saturation")
        return times.per_second, round(SHARE * BAD_WEATHER * times.per_second, 1)

    async def _loaded(self, plan: Plan) -> float:
        """How busy the processors were, in percent."""
        stop = asyncio.Event()
        looking = asyncio.create_task(self._sampler.run(stop, self._soak.every))
        self._told.patient = False
        counted = itertools.count()

        def tell(line: str) -> None:
            if next(counted) % 3 == 0:
                now = self._sampler.now
                self._tell(
                    f"{line}, {now('kept', 'open workflows') or 0:.0f} open workflows, "
                    f"worker {now('worker', 'memory') or 0:.0f} MiB, API {now('api', 'memory') or 0:.0f} MiB"
                )

        psutil.cpu_percent()  # begins to count
        faults, ending = self._here.faults, ENDING_LIVES * 60 * self._soak.minutes
        assert isinstance(faults, Faults)
        sparing = asyncio.get_running_loop().call_later(
            ending, faults.spared.update, (KILL_API, KILL_WORKER, STOP_WORKER)
        )
        try:
            await storm(self._here, plan, tell)
            return psutil.cpu_percent()
        finally:
            sparing.cancel()
            self._told.patient = True
            stop.set()
            await looking

    async def _at_rest(self) -> dict[tuple[str, str], float]:
        """Everything as it is once nothing is open any more, or is not in time."""
        until = time.monotonic() + self._soak.settle
        while time.monotonic() < until:
            await self._sampler.look()
            if all(self._sampler.now("kept", measure) == 0 for measure in _NOTHING):
                break
            await asyncio.sleep(self._soak.every)
        await asyncio.sleep(REST)
        await self._sampler.look()
        found = {
            (one.part, one.measure): one.last()
            for one in self._sampler.series
            if one.measure in _NOTHING or (one.measure in _AT_REST and one.part in ("api", "worker"))
        }
        self._tell(f"at rest, {found.get(('kept', 'open workflows')) or 0:.0f} open workflows")
        return {key: value for key, value in found.items() if value is not None}

    @asynccontextmanager
    async def _clearing(self) -> Any:
        stop = asyncio.Event()
        clearing = asyncio.create_task(self._clerk.run(stop))
        try:
            yield
        finally:
            stop.set()
            await clearing


def judge(series: list[Series], *, warm_up: float, run: float) -> list[Judged]:
    """All measures that there is something to say of."""
    found = []
    for one in series:
        key = one.part, one.measure
        begins = max(warm_up, min(FILLS_IN, run / 2)) if one.part == "kept" else warm_up
        went = growth(one.lifetimes.values(), warm_up=begins, run=run)
        if went is not None and key in LIMITS:
            found.append(Judged(*key, went, LIMITS[key]))
    return sorted(found, key=lambda judged: list(LIMITS).index((judged.part, judged.measure)))


def not_told(stories: Mapping[str, Mapping[str, Any] | None], told: Mapping[str, list[str]]) -> dict[str, str]:
    """Events whose caller was not told of the end that Heliograph knows."""
    found = {}
    for event_id, story in stories.items():
        if story is None:
            continue  # the auditor says it
        status = story["status"]
        wanted = status if status in {one.value for one in FINAL} or status == "unknown" else "overdue"
        if wanted not in told.get(event_id, []):
            found[event_id] = f"{status}; its caller was told {told.get(event_id, [])}"
    return found


def _until(series: Series, end: float) -> Series:
    """As it was while the load lasted."""
    lives = {life: [point for point in points if point.at <= end] for life, points in series.lifetimes.items()}
    return Series(series.part, series.measure, {life: points for life, points in lives.items() if points})


def _per(series: list[Series], measure: str, events: int) -> float:
    """KiB for each event."""
    points: list[Point] = [point for one in series if one.measure == measure for point in one.lifetimes.get(0, [])]
    return 1024 * (points[-1].value - points[0].value) / events if points else 0.0
