"""Posts events to Heliograph, asks what became of them, and checks its webhooks.

with Heliograph("https://heliograph.example.com", key) as heliograph:
    heliograph.send(OrderShipped(event_id="order-shipped:48151623", phone=phone, order_id="48151623", ...))
"""

from heliograph_client import models
from heliograph_client.asynchronous import AsyncHeliograph
from heliograph_client.errors import (
    ApiError,
    Conflict,
    Detail,
    EventIdReused,
    Forbidden,
    HeliographError,
    InvalidRequest,
    MissingScope,
    NotFound,
    OutcomeUnknown,
    Refused,
    TooLate,
    TooManyRequests,
    Unauthorized,
    Unavailable,
    UnexpectedAnswer,
    Unreachable,
    VerificationEnded,
    WebhookInvalid,
)
from heliograph_client.models import *  # noqa: F403  # each kind of event, and each answer
from heliograph_client.retries import Retries
from heliograph_client.synchronous import Heliograph
from heliograph_client.version import __version__
from heliograph_client.webhooks import CallerWebhook, Cause, OperatorWebhook, WebhookEvent, verify_webhook
from heliograph_client.wire import Event
from heliograph_client.words import DeliveryStatus

__all__ = [
    "ApiError",
    "AsyncHeliograph",
    "CallerWebhook",
    "Cause",
    "Conflict",
    "DeliveryStatus",
    "Detail",
    "Event",
    "EventIdReused",
    "Forbidden",
    "Heliograph",
    "HeliographError",
    "InvalidRequest",
    "MissingScope",
    "NotFound",
    "OperatorWebhook",
    "OutcomeUnknown",
    "Refused",
    "Retries",
    "TooLate",
    "TooManyRequests",
    "Unauthorized",
    "Unavailable",
    "UnexpectedAnswer",
    "Unreachable",
    "VerificationEnded",
    "WebhookEvent",
    "WebhookInvalid",
    "__version__",
    "verify_webhook",
]
__all__ += models.__all__
