"""What all tables have in common: the two databases, kinds of columns."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, MetaData, Text

_NAMING = {
    "pk": "pk_%(table_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
}
state = MetaData(naming_convention=_NAMING)
journal = MetaData(naming_convention=_NAMING)

# SQLite gives automatic ids to "INTEGER PRIMARY KEY" only.
Identity = BigInteger().with_variant(Integer, "sqlite")

# Text that compares and sorts by code points, whatever the database's own language is.
Words = Text().with_variant(Text(collation="C"), "postgresql")


def id_column() -> Column[int]:
    return Column("id", Identity, primary_key=True, autoincrement=True)


def task_id_column() -> Column[int]:
    return Column(
        "task_id", Identity, ForeignKey("tasks.id", ondelete="CASCADE"), nullable=False, index=True
    )
