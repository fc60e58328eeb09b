"""Webhooks to callers: written down with the status that they tell of, and kept until they were taken."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from notifications.report import Report
from store.database import Database, insert_new, insert_or
from store.schema import endpoints, webhooks


class WebhookState(StrEnum):
    """What became of it."""

    PENDING = "pending"  # it is being tried, for days if need be
    TAKEN = "taken"  # the endpoint answered 2xx
    FAILED = "failed"  # it was tried for days, or the endpoint is gone
    WITHHELD = "withheld"  # the endpoint was disabled; it is not tried


@dataclass(frozen=True, slots=True)
class Webhook:
    """One of them."""

    id: str
    event_id: str
    caller: str
    body: str
    state: WebhookState
    attempts: int
    answer: str | None
    """What the endpoint said last, when it did not take it."""
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class EndpointRecord:
    """What is known of a caller's endpoint."""

    caller: str
    taken_at: datetime | None
    """When it last took one."""
    disabled_at: datetime | None


@dataclass(frozen=True, slots=True)
class Selection:
    """Which webhooks; what is None does not matter."""

    caller: str | None = None
    event_id: str | None = None
    state: WebhookState | None = None
    since: datetime | None = None
    until: datetime | None = None
    ids: Sequence[str] | None = None


class Outbox:
    """Every method raises SQLAlchemyError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, report: Report, caller: str) -> None:
        """Writes a webhook down; once, however often it is called."""
        async with self._database.write() as connection:
            await add(connection, report, caller)

    async def get(self, webhook_id: str) -> Webhook | None:
        async with self._database.read() as connection:
            row = (await connection.execute(select(webhooks).where(webhooks.c.id == webhook_id))).first()
            return None if row is None else _webhook(row)

    async def taken(self, webhook: Webhook) -> None:
        """The endpoint has it."""
        now = datetime.now(UTC)
        async with self._database.write() as connection:
            await _change(connection, webhook.id, state=WebhookState.TAKEN, answer=None, attempts=_ONE_MORE)
            await connection.execute(
                insert_or(connection, endpoints)
                .values(caller=webhook.caller, taken_at=now)
                .on_conflict_do_update(index_elements=[endpoints.c.caller], set_={"taken_at": now})
            )

    async def not_taken(self, webhook: Webhook, says: str) -> None:
        """It will be tried again."""
        async with self._database.write() as connection:
            await _change(connection, webhook.id, answer=says[:200], attempts=_ONE_MORE)

    async def settle(self, webhook: Webhook, state: WebhookState) -> bool:
        """It is not tried any more; False when it was ordered to be sent since it was read."""
        as_it_was = webhooks.c.state == webhook.state, webhooks.c.updated_at == webhook.updated_at
        async with self._database.write() as connection:
            return await _change(connection, webhook.id, *as_it_was, state=state)

    async def disable(self, webhook: Webhook, url: str, *, gone: bool) -> bool:
        """Disables an endpoint that took nothing since this webhook was made, or is gone; False for one that did."""
        now = datetime.now(UTC)
        async with self._database.write() as connection:
            row = (await connection.execute(select(endpoints).where(endpoints.c.caller == webhook.caller))).first()
            if not gone and row is not None and row.taken_at is not None and row.taken_at > webhook.created_at:
                return False
            values = {"disabled_at": now, "disabled_url_hash": _hash(url)}
            await connection.execute(
                insert_or(connection, endpoints)
                .values(caller=webhook.caller, **values)
                .on_conflict_do_update(index_elements=[endpoints.c.caller], set_=values)
            )
            return True

    async def disabled(self, caller: str, url: str) -> bool:
        """Whether a caller's endpoint is disabled; another URL is another endpoint."""
        query = select(endpoints.c.disabled_url_hash).where(
            endpoints.c.caller == caller, endpoints.c.disabled_at.is_not(None)
        )
        async with self._database.read() as connection:
            return (await connection.execute(query)).scalar() == _hash(url)

    async def enable(self, caller: str) -> bool:
        """False for one that was not disabled."""
        async with self._database.write() as connection:
            enabled = await connection.execute(
                update(endpoints)
                .where(endpoints.c.caller == caller, endpoints.c.disabled_at.is_not(None))
                .values(disabled_at=None, disabled_url_hash=None)
            )
            return bool(enabled.rowcount)

    async def endpoints(self) -> list[EndpointRecord]:
        async with self._database.read() as connection:
            rows = await connection.execute(select(endpoints).order_by(endpoints.c.caller))
            return [EndpointRecord(row.caller, row.taken_at, row.disabled_at) for row in rows]

    async def waiting(self, *, untried_since: datetime, tried_before: datetime, at_most: int) -> list[Webhook]:
        """Pending ones that nobody seems to be trying."""
        idle = or_(
            and_(webhooks.c.attempts == 0, webhooks.c.updated_at < untried_since), webhooks.c.updated_at < tried_before
        )
        query = (
            select(webhooks)
            .where(webhooks.c.state == WebhookState.PENDING, idle)
            .order_by(webhooks.c.updated_at)
            .limit(at_most)
        )
        async with self._database.read() as connection:
            return [_webhook(row) for row in await connection.execute(query)]

    async def select(self, which: Selection, at_most: int) -> list[Webhook]:
        """The latest first."""
        query = select(webhooks).where(*_conditions(which)).order_by(webhooks.c.created_at.desc(), webhooks.c.id)
        async with self._database.read() as connection:
            return [_webhook(row) for row in await connection.execute(query.limit(at_most))]

    async def reopen(self, ids: Sequence[str]) -> None:
        """They are to be sent (once more)."""
        async with self._database.write() as connection:
            await connection.execute(
                update(webhooks)
                .where(webhooks.c.id.in_(ids))
                .values(state=WebhookState.PENDING, answer=None, updated_at=datetime.now(UTC))
            )


async def add(connection: AsyncConnection, report: Report, caller: str) -> None:
    """Within the caller's transaction."""
    now = datetime.now(UTC)
    body = {"type": f"notification.{report.what}", "timestamp": now.isoformat(), "data": report.data()}
    row = {
        "id": report.id,
        "event_id": report.event_id,
        "caller": caller,
        "body": json.dumps(body),
        "state": WebhookState.PENDING,
        "attempts": 0,
        "created_at": now,
        "updated_at": now,
    }
    await insert_new(connection, webhooks, row)


_ONE_MORE = webhooks.c.attempts + 1


async def _change(
    connection: AsyncConnection, webhook_id: str, *conditions: ColumnElement[bool], **values: Any
) -> bool:
    """False where a condition does not hold."""
    changed = await connection.execute(
        update(webhooks).where(webhooks.c.id == webhook_id, *conditions).values(**values, updated_at=datetime.now(UTC))
    )
    return changed.rowcount == 1


def _conditions(which: Selection) -> list[ColumnElement[bool]]:
    wanted = [
        (webhooks.c.caller, which.caller),
        (webhooks.c.event_id, which.event_id),
        (webhooks.c.state, which.state),
    ]
    conditions = [column == value for column, value in wanted if value is not None]
    if which.since is not None:
        conditions.append(webhooks.c.created_at >= which.since)
    if which.until is not None:
        conditions.append(webhooks.c.created_at < which.until)
    if which.ids is not None:
        conditions.append(webhooks.c.id.in_(which.ids))
    return conditions


def _hash(url: str) -> str:
    return hashlib.sha256(url.encode()).hexdigest()


def _webhook(row: Row[Any]) -> Webhook:
    return Webhook(
        id=row.id,
        event_id=row.event_id,
        caller=row.caller,
        body=row.body,
        state=WebhookState(row.state),
        attempts=row.attempts,
        answer=row.answer,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
