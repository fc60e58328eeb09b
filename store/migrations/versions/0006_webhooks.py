"""Webhooks to callers, kept until they were taken."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    with op.batch_alter_table("notifications") as table:
        table.add_column(sa.Column("reports", sa.Boolean, nullable=False, server_default=sa.false()))
    op.create_table(
        "webhooks",
        sa.Column("id", sa.String(160), primary_key=True),
        sa.Column("event_id", sa.String(120), nullable=False),
        sa.Column("caller", sa.String(40), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("answer", sa.String(200)),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("updated_at", moment, nullable=False),
    )
    op.create_index("webhooks_by_event", "webhooks", ["event_id"])
    op.create_index("webhooks_by_caller", "webhooks", ["caller", "created_at"])
    op.create_index("webhooks_by_state", "webhooks", ["state", "updated_at"])
    op.create_table(
        "endpoints",
        sa.Column("caller", sa.String(40), primary_key=True),
        sa.Column("taken_at", moment),
        sa.Column("disabled_at", moment),
        sa.Column("disabled_url_hash", sa.String(64)),
    )


def downgrade() -> None:
    for name in ("endpoints", "webhooks"):
        op.drop_table(name)
    with op.batch_alter_table("notifications") as table:
        table.drop_column("reports")
