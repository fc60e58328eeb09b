"""The send ledger and the timeline."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "notifications",
        sa.Column("event_id", sa.String(120), primary_key=True),
        sa.Column("kind", sa.String(60), nullable=False),
        sa.Column("caller", sa.String(40), nullable=False),
        sa.Column("content_hash", sa.String(64), nullable=False),
        sa.Column("recipient_hash", sa.String(64), nullable=False),
        sa.Column("masked_phone", sa.String(20), nullable=False),
        sa.Column("country", sa.String(3), nullable=False),
        sa.Column("sealed_request", sa.Text, nullable=False),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("sid", sa.String(34)),
        sa.Column("error_code", sa.Integer),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("escalated", sa.String(40)),
        sa.Column("duplicate_send", sa.Boolean, nullable=False),
        sa.Column("consent_at", moment, nullable=False),
        sa.Column("accepted_at", moment, nullable=False),
        sa.Column("updated_at", moment, nullable=False),
        sa.Column("swept_at", moment),
    )
    op.create_index("notifications_by_recipient", "notifications", ["recipient_hash", "accepted_at"])
    op.create_index("notifications_by_status", "notifications", ["status", "updated_at"])
    op.create_table(
        "legs",
        sa.Column("event_id", sa.String(120), sa.ForeignKey("notifications.event_id"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("claim", sa.String(80), nullable=False),
        sa.Column("claimed_at", moment, nullable=False),
        sa.Column("sid", sa.String(34), unique=True),
        sa.Column("carrier_status", sa.String(20)),
        sa.Column("error_code", sa.Integer),
        sa.Column("looks", sa.Integer, nullable=False),
    )
    op.create_table(
        "timeline",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("event_id", sa.String(120), nullable=False),
        sa.Column("at", moment, nullable=False),
        sa.Column("what", sa.String(30), nullable=False),
        sa.Column("sid", sa.String(34)),
        sa.Column("carrier_status", sa.String(30)),
        sa.Column("error_code", sa.Integer),
        sa.Column("counted", sa.Boolean, nullable=False),
        sa.Column("detail", sa.String(300)),
        sa.Column("facts", sa.JSON),
    )
    op.create_index("timeline_by_event", "timeline", ["event_id", "id"])
    op.create_index("timeline_by_sid", "timeline", ["sid"])


def downgrade() -> None:
    for table in ("timeline", "legs", "notifications"):
        op.drop_table(table)
