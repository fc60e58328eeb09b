"""For the services that post many events at once."""

import asyncio
from collections import defaultdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from api.access import Access, Sender
from api.desk import Desk
from api.events import previewed, take, told
from api.lane import Lane
from api.problems import Detail, Problem, Unavailable, invalid_request, responses
from notifications.event import Event
from notifications.kinds import KINDS
from notifications.status import DeliveryStatus
from telemetry import metrics

PATH = "/api/batches"
MAX_EVENTS = 1_000
MAX_BYTES = 4_194_304

router = APIRouter(tags=["events"])


class Batch(BaseModel):
    """Events of any kinds, each with its `kind` and the fields of that kind."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    events: Annotated[list[Any], Field(min_length=1, max_length=MAX_EVENTS)]


class _Answer(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True, extra="allow")


class ItemAnswer(_Answer):
    """What the single route would have answered; what `dryRun` answers has more fields."""

    index: int
    http_status: int
    event_id: str | None = None
    accepted: bool | None = None
    duplicate: bool | None = None
    status: DeliveryStatus | None = None
    sid: str | None = None
    error: str | None = None
    detail: str | None = None
    details: list[Detail] | dict[str, Any] | None = None


class BatchAnswer(_Answer):
    """One answer per event, in their order."""

    results: list[ItemAnswer]
    accepted: int
    duplicates: int
    refused: int
    dry_run: Literal[True] | None = None


def _schema() -> dict[str, Any]:
    """Each kind's own schema and its `kind`, so that the document tells of a new kind by itself."""
    kinds = []
    for name, kind in KINDS.items():
        schema = kind.model_json_schema(ref_template="#/components/schemas/{model}")
        schema.pop("$defs", None)
        schema["properties"] = {"kind": {"const": name}} | schema["properties"]
        schema["required"] = ["kind", *schema.get("required", [])]
        kinds.append(schema)
    events = {"type": "array", "minItems": 1, "maxItems": MAX_EVENTS, "items": {"oneOf": kinds}}
    return {"type": "object", "required": ["events"], "properties": {"events": events}}


@router.post(
    PATH,
    responses={200: {"model": BatchAnswer}, **responses(400, 401, 413, 503)},
    openapi_extra={"requestBody": {"required": True, "content": {"application/json": {"schema": _schema()}}}},
)
async def post(
    batch: Batch,
    request: Request,
    caller: Sender,
    dry_run: Annotated[
        bool, Query(alias="dryRun", description="Answers what would be sent when; sends and keeps nothing.")
    ] = False,
) -> JSONResponse:
    """Takes up to 1,000 events. Each is answered as its own route would; the same batch again texts nobody twice."""
    access: Access = request.app.state.access
    access.counts_as(caller, len(batch.events))
    items = _Items(request.app.state.desk, request.app.state.batch_items, caller.name, dry_run=dry_run)
    results = await items.answer(batch.events)
    if all(result["httpStatus"] == 503 for result in results):
        raise Unavailable("Temporal")
    told_of = [result["httpStatus"] for result in results]
    body = {
        "results": results,
        "accepted": sum(bool(result.get("accepted")) for result in results),
        "duplicates": sum(bool(result.get("duplicate")) for result in results),
        "refused": sum(status >= 400 for status in told_of),
    }
    return JSONResponse(body | ({"dryRun": True} if dry_run else {}))


class _Items:
    """Those of one eventId one after the other, the others side by side."""

    def __init__(self, desk: Desk, lane: Lane, caller: str, *, dry_run: bool) -> None:
        self._desk = desk
        self._caller = caller
        self._dry_run = dry_run
        self._lane = lane
        self._away: Unavailable | None = None

    async def answer(self, items: list[Any]) -> list[dict[str, Any]]:
        found: dict[int, dict[str, Any]] = {}
        queues: dict[str, list[tuple[int, Event]]] = defaultdict(list)
        for index, item in enumerate(items):
            event = _read(item)
            if isinstance(event, Problem):
                self._count(_kind_of(item) or "none", event)
                found[index] = _refused(event, None)
            else:
                queues[event.event_id].append((index, event))
        for answers in await asyncio.gather(*(self._in_order(queue) for queue in queues.values())):
            found |= answers
        return [{"index": index, **found[index]} for index in range(len(items))]

    async def _in_order(self, queue: list[tuple[int, Event]]) -> dict[int, dict[str, Any]]:
        return {index: await self._one(event) for index, event in queue}

    async def _one(self, event: Event) -> dict[str, Any]:
        place = await self._lane.enter(self._caller)
        done = False
        try:
            if self._away is not None:
                raise self._away  # one has waited for it long enough
            if self._dry_run:
                preview = previewed(self._desk.preview(event, self._caller))
                return {"eventId": event.event_id, "httpStatus": 200, **preview}
            status, body = told(await take(self._desk, event, self._caller, None))
            done = True
            return {"httpStatus": status, **body}
        except Problem as problem:
            if isinstance(problem, Unavailable):
                self._away = problem
            self._count(event.kind, problem)
            return _refused(problem, event.event_id)
        finally:
            place.leave(done=done)

    def _count(self, kind: str, problem: Problem) -> None:
        if not self._dry_run:
            metrics.EVENTS.labels(kind=kind, result=problem.error).inc()


def _kind_of(item: Any) -> str | None:
    kind = item.get("kind") if isinstance(item, dict) else None
    return kind if isinstance(kind, str) and kind in KINDS else None


def _read(item: Any) -> Event | Problem:
    kind = _kind_of(item)
    if kind is None:
        detail = {"field": "kind", "problem": f"must be one of {', '.join(KINDS)}", "code": "kind"}
        return Problem(400, "invalid_request", "The request is not valid. Nothing was sent.", details=[detail])
    try:
        return KINDS[kind].model_validate({name: value for name, value in item.items() if name != "kind"})
    except ValidationError as invalid:
        return invalid_request(invalid)


def _refused(problem: Problem, event_id: str | None) -> dict[str, Any]:
    about = {"eventId": event_id} if event_id is not None else {}
    details = problem.details if isinstance(problem.details, dict) else list(problem.details)
    return {"httpStatus": problem.status, **about, "error": problem.error, "detail": problem.detail} | (
        {"details": details} if details else {}
    )
