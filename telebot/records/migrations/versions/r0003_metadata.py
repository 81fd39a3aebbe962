"""What whoever had us make a call wants to find in its record."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("calls", sa.Column("metadata", sa.Text(), nullable=True))
