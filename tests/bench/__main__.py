"""`make bench`: Heliograph against the bare workflow, in one run on one server, several rounds in turn."""

import argparse
import asyncio
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import psutil
from rich.console import Console

from engine import connect
from tests.bench import houses
from tests.bench.houses import FINAL_AFTER, SENT_AFTER, Floor, Heliograph, Measured
from tests.bench.loads import Times, closed, percentile, steady
from tests.bench.report import write
from tests.world import KEY, settings_for

ROOT = Path(__file__).resolve().parents[2]
AT_ONCE = 32  # of the closed loop: enough to keep two cores busy


class Bench:
    """Takes all figures."""

    def __init__(self, stack: Measured, floor: Floor, heliograph: Heliograph, say: Callable[[str], None]) -> None:
        self._stack = stack
        self._floor = floor
        self._heliograph = heliograph
        self._say = say

    async def run(self, *, rounds: int, count: int, seconds: float) -> dict[str, Any]:
        self._say("warming up")
        await self._round(self._floor, "warm", 60)
        await self._round(self._heliograph, "warm", 60)
        parts = {"floor": self._floor, "heliograph": self._heliograph}
        throughput: dict[str, list[dict[str, float]]] = {name: [] for name in parts}
        single: dict[str, list[Times]] = {name: [] for name in parts}
        for number in range(rounds):
            for name, part in parts.items():
                self._say(f"round {number + 1} of {rounds}: {name}")
                throughput[name].append(await self._round(part, f"{name}-{number}", count))
                single[name].append(await closed(part.begin, part.end, f"{name}-one-{number}", count=25, at_once=1))
        saturation = median(throughput["heliograph"], "perSecond")
        before, taken = self._stack.stored(), int(10 * seconds)
        self._say("10 a second")
        calm = await self._steady("calm", 10, seconds)
        self._say("10 a second, to those who were texted before")
        self._heliograph.texts_again = True
        known = await self._steady("known", 10, seconds)
        self._heliograph.texts_again = False
        stored = {name: (size - before[name]) / (2 * taken) for name, size in self._stack.stored().items()}
        rate = round(0.8 * saturation, 1)
        self._say(f"{rate} a second, 80 % of saturation")
        busy = await self._steady("busy", rate, seconds)
        self._say("one by one")
        return {
            "throughput": {name: summed(found) for name, found in throughput.items()},
            "single": {name: alone(found) for name, found in single.items()},
            "steady": {"10": calm, "10 known": known, "80 %": busy | {"perSecond": rate}},
            "perNotification": await self._one_by_one(),
            "storedBytes": stored,
            "memoryMiB": self._stack.memory(),
        }

    async def _round(self, part: Floor | Heliograph, prefix: str, count: int) -> dict[str, float]:
        before, server = part.cpu(), self._stack.server_cpu()
        times = await closed(part.begin, part.end, prefix, count=count, at_once=AT_ONCE)
        used = {name: 1000 * (seconds - before[name]) / count for name, seconds in part.cpu().items()}
        return {
            "perSecond": times.per_second,
            "cpuMs": sum(used.values()),
            **{f"{name}CpuMs": spent for name, spent in used.items()},
            "serverCpuMs": 1000 * (self._stack.server_cpu() - server) / count,
            "endedP50": percentile(times.ended, 50),
            "endedP99": percentile(times.ended, 99),
        }

    async def _steady(self, prefix: str, per_second: float, seconds: float) -> dict[str, float]:
        part = self._heliograph
        times = await steady(part.begin, part.end, prefix, per_second=per_second, seconds=seconds)
        return {
            "postP50": percentile(times.taken, 50),
            "postP99": percentile(times.taken, 99),
            "endedP50": percentile(times.ended, 50),
            "endedP99": percentile(times.ended, 99),
        }

    async def _one_by_one(self) -> dict[str, float]:
        """What Temporal bills and keeps, with nothing else going on; and where the time goes."""
        count = 20
        await asyncio.sleep(3)  # the server's counter is a second behind
        before = self._stack.actions()
        times = await closed(self._heliograph.begin, self._heliograph.end, "single", count=count, at_once=1)
        await asyncio.sleep(3)
        actions = (self._stack.actions() - before) / count
        stories = [await self._heliograph.story(f"single-{number}") for number in range(count)]
        described = [await self._heliograph.describe(f"single-{number}") for number in range(count)]
        return {
            "actions": actions,
            "events": statistics.median(length for length, _ in described),
            "historyBytes": statistics.median(size for _, size in described),
            "postToTwilioMs": statistics.median(to_twilio(story) for story in stories),
            "callbackToFinalMs": statistics.median(
                from_callback(story, self._heliograph.closed_at[story["eventId"]]) for story in stories
            ),
            "endedP50": percentile(times.ended, 50),
        }


def to_twilio(story: dict[str, Any]) -> float:
    """Milliseconds from the event's acceptance until Twilio has answered."""
    (sent,) = [entry for entry in story["timeline"] if entry["what"] == "sent"]
    return 1000 * (moment(sent["at"]) - moment(story["acceptedAt"])).total_seconds()


def from_callback(story: dict[str, Any], closed_at: datetime) -> float:
    """Milliseconds from Twilio's final callback until the workflow has ended."""
    last = [entry for entry in story["timeline"] if entry["what"] == "callback"][-1]
    return 1000 * (closed_at - moment(last["at"])).total_seconds()


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def median(found: list[dict[str, float]], name: str) -> float:
    return statistics.median(one[name] for one in found)


def summed(found: list[dict[str, float]]) -> dict[str, Any]:
    return {name: round(median(found, name), 2) for name in found[0]} | {
        "rounds": [round(one["perSecond"], 1) for one in found]
    }


def alone(found: list[Times]) -> dict[str, float]:
    taken = [value for times in found for value in times.taken]
    ended = [value for times in found for value in times.ended]
    return {"takenP50": percentile(taken, 50), "endedP50": percentile(ended, 50)}


def machine() -> dict[str, Any]:
    models = (line.split(":")[1].strip() for line in cpuinfo() if line.startswith("model name"))
    model = next(models, platform.machine())
    return {"processor": model, "cores": os.cpu_count(), "memoryGiB": round(psutil.virtual_memory().total / 2**30)}


def cpuinfo() -> list[str]:
    try:
        return Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return []


def commit() -> str:
    ended = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True)
    return ended.stdout.strip() or "unknown"


async def bench(stack: Measured, worker: Any, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    settings = settings_for(
        folder, data_dir=stack.data, payload_keys="", pii_hash_key=None,
        temporal_address=f"127.0.0.1:{stack.ports.temporal}",
    )  # fmt: skip
    client = await connect(settings)
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {KEY}"}) as session:
        delays = {"sentAfter": SENT_AFTER, "finalAfter": FINAL_AFTER}
        async with session.put(f"{stack.simulator_url}/simulator/defaults", json=delays) as answer:
            answer.raise_for_status()
        floor, heliograph = Floor(client, worker), Heliograph(stack, client, session)
        taken = Bench(stack, floor, heliograph, Console(stderr=True).print)
        return await taken.run(rounds=options.rounds, count=options.count, seconds=options.seconds)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--count", type=int, default=250, help="in each closed loop")
    parser.add_argument("--seconds", type=float, default=25, help="of each steady load")
    parser.add_argument("--postgres", action="store_true", help="instead of SQLite, for Heliograph's own tables")
    parser.add_argument("--keep", action="store_true", help="write docs/performance.json and docs/performance.md")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hg", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        with houses.stack(folder, on_postgres=options.postgres) as (stack, worker):
            figures = asyncio.run(bench(stack, worker, folder, options))
    about = {
        "database": "PostgreSQL" if options.postgres else "SQLite",
        "at": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "commit": commit(),
        "machine": machine(),
    }
    return write(about | figures, ROOT / "docs" if options.keep else None)


if __name__ == "__main__":
    sys.exit(main())
