"""The messages, calls, refusals and scenarios, in memory and, where asked, in SQLite: they survive a kill -9."""

import json
import sqlite3
from dataclasses import asdict
from pathlib import Path

from simulator.call import Call
from simulator.message import CallbackRecord, Message
from simulator.scenario import Scenario, Step


class Store:
    """Written at every change; read once at start."""

    def __init__(self, database: Path | None) -> None:
        self.messages: dict[str, Message] = {}
        self.calls: dict[str, Call] = {}
        self.scenarios: dict[str, Scenario] = {}
        self.requests: dict[str, int] = {}
        self._opted_out: dict[str, set[str]] = {}
        """By phone: the numbers and services that may not text it."""
        self.default = Scenario()
        self.clock_offset = 0.0
        if database is not None:
            database.parent.mkdir(parents=True, exist_ok=True)
        self._sql = sqlite3.connect(database or ":memory:", isolation_level=None, check_same_thread=False)
        # A crash of this process loses nothing; a power cut may, and nobody's text is in here.
        self._sql.execute("PRAGMA journal_mode=WAL")
        self._sql.execute("PRAGMA synchronous=OFF")
        self._sql.execute("CREATE TABLE IF NOT EXISTS kept (sort TEXT, name TEXT, json TEXT, PRIMARY KEY (sort, name))")
        self._load()

    def scenario(self, number: str) -> Scenario:
        return self.scenarios.get(number, self.default)

    def set_scenario(self, number: str | None, scenario: Scenario) -> None:
        """For one number, or for all that have none of their own."""
        if number is None:
            self.default = scenario
        else:
            self.scenarios[number] = scenario
        self._keep("scenario", number or "", scenario.model_dump_json())

    def drop_scenario(self, number: str) -> None:
        self.scenarios.pop(number, None)
        self._sql.execute("DELETE FROM kept WHERE sort = 'scenario' AND name = ?", (number,))

    def next_step(self, number: str) -> Step | None:
        """What the next attempt to create a message or a call meets; it is used up."""
        scenario = self.scenario(number)
        if not scenario.create:
            return scenario.create_forever
        step = scenario.create.pop(0)
        self.set_scenario(number if number in self.scenarios else None, scenario)
        return step

    def save_call(self, call: Call) -> None:
        self.calls[call.sid] = call
        self._keep("call", call.sid, json.dumps(asdict(call)))

    def delete_call(self, call: Call) -> None:
        self.calls.pop(call.sid, None)
        self._sql.execute("DELETE FROM kept WHERE sort = 'call' AND name = ?", (call.sid,))

    def update_call(self, call: Call) -> None:
        """Saves it unless it has been forgotten meanwhile."""
        if call.sid in self.calls:
            self.save_call(call)

    def save(self, message: Message) -> None:
        self.messages[message.sid] = message
        self._keep("message", message.sid, json.dumps(asdict(message)))

    def update(self, message: Message) -> None:
        """Saves it unless it has been deleted meanwhile."""
        if message.sid in self.messages:
            self.save(message)

    def delete(self, message: Message) -> None:
        self.messages.pop(message.sid, None)
        self._sql.execute("DELETE FROM kept WHERE sort = 'message' AND name = ?", (message.sid,))

    def count_request(self, number: str) -> None:
        self.requests[number] = self.requests.get(number, 0) + 1
        self._keep("requests", number, str(self.requests[number]))

    def opted_out(self, number: str, *senders: str | None) -> bool:
        """Whether the phone has refused texts of one of these numbers and services."""
        return not self._opted_out.get(number, set()).isdisjoint(senders)

    def opt_out(self, number: str, *senders: str | None) -> None:
        self._keep_opted_out(number, self._opted_out.get(number, set()) | {sender for sender in senders if sender})

    def opt_in(self, number: str, *senders: str | None) -> None:
        self._keep_opted_out(number, self._opted_out.get(number, set()) - set(senders))

    def reset(self) -> None:
        """Forgets everything."""
        self.messages.clear()
        self.calls.clear()
        self.scenarios.clear()
        self.requests.clear()
        self._opted_out.clear()
        self.default = Scenario()
        self.clock_offset = 0.0
        self._sql.execute("DELETE FROM kept")

    def close(self) -> None:
        self._sql.close()

    def _keep_opted_out(self, number: str, senders: set[str]) -> None:
        self._opted_out[number] = senders
        self._keep("opted out", number, json.dumps(sorted(senders)))

    def _keep(self, sort: str, name: str, text: str) -> None:
        # An update keeps the row's place, so that messages are read back in the order of their creation.
        self._sql.execute(
            "INSERT INTO kept VALUES (?, ?, ?) ON CONFLICT (sort, name) DO UPDATE SET json = excluded.json",
            (sort, name, text),
        )

    def _load(self) -> None:
        for sort, name, text in self._sql.execute("SELECT sort, name, json FROM kept ORDER BY rowid").fetchall():
            if sort == "message":
                fields = json.loads(text)
                fields["callbacks"] = [CallbackRecord(**callback) for callback in fields["callbacks"]]
                self.messages[name] = Message(**fields)
            elif sort == "call":
                self.calls[name] = Call.restored(json.loads(text))
            elif sort == "opted out":
                self._opted_out[name] = set(json.loads(text))
            elif sort == "requests":
                self.requests[name] = int(text)
            elif name:
                self.scenarios[name] = Scenario.model_validate_json(text)
            else:
                self.default = Scenario.model_validate_json(text)
