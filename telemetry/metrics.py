"""What Prometheus reads of every process. Labels hold kinds, countries, statuses, codes and names of callers: all of
them bounded, none of them personal.

A counter counts what has happened, once: where that is a row's change, after the transaction that made it has been
committed (store/counted.py); a retry, a replay and a repeat count nothing. The other way round, what a process had not
told before it was killed is not counted.
"""

from prometheus_client import Counter, Gauge, Histogram

from notifications.causes import CATALOGUE
from notifications.kinds import KINDS
from notifications.notification import EscalationReason
from notifications.status import from_twilio, from_twilio_call

# From a tenth of a second to a day: Twilio answers in the first, quiet carriers and retries take the last.
WAITS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900, 1800, 3600, 10_800, 43_200, 86_400)
REQUESTS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40)

EVENTS = Counter(
    "heliograph_events", "Events that were posted: accepted, duplicate, or the error of the answer", ["kind", "result"]
)
RATE_LIMITED = Counter("heliograph_rate_limited", "Calls that were answered 429", ["caller"])
SHED = Counter("heliograph_shed", "Calls that were answered 503 because more came in than could be taken", ["lane"])
PLACES = Gauge("heliograph_places", "How many calls of a lane are let in at once now", ["lane"])
DUPLICATES = Counter("heliograph_duplicates_stopped", "Texts that were not sent twice, by the guard", ["guard"])

SENDS = Counter(
    "heliograph_sends",
    "Requests to Twilio to text or call somebody, by what was answered",
    ["kind", "country", "channel", "outcome", "code"],
)
TWILIO_REQUESTS = Histogram(
    "heliograph_twilio_request_seconds", "How long Twilio took to answer", ["operation", "outcome"], buckets=REQUESTS
)
TO_TWILIO = Histogram(
    "heliograph_request_to_twilio_seconds",
    "From the moment a text was due (accepted, or its hold over) until Twilio had it",
    ["kind"],
    buckets=WAITS,
)
TO_HANDSET = Histogram(
    "heliograph_request_to_handset_seconds",
    "From the moment a text was due (accepted, or its hold over) until we knew that the handset had it",
    ["kind"],
    buckets=WAITS,
)
ENDED = Counter("heliograph_ended", "Texts and calls by their final status", ["kind", "country", "status", "code"])
UNKNOWN = Counter("heliograph_unknown", "Sends of which nobody knew whether Twilio took them", ["kind"])
UNKNOWN_SETTLED = Counter("heliograph_unknown_settled", "Unknown sends, by what told how they had ended", ["by"])
SUPPRESSED = Counter("heliograph_suppressed", "Texts that our own rules forbade", ["kind", "reason"])
HELD = Counter("heliograph_held", "Texts that were held back for later", ["kind", "reason"])
ESCALATED = Counter("heliograph_escalated", "Notifications that operators were told of", ["kind", "reason"])

CALLBACKS = Counter("heliograph_callbacks", "Status callbacks from Twilio", ["status", "counted"])
CALLBACK_LAG = Histogram(
    "heliograph_callback_lag_seconds",
    "By how long at least a callback came after the minute that the carrier names (RawDlrDoneDate)",
    buckets=WAITS,
)
FORGED = Counter(
    "heliograph_callback_signature_failures", "Requests without Twilio's signature", ["route", "signature"]
)
SECOND_SIDS = Counter("heliograph_second_messages", "Callbacks of a second message for one leg")

WEBHOOKS = Counter(
    "heliograph_webhooks", "Webhooks posted, by whether they were taken", ["audience", "caller", "result"]
)
SWEPT = Counter("heliograph_swept", "What the reconciliation looked into, by what came of it", ["result"])
SWEPT_AT = Gauge("heliograph_last_sweep_timestamp_seconds", "When this worker last finished a reconciliation")

TASKS = Gauge("heliograph_asyncio_tasks", "What this process has begun and not ended: tasks of its event loop")

# Looked up by the API when it is asked, so that they are told while every worker is dead (api/samples.py).
OPEN = Gauge("heliograph_open_notifications", "Notifications without a final status", ["status"])
OLDEST_DUE = Gauge(
    "heliograph_oldest_due_seconds", "For how long the oldest notification of a status has been due", ["status"]
)
BACKLOG = Gauge("heliograph_queue_backlog", "Tasks that no worker has taken yet, about", ["queue", "type"])
BACKLOG_AGE = Gauge("heliograph_queue_backlog_age_seconds", "How old the oldest of them is, about", ["queue", "type"])
POLLERS = Gauge("heliograph_queue_pollers", "Workers that have asked for tasks in the last minutes", ["queue", "type"])
SCHEDULE_RAN_AT = Gauge("heliograph_schedule_last_run_timestamp_seconds", "When a schedule last started", ["schedule"])
SCHEDULE_EVERY = Gauge("heliograph_schedule_interval_seconds", "How often a schedule should start", ["schedule"])
SCHEDULE_PAUSED = Gauge("heliograph_schedule_paused", "1 while a schedule is paused", ["schedule"])
PART_UP = Gauge("heliograph_part_up", "1 while the API can ask a part", ["part"])

HOLDS = ("quiet_hours", "schedule", "digest", "pumping")
RULES = (
    "opted_out",
    "no_consent",
    "destination",
    "recipient_caps",
    "country_budget",
    "caller_budget",
    "range_blocked",
    "forgotten",
    "folded",
)
LANES = ("events", "incidents", "batches", "checks", "batch_items")
GUARDS = ("workflow_id", "database", "update_id", "content", "ledger", "look_up", "callback")


def start_at_zero() -> None:
    """Without it the first of a kind goes unseen: Prometheus sees no increase in a series that begins with 1."""
    for lane in LANES:
        SHED.labels(lane=lane)
    for guard in GUARDS:
        DUPLICATES.labels(guard=guard)
    for kind in KINDS:
        UNKNOWN.labels(kind=kind)
        for reason in HOLDS:
            HELD.labels(kind=kind, reason=reason)
        for reason in RULES:
            SUPPRESSED.labels(kind=kind, reason=reason)
        for reason in EscalationReason:
            ESCALATED.labels(kind=kind, reason=reason.value)
    for route in ("/twilio/status-callback", "/twilio/call-status", "/twilio/key", "/twilio/inbound"):
        for signature in ("missing", "wrong"):
            FORGED.labels(route=route, signature=signature)
    for result in ("settled", "restarted", "told", "waits", "unanswered"):
        SWEPT.labels(result=result)
    for result in ("taken", "not_taken"):
        WEBHOOKS.labels(audience="operators", caller="", result=result)


def count_webhook(audience: str, caller: str, result: str) -> None:
    """`caller` is empty where operators are told."""
    WEBHOOKS.labels(audience=audience, caller=caller, result=result).inc()


def code_label(code: int | None) -> str:
    """Twilio's code, as far as our catalogue knows it: Twilio adds codes, and a label's values must be bounded."""
    if code is None:
        return "none"
    return str(code) if code in CATALOGUE else "other"


def status_label(carrier_status: str) -> str:
    """Likewise Twilio's status of a message or call."""
    known = from_twilio(carrier_status) or from_twilio_call(carrier_status)
    return carrier_status if known is not None else "other"


start_at_zero()
