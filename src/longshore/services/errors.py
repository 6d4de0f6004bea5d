"""What a use case refuses, and why; the api turns each class into one status code.

The kinds of problems and their texts are those of the contract (docs/api.md, "Errors").
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from longshore.domain.errors import LongshoreError

BASE = "base"
"""The attribute of a problem that belongs to no single attribute."""


class Kind(StrEnum):
    """What is wrong with an attribute."""

    BLANK = "blank"
    FROZEN = "frozen"
    INVALID = "invalid"
    TAKEN = "taken"
    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    GREATER_THAN = "greater_than"
    GREATER_THAN_OR_EQUAL_TO = "greater_than_or_equal_to"
    LESS_THAN = "less_than"
    LESS_THAN_OR_EQUAL_TO = "less_than_or_equal_to"
    OCCURRENCE_LESS_THAN = "occurrence_less_than"
    OCCURRENCE_LESS_THAN_OR_EQUAL_TO = "occurrence_less_than_or_equal_to"
    QUOTA_ON_CACHE = "quota_on_cache"


_TEXTS = {
    Kind.BLANK: "can't be blank",
    Kind.FROZEN: "can't be updated",
    Kind.INVALID: "is invalid",
    Kind.TAKEN: "has already been taken",
    Kind.TOO_SHORT: "is too short (minimum is {count} characters)",
    Kind.TOO_LONG: "is too long (maximum is {count} characters)",
    Kind.GREATER_THAN: "must be greater than {count}",
    Kind.GREATER_THAN_OR_EQUAL_TO: "must be greater than or equal to {count}",
    Kind.LESS_THAN: "must be less than {count}",
    Kind.LESS_THAN_OR_EQUAL_TO: "must be less than or equal to {count}",
    Kind.OCCURRENCE_LESS_THAN: ("must have less than {count} occurrences (currently have {value})"),
    Kind.OCCURRENCE_LESS_THAN_OR_EQUAL_TO: (
        "must have less than or equal to {count} occurrences (currently have {value})"
    ),
    Kind.QUOTA_ON_CACHE: "quota on cache can't be above 100% (total)",
}

_WITHOUT_VALUE = frozenset({Kind.BLANK, Kind.FROZEN, Kind.TOO_SHORT, Kind.TOO_LONG})

VALUE_CHARACTERS_MAXIMUM = 200  # of a refused value that an answer repeats


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with one attribute. `note` says more than the kind, where there is more."""

    attribute: str
    kind: Kind
    count: int | None = None
    value: object = None
    note: str = ""

    @property
    def message(self) -> str:
        """The sentence for people: the attribute's name and what is wrong with it."""
        text = _TEXTS[self.kind].format(count=self.count, value=self.value)
        if self.note:
            text = f"{text}: {self.note}"
        return text if self.attribute == BASE else f"{humanized(self.attribute)} {text}"

    def details(self) -> dict[str, object]:
        """The fields of the contract's attribute error."""
        details: dict[str, object] = {"error": self.kind.value}
        if self.kind not in _WITHOUT_VALUE:
            details["value"] = _shown(self.value)
        if self.count is not None:
            details["count"] = self.count
        return details


def humanized(attribute: str) -> str:
    """`source_type` as it stands at the begin of a sentence: `Source type`."""
    words = attribute.replace("_", " ").strip()
    return words[:1].upper() + words[1:]


def _shown(value: object) -> object:
    """The value as JSON can carry it, cut where it is long."""
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**63 else str(value)[:VALUE_CHARACTERS_MAXIMUM]
    text = value if isinstance(value, str) else str(value)
    return text[:VALUE_CHARACTERS_MAXIMUM].encode("utf-8", "backslashreplace").decode()


class ServiceError(LongshoreError):
    """The root of everything a use case refuses."""


class Invalid(ServiceError):
    """Attributes are wrong; all of them are listed."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("; ".join(problem.message for problem in problems))
        self.problems = problems


class NotFound(ServiceError):
    """There is no such resource, or not for this user. `resource` is singular: `task_source`."""

    def __init__(self, resource: str) -> None:
        super().__init__(f"{humanized(resource)} not found")
        self.resource = resource


class Unauthorized(ServiceError):
    """Nobody proved who they are."""

    def __init__(self, reason: str = "a valid user and password, API key or token is needed"):
        super().__init__(reason)


class TooManyAttempts(ServiceError):
    """Too many wrong passwords; the next attempt is looked at in `retry_after_seconds`."""

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__("too many failed attempts, try again later")
        self.retry_after_seconds = retry_after_seconds


class Busy(ServiceError):
    """As much of this as the server does at once is under way; worth another try after a while."""

    def __init__(self, reason: str, retry_after_seconds: int) -> None:
        super().__init__(reason)
        self.retry_after_seconds = retry_after_seconds


class Forbidden(ServiceError):
    """The user or key may not do this."""

    def __init__(self, controller: str, action: str, reason: str = "") -> None:
        super().__init__(reason or f"{controller}/{action} is not allowed")
        self.controller = controller
        self.action = action


class BadRequest(ServiceError):
    """The request itself cannot be read."""


class PreconditionFailed(ServiceError):
    """The resource is not in the state that the client made a condition."""


class Problems:
    """Collects what is wrong, so that a client learns all of it at once."""

    def __init__(self) -> None:
        self._found: list[Problem] = []

    def add(
        self,
        attribute: str,
        kind: Kind,
        *,
        count: int | None = None,
        value: object = None,
        note: str = "",
    ) -> None:
        """Remember one problem."""
        self._found.append(Problem(attribute, kind, count, value, note))

    def __contains__(self, attribute: str) -> bool:
        return any(problem.attribute == attribute for problem in self._found)

    def __iter__(self) -> Iterator[Problem]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def raise_if_any(self) -> None:
        """Raise Invalid with everything found so far."""
        if self._found:
            raise Invalid(*self._found)
