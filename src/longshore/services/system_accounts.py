"""Users and groups of the operating system that the server runs on."""

from __future__ import annotations

import grp
import os
import pwd
from dataclasses import dataclass
from functools import lru_cache

GROUPS_CACHED = 1_024  # users whose groups are remembered for one TIME_SLOT_SECONDS
TIME_SLOT_SECONDS = 60


@dataclass(frozen=True, slots=True)
class SystemUser:
    name: str
    uid: int
    gid: int
    info: str


@dataclass(frozen=True, slots=True)
class SystemGroup:
    name: str
    gid: int
    users: tuple[str, ...]


def users() -> list[SystemUser]:
    """The accounts that the system lists, by name."""
    return sorted(
        (
            SystemUser(each.pw_name, each.pw_uid, each.pw_gid, each.pw_gecos)
            for each in pwd.getpwall()
        ),
        key=lambda user: user.name,
    )


def groups() -> list[SystemGroup]:
    """The groups that the system lists, by name."""
    return sorted(
        (SystemGroup(each.gr_name, each.gr_gid, tuple(each.gr_mem)) for each in grp.getgrall()),
        key=lambda group: group.name,
    )


def groups_of(name: str, now: float) -> frozenset[str]:
    """The names of the groups that the system puts this user in; none for a user it lacks."""
    return _groups_of(name, int(now // TIME_SLOT_SECONDS))


@lru_cache(GROUPS_CACHED)
def _groups_of(name: str, _slot: int) -> frozenset[str]:
    try:
        account = pwd.getpwnam(name)
    except (KeyError, ValueError):
        return frozenset()
    found = set()
    for gid in os.getgrouplist(name, account.pw_gid):
        try:
            found.add(grp.getgrgid(gid).gr_name)
        except KeyError:
            continue  # a group without a name cannot have been named in a privilege
    return frozenset(found)
