"""The storages of a pool: which ones it may have, and taking them in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import Connection

from longshore.database import clouds
from longshore.database import nas as nas_rows
from longshore.database import pools as pool_rows
from longshore.database.pools import Pool
from longshore.domain.storage import PoolContent
from longshore.services.errors import Kind, Problems
from longshore.services.input import Input, Whole

MEMBERS_MAXIMUM = 10_000  # storages in one pool


class MembersInput(Input):
    nas_share_ids: list[Whole] | None = None
    tape_ids: list[Whole] | None = None
    cloud_bucket_ids: list[Whole] | None = None


class Member(Protocol):
    """A storage that may be in a pool."""

    @property
    def id(self) -> int: ...
    @property
    def pool_id(self) -> int | None: ...


@dataclass(frozen=True, slots=True)
class _Sort:
    """One sort of members."""

    content: PoolContent
    what: str  # in the words of messages
    find: Callable[[Connection, list[int]], Sequence[Member]]
    assign: Callable[[Connection, int, list[int]], None]


_SORTS = {
    "nas_share_ids": _Sort(
        PoolContent.NAS, "NAS share", nas_rows.shares_by_id, pool_rows.assign_shares
    ),
    "cloud_bucket_ids": _Sort(
        PoolContent.CLOUD, "bucket", clouds.buckets_by_id, clouds.assign_buckets
    ),
}


def check(
    connection: Connection,
    problems: Problems,
    content: str | None,
    members: Mapping[str, Any],
    current: Pool | None,
) -> None:
    """Add what is wrong with the ids that were given."""
    if members.get("tape_ids"):  # there are none yet
        problems.add("tape_ids", Kind.INVALID, value=members["tape_ids"][0], note="no such storage")
    for name, sort in _SORTS.items():
        ids = members.get(name) or []
        if ids and name not in problems:
            _check_sort(connection, problems, content, name, sort, ids, current)


def assign(connection: Connection, pool_id: int, members: Mapping[str, Any]) -> None:
    """Make the given storages, of each sort that was given, the members of the pool."""
    for name, sort in _SORTS.items():
        if name in members:
            sort.assign(connection, pool_id, members[name] or [])


def release(connection: Connection, pool_id: int) -> None:
    """Leave the pool without members: they are in no pool."""
    for sort in _SORTS.values():
        sort.assign(connection, pool_id, [])


def _check_sort(
    connection: Connection,
    problems: Problems,
    content: str | None,
    name: str,
    sort: _Sort,
    ids: list[int],
    current: Pool | None,
) -> None:
    if len(ids) > MEMBERS_MAXIMUM:
        problems.add(
            name, Kind.OCCURRENCE_LESS_THAN_OR_EQUAL_TO, count=MEMBERS_MAXIMUM, value=len(ids)
        )
        return
    if content not in {None, sort.content}:
        note = f"a pool of content {content} holds no {sort.what}s"
        problems.add(name, Kind.INVALID, value=ids[0], note=note)
        return
    known = {each.id: each for each in sort.find(connection, ids)}
    for each in ids:
        if each not in known:
            problems.add(name, Kind.INVALID, value=each, note=f"no such {sort.what}")
        elif known[each].pool_id not in {None, current.id if current else None}:
            problems.add(name, Kind.TAKEN, value=each)
