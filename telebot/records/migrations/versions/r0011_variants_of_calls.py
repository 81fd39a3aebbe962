"""Under which variants of flags a session ran, and for which agent a chat was answered."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("calls", sa.Column("variant", sa.Text(), nullable=True))
    op.add_column("work", sa.Column("agent", sa.String(128), nullable=True))
