"""Calls: rings, speaks the TwiML, hears keys, and calls back."""

import asyncio
import time
from datetime import UTC, datetime
from email.utils import format_datetime
from urllib.parse import urljoin, urlsplit

from simulator.call import Action, Call
from simulator.config import SimulatorConfig
from simulator.message import CallbackRecord
from simulator.network import Network
from simulator.scenario import Scenario
from simulator.store import Store
from simulator.twiml import XML_TYPES, Gather, Hangup, NotTwiml, Pause, Say, Unknown, Verb, verbs

# Graph of statuses: queued -> ringing -> in-progress -> completed; queued -> busy or failed; ringing -> no-answer;
# canceled from queued or ringing.
EVENTS = {"initiated": "initiated", "ringing": "ringing", "in-progress": "answered"}
SIP = {"completed": "200", "busy": "486", "no-answer": "487", "canceled": "487", "failed": "404"}
APPLICATION_ERROR = "<Response><Say>We are sorry, an application error has occurred. Goodbye.</Say></Response>"


class Voice:
    """Every call on its way is a task of the network's."""

    def __init__(self, config: SimulatorConfig, store: Store, network: Network) -> None:
        self._config = config
        self._store = store
        self._network = network
        self._running: dict[str, asyncio.Task[None]] = {}
        self._ears: dict[str, asyncio.Queue[str]] = {}
        """Where the keys of the calls go that listen now."""

    def resume(self) -> None:
        """After a restart, what was on its way goes on with the verb that was not done."""
        for call in self._store.calls.values():
            if not call.final:
                self._start(call)

    def dial(self, call: Call) -> None:
        """Takes a call."""
        self._changed(call)
        self._call_back(call, "initiated")
        self._start(call)

    def press(self, call: Call, digits: str) -> bool:
        """Whether the keys are heard."""
        ear = self._ears.get(call.sid)
        if ear is None:
            return False
        for key in digits:
            ear.put_nowait(key)
        return True

    def end(self, call: Call) -> None:
        """Hangs up, or stops the ringing."""
        if (task := self._running.pop(call.sid, None)) is not None:
            task.cancel()
        self._move(call, "completed" if call.status == "in-progress" else "canceled")

    def _start(self, call: Call) -> None:
        task = self._running[call.sid] = self._network.spawn(call.sid, self._run(call))
        task.add_done_callback(lambda _: self._running.pop(call.sid, None))

    async def _run(self, call: Call) -> None:
        scenario = self._store.scenario(call.to)
        if call.status == "queued":
            await self._connect(call, scenario)
        if call.status == "ringing":
            await self._ring(call, scenario)
        if call.status == "in-progress":
            await self._talk(call, scenario)
            self._move(call, "completed")

    async def _connect(self, call: Call, scenario: Scenario) -> None:
        rings_after, answered_after = self._network.times(scenario)
        if scenario.call == "busy":
            await asyncio.sleep(answered_after)
        else:
            await asyncio.sleep(rings_after)
        self._move(call, scenario.call if scenario.call in ("busy", "failed") else "ringing")

    async def _ring(self, call: Call, scenario: Scenario) -> None:
        rings_after, answered_after = self._network.times(scenario)
        needs, patience = max(answered_after - rings_after, 0), call.timeout / scenario.pace
        await asyncio.sleep(min(needs, patience))
        if scenario.call == "no-answer" or needs > patience:
            return self._move(call, "no-answer")
        call.keys = scenario.press or ""
        self._move(call, "in-progress")

    async def _talk(self, call: Call, scenario: Scenario) -> None:
        while (verb := self._next_verb(call)) is not None:
            if isinstance(verb, Hangup):
                return
            if isinstance(verb, Gather):
                await self._gather(call, verb, scenario)
            else:
                call.verb += 1  # kept with the words: a restart does not speak them again
                await asyncio.sleep(self._utter(call, verb) / scenario.pace)

    def _next_verb(self, call: Call) -> Verb | None:
        try:
            document = verbs(call.twiml)
        except NotTwiml as failure:
            self._give_up(call, str(failure))
            document = verbs(call.twiml)
        return document[call.verb] if call.verb < len(document) else None

    def _utter(self, call: Call, verb: Say | Pause | Unknown) -> float:
        """How many seconds it takes."""
        match verb:
            case Say(text):
                call.spoken.append(text)
                self._changed(call)
                return len(text.split()) * self._config.word_seconds
            case Pause(seconds):
                return seconds
            case Unknown(warning):
                call.warnings.append(warning)
        return 0

    async def _gather(self, call: Call, gather: Gather, scenario: Scenario) -> None:
        ear = self._ears[call.sid] = asyncio.Queue()
        call.listening = True
        try:
            digits = await self._hear(call, gather, ear, scenario.pace)
        finally:
            self._ears.pop(call.sid, None)
            call.listening = False
        if not digits and not gather.on_empty:
            return self._done(call)
        url = _absolute(call.document_url, gather.action)
        if url is None:
            call.warnings.append("13330 Gather: the action is no absolute URL")
            return self._done(call)
        await self._act(call, url, gather.method, digits, scenario)

    async def _hear(self, call: Call, gather: Gather, ear: "asyncio.Queue[str]", pace: float) -> str:
        """Speaks the prompts, until a key is pressed; returns all keys once there are enough or no more come."""
        key = None
        for prompt in gather.prompts[call.prompt :]:
            call.prompt += 1
            key = await _heard(ear, self._utter(call, prompt) / pace)
            if key is not None:
                break
        self._changed(call)
        while gather.most is None or len(call.heard) < gather.most:
            key = key or await self._key(call, ear, gather.timeout / pace)
            if key is None or key == gather.finish:
                break
            call.heard += key
            call.digits += key
            key = None
        return call.heard

    async def _key(self, call: Call, ear: "asyncio.Queue[str]", seconds: float) -> str | None:
        if not call.keys:
            return await _heard(ear, seconds)
        key, call.keys = call.keys[0], call.keys[1:]
        return key

    async def _act(self, call: Call, url: str, method: str, digits: str, scenario: Scenario) -> None:
        form = call.parameters() | {"Digits": digits}
        self._changed(call)
        told = await self._network.ask(url, form, scenario, method=method)
        call.actions.append(Action(digits, url, told.answers))
        if not told.taken:
            return self._give_up(call, "11200 HTTP retrieval failure")
        if told.type not in XML_TYPES:
            return self._give_up(call, "12300 Invalid Content-Type")
        call.open(told.body, url)
        self._changed(call)

    def _give_up(self, call: Call, warning: str) -> None:
        call.warnings.append(warning)
        call.open(APPLICATION_ERROR, None)
        self._changed(call)

    def _done(self, call: Call) -> None:
        call.verb, call.prompt, call.heard = call.verb + 1, 0, ""
        self._changed(call)

    def _move(self, call: Call, status: str) -> None:
        now = time.time()
        call.status = status
        call.updated_at = now
        if status not in ("canceled", "failed"):
            call.rang_at = call.rang_at or now
        if status == "in-progress":
            call.answered_at = now
        if call.final:
            call.ended_at, call.listening = now, False
        self._changed(call)
        self._call_back(call, status)

    def _changed(self, call: Call) -> None:
        self._store.update_call(call)
        self._network.tell({"type": "call", "call": call.record()})

    def _call_back(self, call: Call, status: str) -> None:
        if call.status_callback is None or EVENTS.get(status, "completed") not in call.events:
            return
        record = CallbackRecord(status)
        moment = format_datetime(datetime.fromtimestamp(time.time() + call.clock_offset, UTC))
        form = call.parameters() | {
            "CallStatus": status,
            "CallbackSource": "call-progress-events",
            "SequenceNumber": str(len(call.callbacks)),
            "Timestamp": moment,
        }
        if call.final:
            form |= {
                "CallDuration": str(call.seconds),
                "Duration": str(call.minutes),
                "SipResponseCode": SIP[status],
            }
        call.callbacks.append(record)
        self._network.spawn(call.sid, self._deliver(call, call.status_callback, record, form))

    async def _deliver(self, call: Call, url: str, record: CallbackRecord, form: dict[str, str]) -> None:
        scenario = self._store.scenario(call.to)
        await self._network.deliver(url, form, record, scenario, method=call.status_callback_method)
        self._changed(call)


async def _heard(ear: "asyncio.Queue[str]", seconds: float) -> str | None:
    """The next key, if one is pressed in time."""
    try:
        return await asyncio.wait_for(ear.get(), seconds)
    except TimeoutError:
        return None


def _absolute(base: str | None, action: str | None) -> str | None:
    """The action's URL; without one the document's own is asked again."""
    try:
        url = urljoin(base or "", action or "")
        parts = urlsplit(url)
        return url if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 else None
    except ValueError:
        return None
