"""Work items may have a key by which they are taken in order."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("work", sa.Column("sort_key", sa.LargeBinary(), nullable=True))
    op.create_index(
        "ix_work_order",
        "work",
        ["execution_id", "kind", "sort_key", "id"],
        unique=False,
        sqlite_where=sa.text("sort_key IS NOT NULL"),
        postgresql_where=sa.text("sort_key IS NOT NULL"),
    )
