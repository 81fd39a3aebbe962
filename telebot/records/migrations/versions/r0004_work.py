"""Voice work that is no call: who did it, what it cost, how long it took."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "work",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("key_id", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(128), nullable=False),
        sa.Column("provider", sa.String(128), nullable=False),
        sa.Column("own_key", sa.Boolean(), nullable=False),
        sa.Column("seconds", sa.Float()),
        sa.Column("characters", sa.BigInteger()),
        sa.Column("tokens_in", sa.BigInteger()),
        sa.Column("tokens_out", sa.BigInteger()),
        sa.Column("amount_nanos", sa.BigInteger()),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("ms", sa.Float(), nullable=False),
        sa.Column("first_ms", sa.Float()),
        sa.Column("tried", sa.Integer(), nullable=False),
        sa.Column("error", sa.String(128), nullable=False),
        sa.Column("attempts", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_work"),
    )
    op.create_index("ix_work_at", "work", ["at"])
