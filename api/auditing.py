"""Nothing that an operator orders is done without its trace, and who reads the traces."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from typing import Annotated

import structlog
from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from sqlalchemy.exc import SQLAlchemyError

from api.access import Caller, Operator
from api.database import PATIENCE, answered
from api.problems import Problem, responses
from notifications.fields import EventId, Timestamp
from store.audit import Action, Audit, Audited, Order

DONE, FAILED = "done", "internal_error"

router = APIRouter(prefix="/api", tags=["audit"])
log = structlog.stdlib.get_logger("heliograph.audit")


class Auditing:
    """The order is written down first, and nothing is done if that fails; then what came of it.

    The two are rows of their own because the deed lies between them, part of it in Temporal, where no transaction of
    ours reaches. An order without a result was cut off: it may have been done.
    """

    def __init__(self, audit: Audit) -> None:
        self._audit = audit

    @asynccontextmanager
    async def of(self, order: Order) -> AsyncIterator[None]:
        """Around the deed. Raises Unavailable before it, and what the deed raises."""
        number: int = await answered(self._audit.ordered(order))
        result = FAILED
        try:
            yield
            result = DONE
        except Problem as problem:
            result = problem.error
            raise
        except asyncio.CancelledError:
            result = ""  # nobody knows how far it came
            raise
        finally:
            if result:
                await self._ended(number, result)

    async def entries(self, *, since: datetime | None, event_id: str | None, limit: int) -> list[Audited]:
        """Raises Unavailable."""
        found: list[Audited] = await answered(self._audit.entries(since=since, event_id=event_id, limit=limit))
        return found

    async def _ended(self, number: int, result: str) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                await self._audit.ended(number, result)
        except (SQLAlchemyError, OSError, TimeoutError) as failure:
            # It was done, or was not: the caller is to hear of that. The order stands, and the log says the rest.
            log.error("the result was not written down", audit_id=number, result=result, error=type(failure).__name__)


def audited(
    request: Request,
    caller: Caller,
    action: Action,
    *,
    event_id: str | None = None,
    recipient_hash: str | None = None,
    detail: str | None = None,
) -> AbstractAsyncContextManager[None]:
    """Around what a route does for an operator."""
    auditing: Auditing = request.app.state.auditing
    return auditing.of(Order(caller.name, caller.key_id, action, event_id, recipient_hash, detail))


class _Answer(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True)


class AuditEntry(_Answer):
    """An order and what came of it."""

    id: int
    at: Annotated[datetime, Field(description="When it was ordered.")]
    caller: str
    key_id: Annotated[
        str,
        Field(
            description="Which key: the first digits of its digest, or its place in API_KEYS.", examples=["9f86d081"]
        ),
    ]
    action: Annotated[str, Field(examples=[*Action])]
    event_id: str | None = None
    recipient_hash: Annotated[str | None, Field(description="All that is left of one who was forgotten.")] = None
    phone: Annotated[str | None, Field(description="Masked.", examples=["***5310"])] = None
    detail: Annotated[str | None, Field(examples=["forced"])] = None
    result: Annotated[
        str | None,
        Field(
            description="`done`, or the `error` that was answered; `unavailable` and none at all may have been done.",
            examples=["done", "too_late"],
        ),
    ] = None
    ended_at: datetime | None = None


class AuditLog(_Answer):
    """The oldest first."""

    entries: list[AuditEntry]


@router.get("/audit", responses=responses(400, 401, 503), response_model_exclude_none=True)
async def audit(
    request: Request,
    caller: Operator,
    since: Annotated[
        Timestamp | None,
        Query(description="From then on, the oldest; without it the latest. Ask again with the last `at`."),
    ] = None,
    event_id: Annotated[EventId | None, Query(alias="eventId")] = None,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
) -> AuditLog:
    """What operators have ordered: who, with which key, on which event or recipient, when, and what came of it."""
    auditing: Auditing = request.app.state.auditing
    return AuditLog(
        entries=[
            AuditEntry(
                id=entry.id,
                at=entry.at,
                caller=entry.order.caller,
                key_id=entry.order.key_id,
                action=entry.order.action,
                event_id=entry.order.event_id,
                recipient_hash=entry.order.recipient_hash,
                phone=entry.masked_phone,
                detail=entry.order.detail,
                result=entry.result,
                ended_at=entry.ended_at,
            )
            for entry in await auditing.entries(since=since, event_id=event_id, limit=limit)
        ]
    )
