"""Several API and worker processes on one database and one Temporal: they start, stop and crash in any order."""

import asyncio
import os
import random
import signal
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress

from devstack.processes import Process
from devstack.stack import Stack
from tests.chaos.faults import Storm


class Shifts(Storm):
    """Who works when. At the end all do."""

    def __init__(self, stack: Stack, api_ports: list[int], rng: random.Random) -> None:
        self._stack = stack
        self._random = rng
        self._starts: Mapping[str, Callable[[], Process]] = {
            **{f"api-{port}": lambda port=port: stack.start_api(f"api-{port}", PORT=str(port)) for port in api_ports},
            **{f"worker-{n}": lambda n=n: stack.start_worker(f"worker-{n}") for n in range(len(api_ports))},
        }
        self._changing: dict[str, asyncio.Task[None]] = {}
        self.done: Counter[str] = Counter()

    async def run(self, stop: asyncio.Event, pause: tuple[float, float]) -> None:
        """One change after the other until told to stop; a stop and a start take their time beside it."""
        while not stop.is_set():
            self._change(self._random.choice(list(self._starts)))
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), self._random.uniform(*pause))
        await asyncio.gather(*self._changing.values())
        await self.start()

    async def start(self) -> None:
        """Starts all that do not run, at once."""
        absent = [start for name, start in self._starts.items() if not self._running(name)]
        await asyncio.gather(*(asyncio.to_thread(start) for start in absent))

    def _running(self, name: str) -> bool:
        process = self._stack.processes.get(name)
        return process is not None and process.running

    def _change(self, name: str) -> None:
        if name in self._changing and not self._changing[name].done():
            return
        part = name.split("-")[0]
        if not self._running(name):
            self._changing[name] = asyncio.create_task(self._start(name, part))
        elif self._random.random() < 0.5:
            self._stack.processes[name].kill()
            self.done[f"kill -9 of a {part}"] += 1
        else:
            self._changing[name] = asyncio.create_task(self._stop(name, part))

    async def _start(self, name: str, part: str) -> None:
        await asyncio.to_thread(self._starts[name])
        self.done[f"start of a {part}"] += 1

    async def _stop(self, name: str, part: str) -> None:
        os.kill(self._stack.processes[name].pid, signal.SIGTERM)
        await asyncio.to_thread(self._stack.processes[name].finish, 90)
        self.done[f"SIGTERM of a {part}"] += 1
