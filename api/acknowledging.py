"""Somebody takes care of an incident: by API, by a reply to the text, by a key in the call."""

import asyncio
import re

import structlog
from temporalio.client import WorkflowUpdateFailedError

from api.database import answered
from api.desk import PATIENCE, what
from api.problems import Problem, Unavailable
from notifications.notification import Role
from privacy.encryption import KeyedHash
from privacy.masking import mask
from store.alerts import Alert, Alerts, AlertState
from workflows.dispatch import UPDATE_FAILURES, Dispatch

# What a reply must be to acknowledge; with or without the code of one alert.
_REPLY = re.compile(r"\W*(?:(?:1|ack|ok)\W*([a-z]{4})?|([a-z]{4}))\W*", re.IGNORECASE | re.ASCII)

ADMITTED_WITHIN = 20  # tenths of a second

log = structlog.stdlib.get_logger("heliograph.incidents")


class Acknowledging:
    """Every method raises Unavailable when Temporal or the database cannot be reached."""

    def __init__(self, dispatch: Dispatch, alerts: Alerts, hashes: KeyedHash) -> None:
        self._dispatch = dispatch
        self._alerts = alerts
        self._hashes = hashes

    async def by_caller(self, event_id: str, caller: str) -> Alert:
        """Raises Problem 404 for no alert, 409 for an incident that was resolved."""
        alert: Alert | None = await answered(self._alerts.of(event_id))
        for _ in range(ADMITTED_WITHIN):
            if alert is not None or not await answered(self._alerts.about_to_be(event_id)):
                break
            await asyncio.sleep(0.1)  # posted a moment ago
            alert = await answered(self._alerts.of(event_id))
        if alert is None:
            raise Problem(404, "not_found", "No alert of this ID is known.")
        if alert.state is AlertState.RESOLVED:
            raise Problem(409, "too_late", "The incident was resolved.")
        await self._acknowledge(alert, f"by {caller}")
        return alert

    async def by_reply(self, phone: str, body: str) -> int | None:
        """How many alerts the reply acknowledges; None when it is none. Without a code it means the latest incident."""
        found = _REPLY.fullmatch(body.strip())
        if found is None:
            return None
        code = (found.group(1) or found.group(2) or "").upper() or None
        sent = await answered(self._alerts.sent_to(self._hashes.of("recipient", phone), code=code))
        if not sent:
            return 0 if found.group(2) is None else None  # four letters alone may be any word
        await self._acknowledge(sent[0], f"reply from {mask(phone)}")
        return 1

    async def by_key(self, event_id: str, phone: str) -> bool:
        """Whether there is (still) something to acknowledge."""
        alert = await answered(self._alerts.of(event_id))
        if alert is None or alert.state is AlertState.RESOLVED:
            return False
        await self._acknowledge(alert, f"key pressed on {mask(phone)}")
        return True

    async def _acknowledge(self, alert: Alert, by: str) -> None:
        """Every alert of the incident that is still climbing; one that was folded stands for its incident."""
        climbing = await answered(self._alerts.climbing(alert.subject_hash))
        mine = [alert] if alert.role is Role.FIRST and alert.state is AlertState.OPEN else []
        for one in {one.event_id: one for one in [*mine, *climbing]}.values():
            try:
                async with asyncio.timeout(PATIENCE):
                    await self._dispatch.acknowledge(one.event_id, by)
            except WorkflowUpdateFailedError:
                continue
            except UPDATE_FAILURES as failure:
                log.warning("Temporal did not take it", event_id=one.event_id, error=what(failure))
                raise Unavailable("Temporal") from None
            await answered(self._alerts.acknowledged(one.event_id, by))
            log.info("acknowledged", event_id=one.event_id, by=by)
