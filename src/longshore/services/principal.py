"""Who asks, and what they may do."""

from __future__ import annotations

from dataclasses import dataclass

from longshore.services.errors import Forbidden

ANY = "*"
"""Stands for every controller or every action in a scope."""

Scopes = frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated user. `scopes` limits an API key; None is everything the user may do."""

    user_id: int
    name: str
    administrator: bool
    scopes: Scopes | None = None

    def has_scope(self, controller: str, action: str) -> bool:
        """Whether the credential covers the action."""
        if self.scopes is None:
            return True
        wanted = {(c, a) for c in (controller, ANY) for a in (action, ANY)}
        return not wanted.isdisjoint(self.scopes)

    def require_scope(self, controller: str, action: str) -> None:
        """Return if the credential covers the action. Raises Forbidden."""
        if not self.has_scope(controller, action):
            raise Forbidden(controller, action)

    def require_administrator(self, controller: str, action: str) -> None:
        """Return if the user is an administrator. Raises Forbidden."""
        if not self.administrator:
            raise Forbidden(controller, action, "only administrators may do this")
