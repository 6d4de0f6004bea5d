"""Keep the keys of paths in one folder together.

They were the hash of the whole path, so that every new copy touched another page of the index. Now
the upper half is the folder's hash and the lower half the name's.
"""

from __future__ import annotations

import sqlalchemy as sa
import xxhash
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

ROWS_AT_ONCE = 5_000  # in memory

_copies = sa.table(
    "copies",
    *(sa.column(name) for name in ("file_id", "storage_kind", "storage_id", "path", "path_key")),
)
_place = sa.tuple_(_copies.c.file_id, _copies.c.storage_kind, _copies.c.storage_id, _copies.c.path)


def upgrade() -> None:
    connection = op.get_bind()
    changing = (
        sa.update(_copies)
        .where(
            _copies.c.file_id == sa.bindparam("a", type_=sa.BigInteger),
            _copies.c.storage_kind == sa.bindparam("b", type_=sa.SmallInteger),
            _copies.c.storage_id == sa.bindparam("c", type_=sa.BigInteger),
            _copies.c.path == sa.bindparam("d", type_=sa.LargeBinary),
        )
        .values(path_key=sa.bindparam("key", type_=sa.BigInteger))
    )
    last: tuple[object, ...] | None = None
    while True:
        query = sa.select(*_copies.c[:4]).order_by(*_copies.c[:4]).limit(ROWS_AT_ONCE)
        if last is not None:
            query = query.where(_place > sa.tuple_(*map(sa.literal, last)))
        rows = connection.execute(query).all()
        if not rows:
            return
        connection.execute(
            changing,
            [{"a": a, "b": b, "c": c, "d": bytes(d), "key": _key(bytes(d))} for a, b, c, d in rows],
        )
        *key, path = rows[-1]
        last = (*key, bytes(path))


def _key(path: bytes) -> int:
    folder, _, name = path.rpartition(b"/")
    unsigned = xxhash.xxh32_intdigest(folder) << 32 | xxhash.xxh32_intdigest(name)
    return unsigned - (1 << 64) if unsigned >= 1 << 63 else unsigned
