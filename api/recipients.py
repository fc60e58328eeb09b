"""For those who keep consent, and answer to people for it."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Self

import structlog
from fastapi import APIRouter, Depends, Path, Request
from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError
from temporalio.service import RPCError

from api import drafting
from api.access import Eraser, Operator, Reader
from api.auditing import audited
from api.database import answered
from api.problems import Problem, responses
from notifications import phone as phones
from notifications.consent import EVERY, ConsentRecord, ConsentStatus, opt_out, standing, why_not
from notifications.fields import PastTimestamp, Printable, Timestamp
from notifications.notification import Recipient
from notifications.policy import Purpose
from privacy.masking import scrub
from store.audit import Action
from store.consents import Consents
from store.erasures import Erasures
from store.vault import Vault

router = APIRouter(prefix="/api/recipients", tags=["recipients"])
log = structlog.stdlib.get_logger("heliograph.consent")


class Recorded(StrEnum):
    """What callers may record; that a number is dead only the carrier can tell."""

    GRANTED = "granted"
    REVOKED = "revoked"
    OPTED_OUT = "opted_out"
    OPTED_IN = "opted_in"


class _Body(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True)


class ConsentBody(_Body):
    """What a person has agreed to, or taken back."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    status: Annotated[
        Recorded,
        Field(
            description="`granted` or `revoked` consent for the purpose. `opted_out` is stronger than any consent, and "
            "only START or `opted_in` lifts it (which does not lift Twilio's own block after STOP)."
        ),
    ]
    purpose: Annotated[
        Purpose | None, Field(description="Needed with `granted`; otherwise it may be left out for all purposes.")
    ] = None
    at: Annotated[PastTimestamp | None, Field(description="When he said so; now if it is left out.")] = None
    source: Annotated[
        Printable,
        Field(
            min_length=2,
            max_length=100,
            description="Where. Phone numbers in it are masked.",
            examples=["checkout form", "phone call"],
        ),
    ]
    wording: Annotated[
        Printable | None,
        Field(max_length=100, description="The version of the words that he agreed to.", examples=["terms-2026-03"]),
    ] = None
    expires_at: Annotated[Timestamp | None, Field(description="Until when it holds.")] = None

    @model_validator(mode="after")
    def _belong_together(self) -> Self:
        if self.status == Recorded.GRANTED and self.purpose is None:
            raise PydanticCustomError("purpose", "`granted` needs the purpose that was agreed to")
        if self.expires_at is not None and self.expires_at <= (self.at or datetime.now(UTC)):
            raise PydanticCustomError("expires_at", "`expiresAt` must be after `at`")
        return self


class ConsentEntry(_Body):
    """One record of the ledger."""

    status: ConsentStatus
    purpose: Annotated[str, Field(description="`*` for all.")]
    at: datetime
    source: str
    wording: str | None = None
    expires_at: datetime | None = None
    sender: str | None = None
    event_id: str | None = None
    recorded_by: str
    recorded_at: datetime | None = None


class ForPurpose(_Body):
    """Whether he may be texted for one purpose."""

    may_text: bool
    why: Annotated[str | None, Field(description="Why not.")] = None
    consent_at: datetime | None = None


class Standing(_Body):
    """What a recipient may be texted, and how that came about."""

    phone: Annotated[str, Field(description="Masked.", examples=["***5310"])]
    opted_out: bool
    purposes: dict[Purpose, ForPurpose]
    records: list[ConsentEntry]


def _recipient(
    request: Request, phone: Annotated[str, Path(description="In E.164.", examples=[phones.EXAMPLE], max_length=40)]
) -> Recipient:
    """The recipient of the path. Raises Problem 400."""
    return recipient_of(request, phone)


def recipient_of(request: Request, phone: str) -> Recipient:
    """The recipient by his number. Raises Problem 400."""
    try:
        number = phones.normalise(phone)
    except phones.InvalidPhone as invalid:
        detail = {"field": "phone", "problem": str(invalid), "code": "phone"}
        raise Problem(400, "invalid_request", "The request is not valid.", details=[detail]) from None
    return drafting.recipient_of(request.app.state.hashes, number)


Named = Annotated[Recipient, Depends(_recipient)]


@router.get("/{phone}/consent", responses=responses(400, 401, 503))
async def consent(recipient: Named, request: Request, caller: Reader) -> Standing:
    """What he has agreed to, and whether he may be texted now, for each purpose."""
    return await _standing(request.app.state.consents, recipient)


@router.put("/{phone}/consent", responses=responses(400, 401, 503))
async def record(body: ConsentBody, recipient: Named, request: Request, caller: Operator) -> Standing:
    """Adds to the ledger; nothing in it is ever changed. The same words for the same moment are one record."""
    consents: Consents = request.app.state.consents
    vault: Vault = request.app.state.vault
    entry = ConsentRecord(
        purpose=body.purpose or EVERY,
        status=ConsentStatus(body.status),
        at=body.at or datetime.now(UTC),
        source=scrub(body.source),
        recorded_by=caller.name,
        wording=body.wording and scrub(body.wording),
        expires_at=body.expires_at,
    )
    async with audited(request, caller, Action.CONSENT, recipient_hash=recipient.hash, detail=body.status):
        await answered(vault.enrol([recipient]))
        await answered(consents.add(recipient.hash, entry))
    return await _standing(consents, recipient)


class Forgotten(_Body):
    """His key is destroyed; nothing that was said to him can be read any more."""

    phone: str
    events: Annotated[int, Field(description="Of which only the bare IDs are left, once they have ended.")]
    opted_out: Annotated[bool, Field(description="An opt-out outlives him.")]


@router.delete("/{phone}", responses=responses(400, 401, 503))
async def forget(recipient: Named, request: Request, caller: Eraser) -> Forgotten:
    """Destroys the key that his numbers and texts were sealed with: in Temporal's histories and in backups too.

    What he has opted out of stays, and the IDs of events, so that nobody is texted twice for having been forgotten.
    What is held is canceled, and Twilio's copies are deleted, within the hour.
    """
    erasures: Erasures = request.app.state.erasures
    consents: Consents = request.app.state.consents
    async with audited(request, caller, Action.ERASE, recipient_hash=recipient.hash):
        events: int = await answered(erasures.erase(recipient.hash, recipient.masked, caller.name))
    records: list[ConsentRecord] = await answered(consents.records(recipient.hash))
    try:
        await request.app.state.dispatch.purge_soon()
    except (RPCError, RuntimeError) as failure:
        log.warning("the purge comes with its schedule", error=type(failure).__name__)
    log.warning("forgotten", recipient_hash=recipient.hash, events=events, caller=caller.name)
    out = any(opt_out(records, purpose, consents.rules) for purpose in Purpose)
    return Forgotten(phone=recipient.masked, events=events, opted_out=out)


async def _standing(consents: Consents, recipient: Recipient) -> Standing:
    records: list[ConsentRecord] = await answered(consents.records(recipient.hash))
    now, rules = datetime.now(UTC), consents.rules
    purposes = {}
    for purpose in Purpose:
        why, counts = why_not(records, purpose, rules, now), standing(records, purpose)
        granted = counts is not None and counts.status is ConsentStatus.GRANTED
        at = counts.at if counts and granted else None
        purposes[purpose] = ForPurpose(may_text=why is None, why=why, consent_at=at)
    return Standing(
        phone=recipient.masked,
        opted_out=any(opt_out(records, purpose, rules) for purpose in Purpose),
        purposes=purposes,
        records=[ConsentEntry.model_validate(one, from_attributes=True) for one in records],
    )
