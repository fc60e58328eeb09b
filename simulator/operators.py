"""The operators' desk: takes signed webhooks (https://www.standardwebhooks.com) and shows them."""

import base64
import hashlib
import hmac
import json
import time
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

TOLERANCE = 300  # seconds by which a webhook's timestamp may be off
router = APIRouter()


class Knob(BaseModel):
    """How the next webhooks are answered."""

    failNext: int = Field(0, ge=0)  # noqa: N815  # the wire's name
    status: int = Field(500, ge=400, le=599)


class Desk:
    """The notices, newest last."""

    def __init__(self, secret: str | None) -> None:
        self._secret = secret
        self.reset()

    def reset(self) -> None:
        self.notices: list[dict[str, Any]] = []
        self.knob = Knob()

    def genuine(self, headers: Any, body: bytes) -> bool:
        """Whether the sender has the secret, and sent it just now."""
        if self._secret is None:
            return True
        name, moment = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
        if not (moment.isascii() and moment.isdigit()) or abs(time.time() - int(moment)) > TOLERANCE:
            return False
        key = base64.b64decode(self._secret.removeprefix("whsec_") + "==")
        wanted = hmac.new(key, f"{name}.{moment}.".encode() + body, hashlib.sha256).digest()
        signed = b"v1," + base64.b64encode(wanted)
        given = headers.get("webhook-signature", "").split()
        return any(hmac.compare_digest(signed, one.encode()) for one in given)


@router.post("/operators/webhook", status_code=204)
async def webhook(request: Request) -> Response:
    desk: Desk = request.app.state.desk
    body = await request.body()
    if not desk.genuine(request.headers, body):
        return Response(status_code=401)
    if desk.knob.failNext > 0:
        desk.knob.failNext -= 1
        return Response(status_code=desk.knob.status)
    try:
        told = json.loads(body)
    except ValueError:
        told = None
    if not isinstance(told, dict):
        return Response(status_code=400)
    notice = {"id": request.headers.get("webhook-id"), "at": datetime.now(UTC).isoformat(), **told}
    if all(known["id"] != notice["id"] for known in desk.notices):  # a repeat has the id of the first
        desk.notices.append(notice)
        request.app.state.network.tell({"type": "notice", "notice": notice})
    return Response(status_code=204)


@router.put("/simulator/operators", status_code=204)
async def set_knob(knob: Knob, request: Request) -> Response:
    request.app.state.desk.knob = knob
    return Response(status_code=204)


@router.get("/simulator/notices")
async def notices(request: Request) -> list[dict[str, Any]]:
    desk: Desk = request.app.state.desk
    return desk.notices
