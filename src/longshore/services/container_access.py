"""What a user may do in a container: for places of tasks.

A right given to the user counts before those given to groups, and these before `guest_right`.
"""

from __future__ import annotations

from sqlalchemy import Connection

from longshore.database import containers as container_rows
from longshore.database.containers import Container
from longshore.domain.storage import GuestRight
from longshore.services import system_accounts
from longshore.services.container_privileges import HolderType
from longshore.services.context import Context
from longshore.services.principal import Principal

READING = frozenset({GuestRight.READ.value, GuestRight.READ_WRITE.value})
WRITING = frozenset({GuestRight.READ_WRITE.value})


def is_allowed(
    connection: Connection,
    context: Context,
    principal: Principal,
    container: Container,
    needed: frozenset[str],
) -> bool:
    """Whether one of the needed rights is the user's; administrators have all of them."""
    if principal.administrator:
        return True
    groups = system_accounts.groups_of(principal.name, context.monotonic())
    given = [
        each
        for each in container_rows.privileges_of(connection, principal.name, groups)
        if each.container_id == container.id
    ]
    for holder in HolderType:  # the user's own first
        rights = {each.privilege for each in given if each.type == holder}
        if rights:
            return not rights.isdisjoint(needed)
    return container.guest_right in needed
