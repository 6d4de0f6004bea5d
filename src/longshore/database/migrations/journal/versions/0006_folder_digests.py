"""What is known of a folder's files as a whole, and triggers that forget it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from longshore.database.folder_triggers import triggers

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "folder_digests",
        sa.Column("folder_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("place_key", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("file_ids", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("folder_id", "place_key", name=op.f("pk_folder_digests")),
        sqlite_with_rowid=False,
    )
    for statement, dialect in triggers():
        if op.get_bind().dialect.name == dialect:
            op.execute(sa.text(statement))
