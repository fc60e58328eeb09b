"""The consent ledger as CSV: for those who bring it from elsewhere, and take it there."""

import csv
import io
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any, Self

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from api.access import Operator
from api.auditing import audited
from api.database import answered
from api.problems import Detail, Problem, invalid_request, responses
from api.recipients import ConsentBody, recipient_of
from notifications.consent import EVERY, ConsentRecord, ConsentStatus
from notifications.fields import PastTimestamp, Printable
from notifications.notification import Recipient
from privacy.masking import scrub
from store.audit import Action
from store.consents import Consents, Exported
from store.vault import Vault

router = APIRouter(prefix="/api", tags=["recipients"])

COLUMNS = (
    "phone", "recipientHash", "status", "purpose", "at", "source", "wording", "expiresAt", "sender", "eventId",
    "recordedBy", "recordedAt",
)  # fmt: skip
NEEDED = frozenset({"status", "at", "source"})
FOR_READERS = frozenset({"eventId", "recordedBy", "recordedAt"})  # an import's are its own
AT_ONCE = 500  # records read from the database together
CSV = "text/csv"
_TEXT = {CSV: {"schema": {"type": "string"}}}


class Row(ConsentBody):
    """One line. Of a recipient who was forgotten only the hash is known."""

    status: ConsentStatus  # type: ignore[assignment]  # the carrier's too: it was learnt elsewhere
    at: PastTimestamp  # needed: without it the same line would be another record each time
    phone: str | None = None
    recipient_hash: Annotated[str | None, Field(pattern=r"^[0-9a-f]{32}$")] = None
    sender: Annotated[Printable | None, Field(max_length=40)] = None

    @model_validator(mode="after")
    def _names_someone(self) -> Self:
        if not self.phone and not self.recipient_hash:
            raise PydanticCustomError("phone", "`phone` or `recipientHash` is needed")
        return self


class Refused(BaseModel):
    """A line that was left out."""

    line: int
    details: list[Detail]


class Imported(BaseModel):
    """What became of the lines."""

    added: int
    known: Annotated[int, Field(description="They were in the ledger already.")]
    refused: list[Refused]


@router.get(
    "/consents.csv", responses=responses(401, 503) | {200: {"content": _TEXT}}, response_class=StreamingResponse
)
async def export(
    request: Request,
    caller: Operator,
    status: Annotated[ConsentStatus | None, Query(description="Only records of this status.")] = None,
) -> StreamingResponse:
    """All records, oldest first, with numbers in clear where they are still kept (RETAIN_NUMBER_DAYS)."""
    consents: Consents = request.app.state.consents
    vault: Vault = request.app.state.vault
    async with audited(request, caller, Action.EXPORT):
        first = await answered(consents.export(after=0, at_most=AT_ONCE, status=status))

    async def lines() -> AsyncIterator[str]:
        yield _line(COLUMNS)
        batch = first
        while batch:
            numbers = await vault.numbers(one.sealed_phone for one in batch)
            for one, number in zip(batch, numbers, strict=True):
                yield _line(_cells(one, number))
            batch = await consents.export(after=batch[-1].id, at_most=AT_ONCE, status=status)

    headers = {"Content-Disposition": 'attachment; filename="consents.csv"', "Cache-Control": "no-store"}
    return StreamingResponse(lines(), media_type=CSV, headers=headers)


@router.post(
    "/consents.csv",
    responses=responses(400, 401, 413, 503),
    openapi_extra={"requestBody": {"required": True, "content": _TEXT}},
)
async def add(request: Request, caller: Operator) -> Imported:
    """Adds records; the first line names the columns, `phone,status,at,source` at least. A line that is in the ledger
    already is known, so that an import may be repeated; one that is wrong is left out, and the others are added."""
    consents: Consents = request.app.state.consents
    vault: Vault = request.app.state.vault
    rows = list(_rows(await request.body()))  # one line that cannot be read, and none is added
    async with audited(request, caller, Action.IMPORT, detail=f"{len(rows)} lines"):
        imported = Imported(added=0, known=0, refused=[])
        for number, cells in rows:
            try:
                row = Row.model_validate(cells)
                recipient = recipient_of(request, row.phone) if row.phone else None
            except ValidationError as invalid:
                imported.refused.append(_refused(number, invalid_request(invalid)))
            except Problem as invalid:
                imported.refused.append(_refused(number, invalid))
            else:
                added = await _added(consents, vault, row, recipient, caller.name)
                imported.added, imported.known = imported.added + added, imported.known + (not added)
        return imported


async def _added(consents: Consents, vault: Vault, row: Row, recipient: Recipient | None, caller: str) -> bool:
    if recipient is not None:
        await answered(vault.enrol([recipient]))
    record = ConsentRecord(
        purpose=row.purpose or EVERY,
        status=row.status,
        at=row.at,
        source=scrub(row.source),
        recorded_by=caller,
        wording=row.wording and scrub(row.wording),
        expires_at=row.expires_at,
        sender=row.sender,
    )
    return await answered(consents.add(recipient.hash if recipient else str(row.recipient_hash), record))


def _rows(body: bytes) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line numbers and cells that are not empty. Raises Problem 400."""
    try:
        reader = csv.DictReader(io.StringIO(body.decode("utf-8-sig"), newline=""), strict=True)
        names = set(reader.fieldnames or ())
        if (
            not {"status", "at", "source"} <= names
            or not names <= set(COLUMNS)
            or not names & {"phone", "recipientHash"}
        ):
            raise _unreadable(
                f"The first line must name columns of {','.join(COLUMNS)}: phone,status,at,source at least."
            )
        for cells in reader:
            if None in cells:
                raise _unreadable(f"Line {reader.line_num} has more cells than the first line has names.")
            given = {name: cell for name, cell in cells.items() if cell and name not in FOR_READERS}
            if given.get("purpose") == EVERY:
                del given["purpose"]
            if given:
                yield reader.line_num, given
    except UnicodeDecodeError:
        raise _unreadable("The file is not UTF-8.") from None
    except csv.Error:
        raise _unreadable("This is not CSV (RFC 4180).") from None


def _unreadable(says: str) -> Problem:
    return Problem(400, "invalid_request", f"{says} Nothing was added.")


def _refused(line: int, problem: Problem) -> Refused:
    details = problem.details if not isinstance(problem.details, dict) else []
    return Refused(line=line, details=[Detail.model_validate(one) for one in details])


def _cells(one: Exported, number: str | None) -> tuple[str, ...]:
    record = one.record
    moments = (record.at, record.expires_at, record.recorded_at)
    at, expires_at, recorded_at = (moment.isoformat() if moment else "" for moment in moments)
    return (
        number or "", one.recipient_hash, record.status, record.purpose, at, record.source, record.wording or "",
        expires_at, record.sender or "", record.event_id or "", record.recorded_by, recorded_at,
    )  # fmt: skip


def _line(cells: tuple[str, ...]) -> str:
    text = io.StringIO()
    csv.writer(text).writerow(cells)
    return text.getvalue()
