"""`make overload`: what becomes of callers when five times as much comes in as can be sent, for a minute.

One caller floods; beside him another posts one order a second, alerts come one a second, and now and then a batch.
Nobody tries again: each answer is the first. Afterwards everything that was accepted must end, with one text each.
"""

import argparse
import asyncio
import itertools
import sys
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any

import aiohttp
import psutil
from rich.console import Console

from devstack.stack import Ports, Stack, running
from tests.bench.loads import percentile
from tests.world import KEY, stack_environment

AT_ONCE = 32  # of the closed loop
OTHER_KEY = "another-key-for-the-overload"
SENT_AFTER, FINAL_AFTER = 0.02, 0.1  # seconds that the simulated Twilio takes
ENDED = frozenset({"delivered", "undelivered", "failed", "expired", "suppressed", "canceled", "unknown"})
_numbers = itertools.count(1)


@dataclass
class Answers:
    """To the posts of one sort."""

    seconds: dict[int, list[float]] = field(default_factory=dict)
    """By HTTP status; 0 where there was no answer."""
    accepted: dict[str, str] = field(default_factory=dict)
    """Event IDs and the phones that they are for."""

    def add(self, status: int, seconds: float) -> None:
        self.seconds.setdefault(status, []).append(seconds)

    @property
    def offered(self) -> int:
        return sum(len(times) for times in self.seconds.values())

    @property
    def statuses(self) -> dict[int, int]:
        return {status: len(times) for status, times in sorted(self.seconds.items())}

    def times(self, *, taken: bool) -> dict[str, float | None]:
        """Milliseconds of those that were accepted, or of the others."""
        chosen = [one for status, times in self.seconds.items() if (status in (200, 202)) == taken for one in times]
        if not chosen:
            return {"p50": None, "p99": None, "max": None}
        if len(chosen) == 1:
            chosen *= 2
        return {"p50": percentile(chosen, 50), "p99": percentile(chosen, 99), "max": 1000 * max(chosen)}


@dataclass
class Overload:
    """All that was posted, and how it was answered."""

    flood: Answers = field(default_factory=Answers)
    other: Answers = field(default_factory=Answers)
    alerts: Answers = field(default_factory=Answers)
    batches: Answers = field(default_factory=Answers)

    @property
    def accepted(self) -> dict[str, str]:
        return {
            event_id: phone
            for answers in (self.flood, self.other, self.alerts, self.batches)
            for event_id, phone in answers.accepted.items()
        }


class Callers:
    """Post, and take the time."""

    def __init__(self, stack: Stack, session: aiohttp.ClientSession) -> None:
        self._url = stack.api_url
        self._session = session

    async def order(self, answers: Answers, key: str = KEY) -> None:
        event = order()
        if await self._post(answers, "/api/order-shipped-sms", event, key) is not None:
            answers.accepted[event["eventId"]] = event["phone"]

    async def alert(self, answers: Answers) -> None:
        event = alert()
        if await self._post(answers, "/api/incident-alert-sms", event, KEY) is not None:
            answers.accepted[event["eventId"]] = event["contacts"][0]["phone"]

    async def batch(self, answers: Answers, size: int) -> None:
        events = [order() | {"kind": "order-shipped"} for _ in range(size)]
        answer = await self._post(answers, "/api/batches", {"events": events}, OTHER_KEY)
        for event, result in zip(events, answer["results"] if answer else (), strict=False):
            if result.get("accepted"):
                answers.accepted[event["eventId"]] = event["phone"]

    async def _post(self, answers: Answers, path: str, body: dict[str, Any], key: str) -> dict[str, Any] | None:
        began = perf_counter()
        status, found = 0, {}
        try:
            async with self._session.post(
                f"{self._url}{path}", json=body, headers={"Authorization": f"Bearer {key}"}
            ) as answer:
                found = await answer.json(content_type=None)
                status = answer.status
                if status == 503 and (found["error"] != "overloaded" or "Retry-After" not in answer.headers):
                    status = 599  # another 503 than the one that is looked at
        except aiohttp.ClientError:
            pass
        answers.add(status, perf_counter() - began)
        return found if status in (200, 202) else None


def order() -> dict[str, Any]:
    number = next(_numbers)
    return {
        "eventId": f"overload-order-{number}",
        "phone": f"+1555{2_000_000 + number}",
        "orderId": str(number),
        "consentAt": datetime.now(UTC).isoformat(),
    }


def alert() -> dict[str, Any]:
    number = next(_numbers)
    return {
        "eventId": f"overload-alert-{number}",
        "groupKey": f"group-{number}",
        "service": "checkout-api",
        "severity": "low",
        "summary": "it is on fire",
        "contacts": [{"phone": f"+1555{2_000_000 + number}"}],
        "consentAt": datetime.now(UTC).isoformat(),
    }


async def every(seconds: float, until: float, post: Callable[[], Awaitable[None]], first: float = 0.0) -> None:
    """Posts at fixed moments, whether those before were answered or not; returns when all are."""
    began, posted = perf_counter() + first, []
    for number in itertools.count():
        due = began + number * seconds
        if due >= until:
            break
        await asyncio.sleep(max(0.0, due - perf_counter()))
        posted.append(asyncio.ensure_future(post()))
    await asyncio.gather(*posted)


async def overloaded(
    callers: Callers, per_second: float, seconds: float, *, batch: int, every_batch: float
) -> Overload:
    """Offers so much for so long, alerts, another caller's orders and batches beside it."""
    seen, until = Overload(), perf_counter() + seconds
    await asyncio.gather(
        every(1 / per_second, until, lambda: callers.order(seen.flood)),
        every(1, until, lambda: callers.order(seen.other, OTHER_KEY), first=0.3),
        every(1, until, lambda: callers.alert(seen.alerts), first=0.6),
        every(every_batch, until, lambda: callers.batch(seen.batches, batch), first=1.5),
    )
    return seen


async def saturation(stack: Stack, callers: Callers, watch: "Watch", seconds: float) -> float:
    """How many a second are taken and delivered, 32 at once, over so many seconds."""
    answers, began = Answers(), perf_counter()

    async def loop() -> None:
        while perf_counter() - began < seconds:
            mine = Answers()
            await callers.order(mine)
            answers.accepted |= mine.accepted
            for phone in mine.accepted.values():
                await watch.delivered(phone)

    await asyncio.gather(*(loop() for _ in range(AT_ONCE)))
    return len(answers.accepted) / (perf_counter() - began)


class Watch:
    """Sees in the simulator what was texted, once for all who ask."""

    def __init__(self, stack: Stack, session: aiohttp.ClientSession) -> None:
        self._stack = stack
        self._session = session
        self._looked = asyncio.Condition()
        self._requested: dict[str, int] = {}

    async def texts(self) -> dict[str, int]:
        """How many each phone was sent."""
        async with self._session.get(f"{self._stack.simulator_url}/simulator/requests") as answer:
            found: dict[str, int] = await answer.json()
            return found

    async def look(self) -> None:
        while True:
            self._requested = await self.texts()
            async with self._looked:
                self._looked.notify_all()
            await asyncio.sleep(0.1)

    async def delivered(self, phone: str) -> None:
        async with self._looked:
            await self._looked.wait_for(lambda: phone in self._requested)
        await asyncio.sleep(FINAL_AFTER)

    async def status(self, event_id: str) -> str:
        async with self._session.get(
            f"{self._stack.api_url}/api/notifications/{event_id}", headers={"Authorization": f"Bearer {KEY}"}
        ) as answer:
            return str((await answer.json()).get("status", answer.status))

    async def ends(self, accepted: dict[str, str], within: float) -> Counter[str]:
        """How they have ended, as soon as all have, or what they are after so many seconds."""
        open_, found, end = set(accepted), Counter[str](), perf_counter() + within
        while open_:
            statuses = {event_id: await self.status(event_id) for event_id in sorted(open_)}
            over = perf_counter() > end
            for event_id, status in statuses.items():
                if status in ENDED or over:
                    found[status] += 1
                    open_.discard(event_id)
            await asyncio.sleep(1 if open_ else 0)
        return found


@contextmanager
def stack(folder: Path) -> Iterator[Stack]:
    """All parts as processes, with two callers."""
    parts = Stack(Ports.free(), folder, {})
    parts.environment = stack_environment(parts) | {"LOG_FORMAT": "json", "API_KEYS": f"shop={KEY},other={OTHER_KEY}"}
    with running(parts):
        yield parts


@contextmanager
def memory(stack: Stack) -> Iterator[dict[str, int]]:
    """MiB that each process has taken in between, on top of what it had."""
    parts = {name: psutil.Process(one.pid) for name, one in stack.processes.items() if name != "bootstrap"}
    before = {name: process.memory_info().rss for name, process in parts.items()}
    grown: dict[str, int] = {}
    yield grown
    grown |= {name: (process.memory_info().rss - before[name]) // 2**20 for name, process in parts.items()}


async def measure(parts: Stack, options: argparse.Namespace, say: Callable[[str], None]) -> dict[str, Any]:
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=120)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        delays = {"sentAfter": SENT_AFTER, "finalAfter": FINAL_AFTER}
        async with session.put(f"{parts.simulator_url}/simulator/defaults", json=delays) as answer:
            answer.raise_for_status()
        callers, watch = Callers(parts, session), Watch(parts, session)
        looking = asyncio.create_task(watch.look())
        say("saturation")
        await saturation(parts, callers, watch, 3)  # warms up
        rate = await saturation(parts, callers, watch, options.measure)
        looking.cancel()
        say(f"{rate:.1f} a second; now {options.times:g} times that for {options.seconds:g} s")
        with memory(parts) as grown:
            seen = await overloaded(
                callers, options.times * rate, options.seconds, batch=options.batch, every_batch=options.every_batch
            )
        say(f"{len(seen.accepted)} accepted; waiting until all have ended")
        began = perf_counter()
        ends = await watch.ends(seen.accepted, within=options.drain)
        texts = await watch.texts()
        return {
            "saturation": rate,
            "offeredPerSecond": options.times * rate,
            "seconds": options.seconds,
            **{
                name: {"offered": one.offered, "statuses": one.statuses, "accepted": len(one.accepted)}
                | {"taken": one.times(taken=True), "refused": one.times(taken=False)}
                for name, one in vars(seen).items()
            },
            "ends": dict(ends),
            "drainedIn": perf_counter() - began,
            "notOnce": sum(texts.get(phone, 0) != 1 for phone in seen.accepted.values()),
            "grownMiB": grown,
        }


def told(figures: dict[str, Any]) -> Iterator[str]:
    yield f"saturation {figures['saturation']:.1f}/s, offered {figures['offeredPerSecond']:.0f}/s"
    yield "| | offered | answered | events accepted | accepted p50 / p99 / max, ms | refused p50 / p99 / max, ms |"
    yield "|---|---|---|---|---|---|"
    for name in ("flood", "other", "alerts", "batches"):
        one = figures[name]
        taken, refused = (
            " / ".join("–" if value is None else f"{value:.0f}" for value in one[part].values())
            for part in ("taken", "refused")
        )
        statuses = ", ".join(f"{status}: {count}" for status, count in one["statuses"].items())
        yield f"| {name} | {one['offered']} | {statuses} | {one['accepted']} | {taken} | {refused} |"
    yield f"ended {figures['ends']} within {figures['drainedIn']:.0f} s, {figures['notOnce']} not texted exactly once"
    yield f"memory grew by {figures['grownMiB']} MiB"


def broken(figures: dict[str, Any], *, within: float = 1_000) -> list[str]:
    """What is promised about overload, and was not kept; `within` so many ms what is accepted is answered."""
    parts = {name: figures[name] for name in ("flood", "other", "alerts", "batches")}
    promises = {
        "nothing is answered but 202 and 503 overloaded": all(
            set(one["statuses"]) <= {200, 202, 503} for one in parts.values()
        ),
        "the flood is more than can be taken": 503 in parts["flood"]["statuses"],
        "what is accepted is answered in time (p99)": all(
            parts[name]["taken"]["p99"] < within for name in ("flood", "other", "alerts") if parts[name]["accepted"]
        ),
        "each alert is accepted": set(parts["alerts"]["statuses"]) == {202},
        "all that was accepted is delivered": set(figures["ends"]) == {"delivered"},
        "each phone is texted once": figures["notOnce"] == 0,
    }
    return [promise for promise, kept in promises.items() if not kept]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--times", type=float, default=5, help="saturation")
    parser.add_argument("--measure", type=float, default=12, help="seconds of the closed loop")
    parser.add_argument("--batch", type=int, default=50, help="events in each batch")
    parser.add_argument("--every-batch", type=float, default=15, help="seconds between them")
    parser.add_argument("--drain", type=float, default=300, help="seconds that the drain may take")
    options = parser.parse_args()
    console = Console(highlight=False, soft_wrap=True)
    with tempfile.TemporaryDirectory(prefix="ov", ignore_cleanup_errors=True) as folder, stack(Path(folder)) as parts:
        figures = asyncio.run(measure(parts, options, Console(stderr=True).print))
    for line in told(figures):
        console.print(line, markup=False)
    for promise in broken(figures):
        console.print(f"BROKEN: {promise}", markup=False)
    return int(bool(broken(figures)))


if __name__ == "__main__":
    sys.exit(main())
