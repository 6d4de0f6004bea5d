"""What files lie on: shares, buckets, containers, and the pools made of them."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
)

from longshore.database.tables.base import Identity, id_column, state

nas = Table(
    "nas",
    state,
    id_column(),
    Column("name", Text, nullable=False, unique=True),
    Column("host", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("comment", Text),
    Column("price", Text),  # per TB and month, decimal text
    sqlite_autoincrement=True,
)

pools = Table(
    "pools",
    state,
    id_column(),
    Column("name", Text, nullable=False, unique=True),
    Column("comment", Text),
    Column("type", Text, nullable=False),
    Column("content", Text, nullable=False),
    Column("root_id", BigInteger),  # journal: nodes.id, of primary pools
    sqlite_autoincrement=True,
)

nas_shares = Table(
    "nas_shares",
    state,
    id_column(),
    Column("nas_id", Identity, ForeignKey("nas.id"), nullable=False, index=True),
    Column("pool_id", Identity, ForeignKey("pools.id"), index=True),
    Column("name", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("options", Text),
    Column("username", Text),
    Column("password_encrypted", LargeBinary),
    UniqueConstraint("nas_id", "name"),
    sqlite_autoincrement=True,
)

cloud_connectors = Table(
    "cloud_connectors",
    state,
    id_column(),
    Column("name", Text, nullable=False, unique=True),
    Column("provider", Text, nullable=False),
    Column("url", Text),
    Column("url_proxy", Text),
    Column("region", Text),
    Column("access_key", Text),
    Column("secret_key_encrypted", LargeBinary),
    Column("options", Text),
    Column("proxy_login_encrypted", LargeBinary),  # user:password, as in an address
    sqlite_autoincrement=True,
)

cloud_buckets = Table(
    "cloud_buckets",
    state,
    id_column(),
    Column("cloud_connector_id", Identity, ForeignKey("cloud_connectors.id"), nullable=False),
    Column("pool_id", Identity, ForeignKey("pools.id"), index=True),
    Column("name", Text, nullable=False, index=True),
    Column("location", Text),
    Column("price", Text),  # per TB and month, decimal text
    Column("options", Text),
    Column("config_file_encrypted", LargeBinary),
    UniqueConstraint("cloud_connector_id", "name"),  # its index serves lists of a connector, too
    sqlite_autoincrement=True,
)

containers = Table(
    "containers",
    state,
    id_column(),
    Column("name", Text, nullable=False, unique=True),
    Column("comment", Text),
    Column("quota_total_size", BigInteger, nullable=False),  # bytes, 0 = none
    Column("quota_on_cache", Integer, nullable=False),  # percent
    Column("guest_right", Text, nullable=False),
    Column("folder", Text, nullable=False),  # its folder's name below containers_root
    Column("root_id", BigInteger),  # journal: nodes.id
    Column("last_update", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)

container_privileges = Table(
    "container_privileges",
    state,
    id_column(),
    Column(
        "container_id", Identity, ForeignKey("containers.id", ondelete="CASCADE"), nullable=False
    ),
    Column("name", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("privilege", Text, nullable=False),
    UniqueConstraint("container_id", "name", "type"),
    sqlite_autoincrement=True,
)

primary_scans = Table(
    "primary_scans",
    state,
    id_column(),
    Column(
        "pool_id", Identity, ForeignKey("pools.id", ondelete="CASCADE"), nullable=False, unique=True
    ),
    Column("enabled", Boolean, nullable=False),
    Column("operand", Float, nullable=False),  # how many of the unit lie between two scans
    Column("unit", Text, nullable=False),
    Column("task_id", BigInteger),  # the task that carries it out, once there was one
    Column("next", BigInteger),  # when it is due; null = at once
    sqlite_autoincrement=True,
)
