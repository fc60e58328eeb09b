"""Several texts under one event, and alerts that are folded and acknowledged."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    with op.batch_alter_table("notifications") as table:
        table.alter_column("consent_at", existing_type=moment, nullable=True)
        table.add_column(sa.Column("held_until", moment))
        table.add_column(sa.Column("subject_hash", sa.String(64)))
        table.add_column(sa.Column("first_leg", sa.Integer, nullable=False, server_default="1"))
    op.create_index("notifications_by_subject", "notifications", ["subject_hash", "status"])
    with op.batch_alter_table("legs") as table:
        table.add_column(sa.Column("recipient_hash", sa.String(64)))
        table.add_column(sa.Column("capped", sa.Boolean, nullable=False, server_default=sa.false()))
        table.add_column(sa.Column("sealed_recipient", sa.Text))
    op.create_index("legs_by_recipient", "legs", ["recipient_hash", "claimed_at"])
    op.create_table(
        "incidents",
        sa.Column("subject_hash", sa.String(64), primary_key=True),
        sa.Column("event_id", sa.String(120), nullable=False),
        sa.Column("weight", sa.Integer, nullable=False),
        sa.Column("window_ends_at", moment, nullable=False),
        sa.Column("climbs_until", moment, nullable=False),
        sa.Column("digest_event_id", sa.String(120)),
        sa.Column("resolved_at", moment),
    )
    op.create_table(
        "alerts",
        sa.Column("event_id", sa.String(120), primary_key=True),
        sa.Column("subject_hash", sa.String(64), nullable=False),
        sa.Column("role", sa.String(10), nullable=False),
        sa.Column("into", sa.String(120)),
        sa.Column("until", moment),
        sa.Column("code", sa.String(8), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("ended_by", sa.String(120)),
        sa.Column("at", moment, nullable=False),
    )
    op.create_index("alerts_by_subject", "alerts", ["subject_hash", "state"])


def downgrade() -> None:
    op.drop_table("alerts")
    op.drop_table("incidents")
    op.drop_index("legs_by_recipient", "legs")
    op.drop_index("notifications_by_subject", "notifications")
    with op.batch_alter_table("legs") as table:
        table.drop_column("sealed_recipient")
        table.drop_column("capped")
        table.drop_column("recipient_hash")
    with op.batch_alter_table("notifications") as table:
        table.drop_column("first_leg")
        table.drop_column("subject_hash")
        table.drop_column("held_until")
