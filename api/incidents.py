"""For those who take care of incidents."""

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from api.access import Operator
from api.acknowledging import Acknowledging
from api.auditing import audited
from api.problems import responses
from notifications.fields import EventId
from store.audit import Action

router = APIRouter(prefix="/api", tags=["notifications"])


class Acknowledged(BaseModel):
    """Somebody takes care of it."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True)

    event_id: str
    acknowledged: bool = True


@router.post("/notifications/{event_id}/acknowledge", responses=responses(401, 404, 409, 503))
async def acknowledge(event_id: EventId, request: Request, caller: Operator) -> Acknowledged:
    """Stops the ladder of an alert and of its whole incident. Doing it twice is doing it once; 409 once resolved."""
    acknowledging: Acknowledging = request.app.state.acknowledging
    async with audited(request, caller, Action.ACKNOWLEDGE, event_id=event_id):
        await acknowledging.by_caller(event_id, caller.name)
    return Acknowledged(event_id=event_id)
