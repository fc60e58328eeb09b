"""Calls to the simulator: what creates one, and what waits for it."""

from typing import Any

import httpx

from tests.simulator.harness import BASE, CALLS, SENDER, Api, new_number, until

HELLO = "<Response><Say>Hello there</Say></Response>"


def asking(action: str, words: str = "Press 1", **attributes: str) -> str:
    """TwiML that speaks and waits for one key."""
    given = "".join(f' {name}="{value}"' for name, value in {"numDigits": "1", "timeout": "10", **attributes}.items())
    return f'<Response><Gather action="{action}"{given}><Say>{words}</Say></Gather><Say>Nothing</Say></Response>'


class Calls:
    """The calls of one simulator."""

    def __init__(self, api: Api) -> None:
        self.api = api

    async def create(self, to: str | None = None, **fields: Any) -> httpx.Response:
        """A create of a plain call; `fields` add to it, and take away when empty."""
        form = {"To": new_number() if to is None else to, "From": SENDER, "Twiml": HELLO, **fields}
        return await self.api.http.post(CALLS, data={name: value for name, value in form.items() if value})

    async def accepted(self, to: str | None = None, **fields: Any) -> dict[str, Any]:
        answer = await self.create(to, **fields)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def fetch(self, sid: str) -> httpx.Response:
        return await self.api.http.get(f"{BASE}/Calls/{sid}.json")

    async def update(self, sid: str, status: str) -> httpx.Response:
        return await self.api.http.post(f"{BASE}/Calls/{sid}.json", data={"Status": status})

    async def records(self, to: str) -> list[dict[str, Any]]:
        return list((await self.api.http.get("/simulator/calls", params={"to": to})).json())

    async def press(self, sid: str, digits: str) -> int:
        """The status of the answer."""
        return (await self.api.http.post(f"/simulator/calls/{sid}/press", json={"digits": digits})).status_code

    async def reaches(self, to: str, status: str) -> dict[str, Any]:
        """The record of the only call to a number, once it has the status."""
        return await self._record(to, lambda record: record["status"] == status)

    async def listens(self, to: str) -> dict[str, Any]:
        """The record of the only call to a number, once it waits for a key."""
        return await self._record(to, lambda record: record["listening"])

    async def _record(self, to: str, wanted: Any) -> dict[str, Any]:
        async def there() -> dict[str, Any] | None:
            (record,) = await self.records(to)
            return record if wanted(record) else None

        return await until(there) or {}
