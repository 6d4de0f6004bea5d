"""Work items may belong to another one: the parts of a big file."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("work", sa.Column("parent_id", sa.BigInteger(), nullable=True))
    op.create_index(
        "ix_work_parts",
        "work",
        ["parent_id"],
        unique=False,
        sqlite_where=sa.text("parent_id IS NOT NULL"),
        postgresql_where=sa.text("parent_id IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_work_parts", "work")
    op.drop_column("work", "parent_id")
