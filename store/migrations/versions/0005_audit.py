"""Who ordered what, and what came of it."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    number = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.create_table(
        "audit",
        sa.Column("id", number, primary_key=True, autoincrement=True),
        sa.Column("at", moment, nullable=False),
        sa.Column("caller", sa.String(40), nullable=False),
        sa.Column("key_id", sa.String(20), nullable=False),
        sa.Column("action", sa.String(20), nullable=False),
        sa.Column("event_id", sa.String(120)),
        sa.Column("recipient_hash", sa.String(64)),
        sa.Column("detail", sa.String(40)),
    )
    op.create_index("audit_by_time", "audit", ["at"])
    op.create_index("audit_by_event", "audit", ["event_id"])
    op.create_table(
        "audit_results",
        sa.Column("audit_id", number, sa.ForeignKey("audit.id"), primary_key=True, autoincrement=False),
        sa.Column("at", moment, nullable=False),
        sa.Column("result", sa.String(40), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("audit_results")
    op.drop_table("audit")
