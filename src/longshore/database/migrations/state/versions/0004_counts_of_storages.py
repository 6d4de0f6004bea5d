"""What lies on each storage, counted now and then; and the tasks that scan primary pools."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "storage_counts",
        sa.Column("storage_kind", sa.SmallInteger(), nullable=False),
        sa.Column("storage_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("files", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("cached_files", sa.BigInteger(), nullable=False),
        sa.Column("cached_bytes", sa.BigInteger(), nullable=False),
        sa.Column("only_cached_files", sa.BigInteger(), nullable=False),
        sa.Column("only_cached_bytes", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("storage_kind", "storage_id", name=op.f("pk_storage_counts")),
    )
    op.add_column("primary_scans", sa.Column("task_id", sa.BigInteger(), nullable=True))
    op.add_column("primary_scans", sa.Column("next", sa.BigInteger(), nullable=True))
