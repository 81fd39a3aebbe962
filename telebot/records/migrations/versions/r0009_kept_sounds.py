"""Whether a sound was kept from before, and what that saved."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("work", sa.Column("cache", sa.String(8), nullable=True))
    op.add_column("work", sa.Column("saved_nanos", sa.BigInteger(), nullable=True))
