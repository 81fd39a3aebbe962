"""Whose user a realtime session was, so that it can be deleted with them."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("calls", sa.Column("key_id", sa.String(64), nullable=True))
    op.add_column("calls", sa.Column("user_id", sa.String(64), nullable=True))
    op.create_index("ix_calls_key_id_user_id", "calls", ["key_id", "user_id"])
