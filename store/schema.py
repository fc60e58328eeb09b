"""The tables. A change here goes with a migration in `store/migrations/versions/`, and with a new HEAD."""

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    false,
)
from sqlalchemy.engine import Dialect

HEAD = "0006"

metadata = MetaData()


class UtcDateTime(TypeDecorator[object]):
    """Aware UTC in and out; SQLite forgets the zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: object, dialect: Dialect) -> object:
        return value.astimezone(UTC) if isinstance(value, datetime) else value

    def process_result_value(self, value: object, dialect: Dialect) -> object:
        if isinstance(value, datetime):
            return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        return value


notifications = Table(
    "notifications",
    metadata,
    Column("event_id", String(120), primary_key=True),
    Column("kind", String(60), nullable=False),
    Column("caller", String(40), nullable=False),
    Column("content_hash", String(64), nullable=False),
    Column("recipient_hash", String(64), nullable=False),
    Column("masked_phone", String(20), nullable=False),
    Column("country", String(3), nullable=False),
    Column("sealed_request", Text),  # phone and body are in it, once more under the recipient's key
    Column("status", String(20), nullable=False),
    Column("sid", String(34)),
    Column("error_code", Integer),
    Column("attempts", Integer, nullable=False, default=0),
    Column("escalated", String(40)),
    Column("duplicate_send", Boolean, nullable=False, default=False),
    Column("consent_at", UtcDateTime),
    Column("accepted_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("swept_at", UtcDateTime),
    Column("held_until", UtcDateTime),
    Column("subject_hash", String(64)),
    Column("first_leg", Integer, nullable=False, default=1),  # of the step that status and SID tell of
    Column("story_purged_at", UtcDateTime),
    Column("reports", Boolean, nullable=False, default=False, server_default=false()),  # its caller is told of its end
    Index("notifications_by_recipient", "recipient_hash", "accepted_at"),
    Index("notifications_by_status", "status", "updated_at"),
    Index("notifications_by_subject", "subject_hash", "status"),
)

legs = Table(
    "legs",
    metadata,
    Column("event_id", String(120), ForeignKey("notifications.event_id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("state", String(20), nullable=False),
    Column("claim", String(80), nullable=False),
    Column("claimed_at", UtcDateTime, nullable=False),
    Column("sid", String(34), unique=True),
    Column("carrier_status", String(20)),
    Column("error_code", Integer),
    Column("looks", Integer, nullable=False, default=0),  # how often a leg in doubt was looked up in vain
    Column("recipient_hash", String(64)),
    Column("capped", Boolean, nullable=False, default=False),  # not sent, and counts for no cap
    Column("sealed_recipient", Text),  # of those who are told when the incident is resolved
    Column("range_hash", String(64)),  # of the number without its last digits, where pumping is looked for
    Column("redacted_at", UtcDateTime),  # Twilio's own copy
    Index("legs_by_recipient", "recipient_hash", "claimed_at"),
    Index("legs_by_range", "range_hash", "claimed_at"),
)

timeline = Table(
    "timeline",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("event_id", String(120), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("what", String(30), nullable=False),
    Column("sid", String(34)),
    Column("carrier_status", String(30)),
    Column("error_code", Integer),
    Column("counted", Boolean, nullable=False, default=True),
    Column("detail", String(300)),
    Column("facts", JSON),
    Index("timeline_by_event", "event_id", "id"),
    Index("timeline_by_sid", "sid"),
)

counters = Table(
    "counters",
    metadata,
    Column("bucket", String(120), primary_key=True),
    Column("begins_at", UtcDateTime, primary_key=True),
    Column("ends_at", UtcDateTime, nullable=False),
    Column("count", Integer, nullable=False),
    Index("counters_by_end", "ends_at"),
)

incidents = Table(
    "incidents",
    metadata,
    Column("subject_hash", String(64), primary_key=True),
    Column("event_id", String(120), nullable=False),  # the alert that is being climbed
    Column("weight", Integer, nullable=False),
    Column("window_ends_at", UtcDateTime, nullable=False),
    Column("climbs_until", UtcDateTime, nullable=False),  # unless it is acknowledged before
    Column("digest_event_id", String(120)),
    Column("resolved_at", UtcDateTime),
)

alerts = Table(
    "alerts",
    metadata,
    Column("event_id", String(120), primary_key=True),
    Column("subject_hash", String(64), nullable=False),
    Column("role", String(10), nullable=False),
    Column("into", String(120)),
    Column("until", UtcDateTime),
    Column("code", String(8), nullable=False),
    Column("state", String(20), nullable=False),
    Column("ended_by", String(120)),
    Column("at", UtcDateTime, nullable=False),
    Index("alerts_by_subject", "subject_hash", "state"),
)

# The recipients' keys. Who deletes a row has made unreadable all that was sealed with its key; so its backups must not
# outlive the time in which somebody is to be forgotten (docs/privacy.md).
recipients = Table(
    "recipients",
    metadata,
    Column("recipient_hash", String(64), primary_key=True),
    Column("key_id", String(40), nullable=False, unique=True),
    Column("sealed_key", Text, nullable=False),
    Column("sealed_phone", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("used_at", UtcDateTime, nullable=False),  # when something was last sealed with it; up to a day behind
)

consents = Table(
    "consents",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("recipient_hash", String(64), nullable=False),
    Column("reference", String(200), nullable=False),  # what it comes from; the same does not count twice
    Column("purpose", String(40), nullable=False),
    Column("status", String(12), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime),
    Column("source", String(100), nullable=False),
    Column("wording", String(100)),
    Column("recorded_by", String(100), nullable=False),
    Column("recorded_at", UtcDateTime, nullable=False),
    Column("sender", String(40)),
    Column("event_id", String(120)),
    Index("consents_by_reference", "recipient_hash", "reference", unique=True),
)

# Who asked to be forgotten; applied again after a backup was restored.
erasures = Table(
    "erasures",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("recipient_hash", String(64), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("by", String(40), nullable=False),
    Column("finished_at", UtcDateTime),
    Index("erasures_by_recipient", "recipient_hash", "at"),
)

# What callers are told: written with the status that it tells of, kept until it was taken.
webhooks = Table(
    "webhooks",
    metadata,
    Column("id", String(160), primary_key=True),
    Column("event_id", String(120), nullable=False),
    Column("caller", String(40), nullable=False),
    Column("body", Text, nullable=False),
    Column("state", String(12), nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("answer", String(200)),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Index("webhooks_by_event", "event_id"),
    Index("webhooks_by_caller", "caller", "created_at"),
    Index("webhooks_by_state", "state", "updated_at"),
)

endpoints = Table(
    "endpoints",
    metadata,
    Column("caller", String(40), primary_key=True),
    Column("taken_at", UtcDateTime),
    Column("disabled_at", UtcDateTime),
    Column("disabled_url_hash", String(64)),
)

# Ranges of numbers that so many were texted of in so short a time that it looks like pumping.
held_ranges = Table(
    "held_ranges",
    metadata,
    Column("range_hash", String(64), primary_key=True),
    Column("country", String(3), nullable=False),
    Column("sealed_range", Text, nullable=False),
    Column("since", UtcDateTime, nullable=False),
    Column("decision", String(10)),
    Column("decided_by", String(40)),
    Column("decided_at", UtcDateTime),
)

# What operators ordered, and what came of it; rows are added only. The masked number is not kept: it is read through
# the recipient's key, and so ends with it.
audit = Table(
    "audit",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("at", UtcDateTime, nullable=False),
    Column("caller", String(40), nullable=False),
    Column("key_id", String(20), nullable=False),
    Column("action", String(20), nullable=False),
    Column("event_id", String(120)),
    Column("recipient_hash", String(64)),
    Column("detail", String(40)),
    Index("audit_by_time", "at"),
    Index("audit_by_event", "event_id"),
)

audit_results = Table(
    "audit_results",
    metadata,
    Column(
        "audit_id",
        BigInteger().with_variant(Integer, "sqlite"),
        ForeignKey("audit.id"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("at", UtcDateTime, nullable=False),
    Column("result", String(40), nullable=False),
)
