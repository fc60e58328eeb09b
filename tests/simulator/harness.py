"""The simulator as a process, a receiver of its callbacks, and the official library pointed at it."""

import asyncio
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx
from aiohttp import web
from twilio.http.http_client import TwilioHttpClient
from twilio.http.response import Response
from twilio.request_validator import RequestValidator
from twilio.rest import Client

from devstack.processes import free_ports

ROOT = Path(__file__).parents[2]
ACCOUNT = "AC" + "a1" * 16
TOKEN = "token-of-the-simulated-account"
SENDER = "+15005550006"
SERVICE = "MG" + "b2" * 16
OPERATIONS_SECRET = "whsec_" + "c2VjcmV0LW9mLXRoZS1vcGVyYXRvcnM"
BASE = f"/2010-04-01/Accounts/{ACCOUNT}"
MESSAGES = f"{BASE}/Messages.json"
CALLS = f"{BASE}/Calls.json"

_numbers = itertools.count(2_025_550_100)
_paths = itertools.count(1)
T = TypeVar("T")


def new_number() -> str:
    """A recipient that no other test has."""
    return f"+1{next(_numbers)}"


def free_port() -> int:
    return free_ports(1)[0]


async def until(check: Callable[[], Awaitable[T]], timeout: float = 6.0) -> T:
    """What `check` returns as soon as it is true."""
    end = time.monotonic() + timeout
    while True:
        found = await check()
        if found:
            return found
        assert time.monotonic() < end, f"never came about; last: {found!r}"
        await asyncio.sleep(0.02)


def browser(url: str, auth: httpx.Auth | tuple[str, str] | None = None) -> httpx.AsyncClient:
    """HTTP to a simulator; without certificates, whose loading takes longer than most tests."""
    return httpx.AsyncClient(base_url=url, auth=auth, timeout=10, verify=False)


class Process:
    """`python -m simulator`, or the same server with a configuration that the environment has no word for."""

    def __init__(
        self, folder: Path, *, database: Path | None = None, inbound: str | None = None, **config: Any
    ) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._out = folder / f"simulator-{self.port}.log"
        self._database = database
        self._inbound = inbound
        self._config = config
        self._process: subprocess.Popen[bytes] | None = None

    def _spawn(self) -> "subprocess.Popen[bytes]":
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("TWILIO_", "SIMULATOR_", "OPERATIONS_"))
        }
        environment |= {
            "TWILIO_ACCOUNT_SID": ACCOUNT,
            "TWILIO_AUTH_TOKEN": TOKEN,
            "TWILIO_FROM_NUMBER": SENDER,
            "TWILIO_MESSAGING_SERVICE_SID": SERVICE,
            "OPERATIONS_WEBHOOK_SECRET": OPERATIONS_SECRET,
            "SIMULATOR_PORT": str(self.port),
        }
        if self._database:
            environment["SIMULATOR_DATABASE"] = str(self._database)
        if self._inbound:
            environment["SIMULATOR_INBOUND_URL"] = self._inbound
        command = [sys.executable, "-m", "simulator"]
        if self._config:
            code = (
                "import json, sys; from simulator.config import SimulatorConfig; from simulator.server import run; "
                "run(SimulatorConfig(**json.loads(sys.argv[1])))"
            )
            config = {"account_sid": ACCOUNT, "auth_token": TOKEN, "port": self.port, **self._config}
            command = [sys.executable, "-c", code, json.dumps(config)]
        with self._out.open("ab") as out:
            return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=out, stderr=out)

    async def start(self) -> None:
        self._process = self._spawn()
        async with browser(self.url) as client:

            async def up() -> bool:
                assert self._process is not None
                assert self._process.poll() is None, self.output()
                try:
                    return (await client.get("/healthz")).status_code == 200
                except httpx.TransportError:
                    return False

            await until(up, 20)

    async def stop(self, sort: signal.Signals = signal.SIGTERM) -> int:
        """Its exit code."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(sort)
        return await asyncio.to_thread(self._process.wait, 10)

    def output(self) -> str:
        """All it ever wrote to stdout and stderr."""
        return self._out.read_text()


class Api:
    """REST and the control plane of one simulator."""

    def __init__(self, url: str, auth: tuple[str, str] = (ACCOUNT, TOKEN)) -> None:
        self.url = url
        self.http = browser(url, auth)

    async def create(self, to: str | None = None, **fields: str) -> httpx.Response:
        """A create of a plain text; `fields` add to it, and take away when empty."""
        form = {"To": new_number() if to is None else to, "From": SENDER, "Body": "Hello", **fields}
        return await self.http.post(MESSAGES, data={name: value for name, value in form.items() if value})

    async def accepted(self, to: str | None = None, **fields: str) -> dict[str, Any]:
        answer = await self.create(to, **fields)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def fetch(self, sid: str) -> httpx.Response:
        return await self.http.get(f"{BASE}/Messages/{sid}.json")

    async def scenario(self, number: str, **knobs: Any) -> None:
        """Quick, unless told otherwise."""
        answer = await self.http.put(
            f"/simulator/numbers/{number}", json={"sentAfter": 0.02, "finalAfter": 0.06, **knobs}
        )
        assert answer.status_code == 204, answer.text

    async def records(self, to: str) -> list[dict[str, Any]]:
        return list((await self.http.get("/simulator/messages", params={"to": to})).json())

    async def reaches(self, sid: str, status: str) -> dict[str, Any]:
        """The resource, once it has the status."""

        async def there() -> dict[str, Any] | None:
            resource = (await self.fetch(sid)).json()
            return resource if resource.get("status") == status else None

        return await until(there) or {}

    async def answered(self, to: str, number: int) -> list[dict[str, Any]]:
        """The records of the callbacks for one text, once so many are through."""

        async def through() -> list[dict[str, Any]] | None:
            callbacks = [one for record in await self.records(to) for one in record["callbacks"]]
            done = [one for one in callbacks if one["answers"] or one["lost"]]
            return callbacks if len(done) == len(callbacks) >= number else None

        return await until(through) or []


@dataclass(frozen=True)
class Call:
    """One request that arrived at the receiver."""

    url: str
    """As it came over the wire."""
    form: dict[str, str]
    headers: dict[str, str]
    at: float


def genuine(call: Call, url: str | None = None) -> bool:
    """What Twilio's own validator says, over the URL as it arrived unless another is given."""
    return bool(
        RequestValidator(TOKEN).validate(url or call.url, call.form, call.headers.get("X-Twilio-Signature", ""))
    )


class Receiver:
    """Takes Twilio's requests; answers each path as told, else with 204."""

    def __init__(self) -> None:
        self.calls: dict[str, list[Call]] = {}
        self.answers: dict[str, list[int | float]] = {}
        """By path: HTTP statuses, or seconds (a float) to wait before 204."""
        self.documents: dict[str, list[str]] = {}
        """By path: TwiML that is answered with 200, before any of the answers."""
        self._runner: web.AppRunner | None = None
        self.base = ""

    async def start(self) -> None:
        app = web.Application()
        app.router.add_route("*", "/{rest:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        port = free_port()
        await web.TCPSite(self._runner, "127.0.0.1", port).start()
        self.base = f"http://127.0.0.1:{port}"

    async def stop(self) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    def address(self, *answers: int | float) -> str:
        """A URL of its own."""
        path = f"/status/{next(_paths)}"
        self.answers[path] = list(answers)
        return self.base + path

    def action(self, *documents: str) -> str:
        """A URL of its own that answers with TwiML."""
        url = self.address()
        self.documents[httpx.URL(url).path] = [f"<Response>{one}</Response>" for one in documents]
        return url

    def at(self, url: str) -> list[Call]:
        return self.calls.get(httpx.URL(url).path, [])

    def statuses(self, url: str) -> list[str]:
        return [call.form["MessageStatus"] for call in self.at(url)]

    async def gets(self, url: str, number: int) -> list[Call]:
        """The calls at that address, once there are so many."""

        async def enough() -> bool:
            return len(self.at(url)) >= number

        await until(enough)
        return self.at(url)

    async def _handle(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        call = Call(
            url=f"http://{request.headers['Host']}{request.raw_path}",
            form=form,
            headers=dict(request.headers),
            at=time.monotonic(),
        )
        self.calls.setdefault(request.path, []).append(call)
        if documents := self.documents.get(request.path):
            return web.Response(text=documents.pop(0), content_type="text/xml")
        answers = self.answers.get(request.path, [])
        answer = answers.pop(0) if answers else 204
        if isinstance(answer, float):
            await asyncio.sleep(answer)
            answer = 204
        return web.Response(status=answer)


class _Rewritten(TwilioHttpClient):  # type: ignore[misc]  # the library has no types
    def __init__(self, base: str) -> None:
        super().__init__(timeout=10)
        self._base = base

    def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> Response:
        return super().request(method, url.replace("https://api.twilio.com", self._base), *args, **kwargs)


def official(url: str) -> Client:
    """Twilio's own client, talking to the simulator."""
    return Client(ACCOUNT, TOKEN, http_client=_Rewritten(url))
