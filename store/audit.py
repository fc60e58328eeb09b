"""Who ordered what, and what came of it. Rows are added, never changed, and hold nothing personal."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from sqlalchemy import func, insert, select

from notifications.confidential import Confidential
from privacy.masking import mask, scrub
from store.database import Database
from store.schema import audit, audit_results, notifications, recipients
from store.vault import Erased, Vault


class Action(StrEnum):
    """What an operator may order."""

    CANCEL = "cancel"
    RESCHEDULE = "reschedule"
    RESEND = "resend"
    ACKNOWLEDGE = "acknowledge"
    CONSENT = "consent"
    ERASE = "erase"
    EXPORT = "export consents"
    IMPORT = "import consents"
    RANGE = "range"
    REDELIVER = "redeliver"
    ENABLE = "enable endpoint"


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be done, before it is."""

    caller: str
    key_id: str
    action: str
    """An `Action`; or one of another version's, whose rows are read too."""
    event_id: str | None = None
    recipient_hash: str | None = None
    detail: str | None = None
    """A word of ours, nothing that a person wrote."""


@dataclass(frozen=True, slots=True)
class Audited:
    """An order and what came of it."""

    id: int
    at: datetime
    order: Order
    masked_phone: str | None
    """None where the order was about no recipient, or he was forgotten."""
    result: str | None
    """`done`, or the code of the problem; None while it is being done, and for ever if the process died meanwhile."""
    ended_at: datetime | None


class Audit:
    """Every method raises SQLAlchemyError."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    async def ordered(self, order: Order) -> int:
        """Writes an order down, before anything is done; its number."""
        async with self._database.write() as connection:
            known = select(notifications.c.event_id).where(notifications.c.event_id == order.event_id).scalar_subquery()
            # What is no event of ours may be anything; an operator may have taken a number for an ID.
            unknown = None if order.event_id is None else scrub(order.event_id)
            row = {
                "at": datetime.now(UTC),
                "caller": order.caller,
                "key_id": order.key_id,
                "action": order.action,
                "event_id": func.coalesce(known, unknown),
                "recipient_hash": order.recipient_hash,
                "detail": order.detail,
            }
            return int((await connection.execute(insert(audit).values(row).returning(audit.c.id))).scalar_one())

    async def ended(self, number: int, result: str) -> None:
        """Writes down what came of an order."""
        async with self._database.write() as connection:
            row = {"audit_id": number, "at": datetime.now(UTC), "result": result[:40]}
            await connection.execute(insert(audit_results).values(row))

    async def entries(self, *, since: datetime | None, event_id: str | None, limit: int) -> list[Audited]:
        """The oldest first: of all since a moment the first ones, without one the latest."""
        ended_at = audit_results.c.at.label("ended_at")
        query = (
            select(audit, audit_results.c.result, ended_at, recipients.c.sealed_phone)
            .outerjoin(audit_results, audit_results.c.audit_id == audit.c.id)
            .outerjoin(recipients, recipients.c.recipient_hash == audit.c.recipient_hash)
            .limit(limit)
        )
        if event_id is not None:
            query = query.where(audit.c.event_id.in_({event_id, scrub(event_id)}))
        if since is not None:
            query = query.where(audit.c.at >= since).order_by(audit.c.at, audit.c.id)
        else:
            query = query.order_by(audit.c.at.desc(), audit.c.id.desc())
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        phones = await self._masked({row.sealed_phone for row in rows if row.sealed_phone is not None})
        found = [
            Audited(
                id=row.id,
                at=row.at,
                order=Order(row.caller, row.key_id, row.action, row.event_id, row.recipient_hash, row.detail),
                masked_phone=phones.get(row.sealed_phone),
                result=row.result,
                ended_at=row.ended_at,
            )
            for row in rows
        ]
        return found if since is not None else found[::-1]

    async def _masked(self, sealed: set[str]) -> dict[str, str]:
        found = {}
        for one in sealed:
            try:
                found[one] = mask(await self._vault.open(Confidential(one)))
            except Erased:  # a moment ago
                continue
        return found
