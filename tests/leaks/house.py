"""The whole service as processes, with a canary for every secret and every person, spoken to from outside."""

import asyncio
import base64
import hashlib
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from twilio.request_validator import RequestValidator

from devstack.processes import free_ports
from devstack.stack import Ports, Stack, heliograph
from store.database import Database
from tests.leaks.canaries import Canary, code, phone, secret, words
from tests.leaks.evidence import Evidence, files, rows, tables_of
from tests.leaks.outside import Outside
from tests.world import Phones, World


def _key(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


PAYLOAD_KEY, OTHER_PAYLOAD_KEY = (base64.b64encode(_key(name)).decode() for name in ("payload", "other payload"))
OPERATORS_TOKEN = "gannet-8a17-operators-url"
SECRETS = {
    "API key": "gannet-4b1f-api-key-of-the-shop",
    "wrong API key": "gannet-77c2-key-of-nobody",
    "auth token": "gannet09d3authtokenofthehouse",
    "secondary auth token": "gannet5e60secondaryauthtoken",
    "API key secret": "gannet21aaTwilioApiKeySecret",
    "hash key": "gannet-c4f8-hash-key-of-the-house",
    "token in the operators' URL": OPERATORS_TOKEN,
    "password of the database": "gannet-3d9e-database",
}
WEBHOOK_SECRETS = {name: "whsec_" + base64.b64encode(_key(name)).decode() for name in ("operators", "callers")}
ACCOUNT, API_KEY_SID, VERIFY = "AC" + "c" * 32, "SK" + "5" * 32, "VA" + "7" * 32
SENDER = "+15005550006"
NUMBERED = 7_310_000


class House(World):
    """A stack of processes and what is around it. Every answer is kept as evidence."""

    def __init__(self, stack: Stack, outside: Outside) -> None:
        self.stack = stack
        self.outside = outside
        self.phones = Phones(stack.simulator_url)
        self.posted: list[str] = []
        self.people: dict[str, Canary] = {}
        self.said: dict[str, Canary] = {}
        self.evidence: list[Evidence] = []
        self.http = httpx.AsyncClient(
            base_url=stack.api_url,
            headers={"Authorization": f"Bearer {SECRETS['API key']}"},
            timeout=20,
            event_hooks={"response": [self._keep]},
        )

    @property
    def canaries(self) -> list[Canary]:
        secrets = [secret(what, text) for what, text in SECRETS.items()]
        secrets += [
            secret(f"webhook secret of {name}", text, base64.b64decode(text[6:]))
            for name, text in WEBHOOK_SECRETS.items()
        ]
        secrets += [
            secret(f"payload key {number}", text, base64.b64decode(text))
            for number, text in enumerate((PAYLOAD_KEY, OTHER_PAYLOAD_KEY))
        ]
        return [*secrets, *self.people.values(), *self.said.values()]

    def person(self, what: str, e164: str | None = None) -> str:
        """The number of somebody new."""
        if what not in self.people:
            self.people[what] = phone(what, e164 or f"+1555{NUMBERED + 37 * len(self.people)}")
        return self.people[what].text

    def says(self, what: str, text: str) -> str:
        """Something that somebody writes."""
        self.said[what] = words(what, text)
        return text

    def code(self, what: str, digits: str) -> str:
        """A one-time code that is sent or typed."""
        self.said[what] = code(what, digits)
        return digits

    def event(self, who: str, **fields: Any) -> dict[str, Any]:
        """An event about a new person's order."""
        number = len(self.posted) + 1
        self.posted.append(who)
        event = {
            "eventId": f"leak-tour-{number}-{who.replace(' ', '-')}",
            "phone": self.person(who),
            "orderId": self.says(f"order of {who}", f"linnet-order-{who.replace(' ', '-')}"),
            "consentAt": (datetime.now(UTC) - timedelta(days=1)).isoformat(),
        }
        return {name: value for name, value in (event | fields).items() if value is not None}

    async def until(
        self, event_id: str, holds: Callable[[dict[str, Any]], bool] | str, seconds: float = 60
    ) -> dict[str, Any]:
        """Patiently: other tests may keep the machine busy."""
        return await super().until(event_id, holds, seconds)

    async def send(self, kind: str, event: Any, path: str = "", **headers: str) -> httpx.Response:
        return await self.http.post(f"/api/{kind}-sms{path}", json=event, headers=headers)

    async def call_back(self, path: str, form: Mapping[str, str], *, genuine: bool = True) -> httpx.Response:
        """As Twilio does; or as a forger."""
        signature = RequestValidator(SECRETS["auth token"]).compute_signature(self.stack.api_url + path, dict(form))
        headers = {"X-Twilio-Signature": signature if genuine else "Z" + signature[1:]}
        return await self.http.post(path, data=dict(form), headers=headers)

    async def run(self, *arguments: str) -> int:
        """One of our commands, as an operator types it; what it prints is evidence."""
        process = await asyncio.create_subprocess_exec(
            *heliograph(*arguments),
            cwd=self.stack.data,
            env=self.stack._environment() | {"COLUMNS": "400"},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        printed, _ = await process.communicate()
        self.evidence.append(Evidence("CLI", arguments[0], printed))
        assert process.returncode is not None
        return process.returncode

    def processes(self) -> list[Evidence]:
        """What everybody on the machine may see of the parts."""
        return [
            Evidence("process list", name, Path(f"/proc/{process.pid}/cmdline").read_bytes())
            for name, process in self.stack.processes.items()
            if process.running
        ]

    async def metrics_of_temporal(self) -> Evidence:
        """What Temporal's own Prometheus endpoint says."""
        log = (self.stack.logs / "temporal.log").read_text()
        url = re.findall(r"Temporal Metrics: +(http://localhost:\d+/metrics)", log)[-1]
        async with httpx.AsyncClient() as client:
            return Evidence("metrics", "temporal", (await client.get(url)).content)

    async def everything(self) -> list[Evidence]:
        """All that was written, once everything has ended."""
        database = Database(self.stack.environment["DATABASE_URL"])
        try:
            sql = await rows(database)
        finally:
            await database.close()
        told = [
            Evidence("webhook", f"{name}/{number}", f"{one.headers}\n\n{one.body}".encode(), frozenset(may_hold))
            for name, came_in, may_hold in (
                ("operators", self.outside.operators, {"operator note"}),
                ("callers", self.outside.callers, set[str]()),
            )
            for number, one in enumerate(came_in)
        ]
        temporal = tables_of(self.stack.data / "temporal.db")
        return [*self.evidence, *files(self.stack.data), *sql, *temporal, *told]

    async def _keep(self, response: httpx.Response) -> None:
        await response.aread()
        request = response.request
        head = "\n".join(f"{name}: {value}" for name, value in response.headers.items())
        # What a dry run is for is to show the caller his own text.
        may_hold = set(self.said) if request.url.params.get("dryRun") == "true" else set[str]()
        name = f"{request.method} {request.url.path}"
        sort = "metrics" if request.url.path == "/metrics" else "answer"
        data = f"{response.status_code}\n{head}\n\n".encode() + response.content
        self.evidence.append(Evidence(sort, name, data, frozenset(may_hold)))


@asynccontextmanager
async def inhabited(data: Path, database: str | None = None, **settings: str) -> AsyncIterator[House]:
    """The house, with everything running; `data` is absolute."""
    ports = Ports.free()
    stack = Stack(ports, data, {})
    outside = Outside(stack.simulator_url)
    (outside.port,) = free_ports(1)
    stack.environment = {
        "API_KEYS": f"shop={SECRETS['API key']}",
        "LOG_LEVEL": "DEBUG",
        "DATABASE_URL": database or f"sqlite:///{data / 'heliograph.db'}",
        "PAYLOAD_KEYS": f"leaks:{PAYLOAD_KEY}",
        "PII_HASH_KEY": SECRETS["hash key"],
        "TWILIO_ACCOUNT_SID": ACCOUNT,
        "TWILIO_AUTH_TOKEN": SECRETS["auth token"],
        "TWILIO_AUTH_TOKEN_SECONDARY": SECRETS["secondary auth token"],
        "TWILIO_API_KEY_SID": API_KEY_SID,
        "TWILIO_API_KEY_SECRET": SECRETS["API key secret"],
        "TWILIO_FROM_NUMBER": SENDER,
        "TWILIO_VERIFY_SERVICE_SID": VERIFY,
        "TWILIO_API_BASE_URL": outside.url,
        "TWILIO_READ_TIMEOUT_SECONDS": "1.5",
        "OPERATIONS_WEBHOOK_URL": f"{outside.url}/operators?token={OPERATORS_TOKEN}",
        "OPERATIONS_WEBHOOK_SECRET": WEBHOOK_SECRETS["operators"],
        "EVENTS_WEBHOOK_URL": f"{outside.url}/callers",
        "EVENTS_WEBHOOK_SECRET": WEBHOOK_SECRETS["callers"],
        "QUIET_HOURS": "none",
        "RECONCILE_EVERY_SECONDS": "5",
        "RECONCILE_AFTER_SECONDS": "5",
        **settings,
    }
    async with outside.open():
        try:
            await asyncio.to_thread(stack.start)
            house = House(stack, outside)
            yield house
            await house.http.aclose()
            await house.phones.close()
        finally:
            await asyncio.to_thread(stack.stop)
