"""Counters for limits."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "counters",
        sa.Column("bucket", sa.String(120), primary_key=True),
        sa.Column("begins_at", moment, primary_key=True),
        sa.Column("ends_at", moment, nullable=False),
        sa.Column("count", sa.Integer, nullable=False),
    )
    op.create_index("counters_by_end", "counters", ["ends_at"])


def downgrade() -> None:
    op.drop_table("counters")
