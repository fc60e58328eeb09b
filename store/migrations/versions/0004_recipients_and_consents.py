"""Keys of the recipients' own, consent, erasure, and ranges of numbers that are held."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    with op.batch_alter_table("notifications") as table:
        table.alter_column("sealed_request", existing_type=sa.Text, nullable=True)
        table.add_column(sa.Column("story_purged_at", moment))
    with op.batch_alter_table("legs") as table:
        table.add_column(sa.Column("range_hash", sa.String(64)))
        table.add_column(sa.Column("redacted_at", moment))
    op.create_index("legs_by_range", "legs", ["range_hash", "claimed_at"])
    op.create_table(
        "recipients",
        sa.Column("recipient_hash", sa.String(64), primary_key=True),
        sa.Column("key_id", sa.String(40), nullable=False, unique=True),
        sa.Column("sealed_key", sa.Text, nullable=False),
        sa.Column("sealed_phone", sa.Text, nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("used_at", moment, nullable=False),
    )
    number = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.create_table(
        "consents",
        sa.Column("id", number, primary_key=True, autoincrement=True),
        sa.Column("recipient_hash", sa.String(64), nullable=False),
        sa.Column("reference", sa.String(200), nullable=False),
        sa.Column("purpose", sa.String(40), nullable=False),
        sa.Column("status", sa.String(12), nullable=False),
        sa.Column("at", moment, nullable=False),
        sa.Column("expires_at", moment),
        sa.Column("source", sa.String(100), nullable=False),
        sa.Column("wording", sa.String(100)),
        sa.Column("recorded_by", sa.String(100), nullable=False),
        sa.Column("recorded_at", moment, nullable=False),
        sa.Column("sender", sa.String(40)),
        sa.Column("event_id", sa.String(120)),
    )
    op.create_index("consents_by_reference", "consents", ["recipient_hash", "reference"], unique=True)
    op.create_table(
        "erasures",
        sa.Column("id", number, primary_key=True, autoincrement=True),
        sa.Column("recipient_hash", sa.String(64), nullable=False),
        sa.Column("at", moment, nullable=False),
        sa.Column("by", sa.String(40), nullable=False),
        sa.Column("finished_at", moment),
    )
    op.create_index("erasures_by_recipient", "erasures", ["recipient_hash", "at"])
    op.create_table(
        "held_ranges",
        sa.Column("range_hash", sa.String(64), primary_key=True),
        sa.Column("country", sa.String(3), nullable=False),
        sa.Column("sealed_range", sa.Text, nullable=False),
        sa.Column("since", moment, nullable=False),
        sa.Column("decision", sa.String(10)),
        sa.Column("decided_by", sa.String(40)),
        sa.Column("decided_at", moment),
    )


def downgrade() -> None:
    for name in ("held_ranges", "erasures", "consents", "recipients"):
        op.drop_table(name)
    op.drop_index("legs_by_range", "legs")
    with op.batch_alter_table("legs") as table:
        table.drop_column("redacted_at")
        table.drop_column("range_hash")
    with op.batch_alter_table("notifications") as table:
        table.drop_column("story_purged_at")
