"""The phone network: moves messages through their statuses and calls back."""

import asyncio
import time
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any

import aiohttp

from simulator import callbacks
from simulator.config import SimulatorConfig
from simulator.message import FINAL, CallbackRecord, Message
from simulator.scenario import Scenario
from simulator.store import Store

# Graph of statuses: create(From) queued -> sent -> final; create(service) accepted -> queued -> sent -> final.
REORDER_BY = 0.4  # seconds by which an overtaken callback comes after the final status


class Network:
    """Built inside the event loop; every message on its way is a task."""

    def __init__(self, config: SimulatorConfig, store: Store) -> None:
        self._config = config
        self._store = store
        self._tasks: set[asyncio.Task[None]] = set()
        self._listeners: set[asyncio.Queue[dict[str, Any]]] = set()
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=10))

    def resume(self) -> None:
        """After a restart, what was on its way goes on."""
        for message in self._store.messages.values():
            if not message.final and message.status != "scheduled":
                self.send(message)

    def send(self, message: Message) -> None:
        self.spawn(message.sid, self._send(message, self._store.scenario(message.to)))

    async def send_now(self, message: Message) -> None:
        """All the way before anything is answered: the callbacks overtake the create response."""
        await self._send(message, self._store.scenario(message.to))
        mine = [task for task in self._tasks if task.get_name() == message.sid]
        await asyncio.gather(*mine, return_exceptions=True)

    def move(self, message: Message, status: str, error_code: int | None = None) -> None:
        """Changes the status and calls back."""
        now = time.time()
        message.status = status
        message.error_code = error_code
        message.date_updated = now
        if status == "sent":
            message.date_sent = now
        self._store.update(message)
        self.tell({"type": "message", "message": message.record()})
        self.spawn(message.sid, self._call_back(message, status, error_code))

    def spawn(self, name: str, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Lets it go on until it ends, or everything is forgotten."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def listen(self) -> "asyncio.Queue[dict[str, Any]]":
        """What happens from now on, for the phones' page."""
        queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue(maxsize=10_000)
        self._listeners.add(queue)
        return queue

    def unlisten(self, queue: "asyncio.Queue[dict[str, Any]]") -> None:
        self._listeners.discard(queue)

    def tell(self, event: dict[str, Any]) -> None:
        for queue in self._listeners:
            if not queue.full():
                queue.put_nowait(event)

    def times(self, scenario: Scenario) -> tuple[float, float]:
        """Seconds from acceptance to `sent` or ringing, and to the final status or the answer."""
        return (
            self._config.sent_after if scenario.sent_after is None else scenario.sent_after,
            self._config.delivered_after if scenario.final_after is None else scenario.final_after,
        )

    async def close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._session.close()

    def forget(self) -> None:
        """Nothing on its way goes on."""
        for task in list(self._tasks):
            task.cancel()

    async def _send(self, message: Message, scenario: Scenario) -> None:
        sent_after, final_after = self.times(scenario)
        if message.status == "accepted":
            self.move(message, "queued")
        if scenario.outcome == "queued":
            return
        if message.status == "queued":
            await asyncio.sleep(sent_after)
            if message.status != "queued":
                return  # moved by hand meanwhile
            if scenario.outcome in ("failed", "refused"):  # too late to refuse what was taken
                return self.move(message, "failed", scenario.code)
            self.move(message, "sent")
        if scenario.outcome in ("sent", "refused"):
            return
        await asyncio.sleep(max(final_after - sent_after, 0))
        if message.status != "sent":
            return
        failed = scenario.outcome == "undelivered"
        self.move(message, scenario.outcome, scenario.code if failed else None)
        if scenario.callbacks.contradict:
            await asyncio.sleep(scenario.callbacks.contradict_after)
            await self._call_back(message, scenario.callbacks.contradict, None)

    async def _call_back(self, message: Message, status: str, error_code: int | None) -> None:
        if not message.status_callback:
            return
        scenario = self._store.scenario(message.to)
        record = CallbackRecord(status)
        message.callbacks.append(record)
        overtaken = 0.0
        if scenario.callbacks.reorder and status not in FINAL:
            _, final_after = self.times(scenario)
            overtaken = max(message.accepted_at + final_after - time.time(), 0) + REORDER_BY
        form = _form(message, status, error_code)
        await self.deliver(message.status_callback, form, record, scenario, wait=overtaken)
        self._store.update(message)
        self.tell({"type": "message", "message": message.record()})

    async def deliver(
        self,
        url: str,
        form: dict[str, str],
        record: CallbackRecord,
        scenario: Scenario,
        *,
        method: str = "POST",
        wait: float = 0.0,
    ) -> None:
        """One status callback, signed with the account's token, as the number's scenario has it."""
        token, knobs = self._config.auth_token, scenario.callbacks
        await callbacks.deliver(self._session, token, url, form, record, knobs, method=method, wait=wait)

    async def ask(
        self, url: str, form: dict[str, str], scenario: Scenario, *, method: str = "POST"
    ) -> callbacks.Exchange:
        """A request whose answer counts: TwiML."""
        token, bad = self._config.auth_token, scenario.callbacks.bad_signature
        return await callbacks.request(self._session, token, url, form, method=method, bad_signature=bad)


def _form(message: Message, status: str, error_code: int | None) -> dict[str, str]:
    """The parameters of a status callback (Twilio, "Outbound message status in status callbacks")."""
    form = {
        "AccountSid": message.account_sid,
        "ApiVersion": "2010-04-01",
        "From": message.from_ or "",
        "MessageSid": message.sid,
        "MessageStatus": status,
        "SmsSid": message.sid,
        "SmsStatus": status,
        "To": message.to,
    }
    if message.messaging_service_sid:
        form["MessagingServiceSid"] = message.messaging_service_sid
    if error_code is not None:
        form["ErrorCode"] = str(error_code)
    if status in ("delivered", "undelivered"):
        form["RawDlrDoneDate"] = datetime.now(UTC).strftime("%y%m%d%H%M")
    return form
