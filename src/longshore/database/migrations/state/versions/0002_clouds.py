"""Cloud connectors, their buckets, and jobs with a result."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def _identity() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "cloud_connectors",
        sa.Column("id", _identity(), autoincrement=True, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("url_proxy", sa.Text(), nullable=True),
        sa.Column("region", sa.Text(), nullable=True),
        sa.Column("access_key", sa.Text(), nullable=True),
        sa.Column("secret_key_encrypted", sa.LargeBinary(), nullable=True),
        sa.Column("options", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cloud_connectors")),
        sa.UniqueConstraint("name", name=op.f("uq_cloud_connectors_name")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "cloud_buckets",
        sa.Column("id", _identity(), autoincrement=True, nullable=False),
        sa.Column("cloud_connector_id", _identity(), nullable=False),
        sa.Column("pool_id", _identity(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("location", sa.Text(), nullable=True),
        sa.Column("price", sa.Text(), nullable=True),
        sa.Column("options", sa.Text(), nullable=True),
        sa.Column("config_file_encrypted", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(
            ["cloud_connector_id"],
            ["cloud_connectors.id"],
            name=op.f("fk_cloud_buckets_cloud_connector_id"),
        ),
        sa.ForeignKeyConstraint(["pool_id"], ["pools.id"], name=op.f("fk_cloud_buckets_pool_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cloud_buckets")),
        sa.UniqueConstraint(
            "cloud_connector_id", "name", name=op.f("uq_cloud_buckets_cloud_connector_id_name")
        ),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_cloud_buckets_pool_id"), "cloud_buckets", ["pool_id"])
    op.create_index(op.f("ix_cloud_buckets_name"), "cloud_buckets", ["name"])
    op.add_column("jobs", sa.Column("result", sa.Text(), nullable=True))
