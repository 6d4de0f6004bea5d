"""Who may ask for what: users, their keys, the answers that they got, their settings."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from longshore.database.tables.base import Identity, id_column, state

users = Table(
    "users",
    state,
    id_column(),
    Column("name", Text, nullable=False, unique=True),
    Column("password_hash", Text, nullable=False),
    Column("administrator", Boolean, nullable=False),
    Column("creation_date", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)

api_keys = Table(
    "api_keys",
    state,
    id_column(),
    Column(
        "user_id", Identity, ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True
    ),
    Column("name", Text, nullable=False),
    Column("key_hash", LargeBinary, nullable=False, unique=True),  # SHA-256 of a random key
    Column("key_end", String(4), nullable=False),  # shown behind stars
    Column("scopes", Text, nullable=False),  # JSON list of {controller, action}; [] = everything
    Column("creation_date", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)

# Answers to requests with an Idempotency-Key, to be given again.
answers = Table(
    "answers",
    state,
    id_column(),  # grows with time
    Column("request", LargeBinary, nullable=False, unique=True),  # SHA-256 of user, path and key
    Column("content", LargeBinary, nullable=False),  # SHA-256 of the body that was sent
    Column("creation_date", BigInteger, nullable=False, index=True),
    Column("status", Integer),  # null while it is being worked on, which nobody else sees
    Column("headers", Text),  # JSON
    Column("body", LargeBinary),
    sqlite_autoincrement=True,
)

user_configurations = Table(
    "user_configurations",
    state,
    id_column(),
    Column("user_id", Identity, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("key", Text, nullable=False),
    Column("value", Text, nullable=False),
    UniqueConstraint("user_id", "key"),
    sqlite_autoincrement=True,
)
