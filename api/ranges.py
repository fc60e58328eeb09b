"""For operators: ranges of numbers that were texted so much that it looks like pumping."""

from datetime import datetime
from typing import Annotated

import structlog
from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from api.access import Operator
from api.auditing import audited
from api.database import answered
from api.problems import Problem, responses
from store.audit import Action
from store.held_ranges import Decision, HeldRange, HeldRanges

router = APIRouter(prefix="/api/ranges", tags=["operations"])
log = structlog.stdlib.get_logger("heliograph.ranges")


class _Body(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True)


class Range(_Body):
    """Numbers that differ in their last four digits only."""

    id: str
    country: str
    digits: Annotated[str, Field(description="What they begin with.", examples=["+1555867"])]
    since: datetime
    waiting: Annotated[int, Field(description="Texts that wait for a decision.")]
    decision: Annotated[Decision | None, Field(description="`release` holds for 24 hours, `block` until another.")] = (
        None
    )
    decided_by: str | None = None
    decided_at: datetime | None = None


class DecisionBody(_Body):
    """What is to become of texts to a range."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    decision: Decision


@router.get("", responses=responses(401, 503), response_model_exclude_none=True)
async def ranges(request: Request, caller: Operator) -> list[Range]:
    """The ranges that wait for a decision, or have one; the latest first."""
    found: list[HeldRange] = await answered(request.app.state.ranges.all())
    return [Range.model_validate(one, from_attributes=True) for one in found]


@router.post("/{range_id}", responses=responses(400, 401, 404, 503))
async def decide(
    range_id: Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")], body: DecisionBody, request: Request, caller: Operator
) -> DecisionBody:
    """Lets the texts that wait leave within ten minutes, or ends them as `suppressed`. The last decision stands."""
    held: HeldRanges = request.app.state.ranges
    async with audited(request, caller, Action.RANGE, detail=f"{body.decision} {range_id}"):
        if not await answered(held.decide(range_id, body.decision, caller.name)):
            raise Problem(404, "not_found", "No range of this ID is held.")
    log.warning("range decided", range=range_id, decision=body.decision, caller=caller.name)
    return body
