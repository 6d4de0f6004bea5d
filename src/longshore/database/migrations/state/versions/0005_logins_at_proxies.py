"""Who a connector is at its proxy, encrypted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "cloud_connectors", sa.Column("proxy_login_encrypted", sa.LargeBinary(), nullable=True)
    )
