"""Query strings: limit, offset, order and filters, as clients of every kind write them."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import parse_qsl

from longshore.database.query import INTEGER_MAXIMUM, Page, Sort
from longshore.services.errors import BadRequest, Kind, Problems

PARAMETERS_MAXIMUM = 1_000  # of one request; far above what a listing has filters
SORT_KEYS_MAXIMUM = 20  # more cannot change the order of any resource

_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


class Query:
    """The parameters of one request, in their order; a name may come several times."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw.decode("latin-1")
        try:
            self._pairs = parse_qsl(
                self.raw,
                keep_blank_values=True,
                errors="surrogateescape",
                max_num_fields=PARAMETERS_MAXIMUM,
            )
        except ValueError as error:
            raise BadRequest(
                f"a request may have at most {PARAMETERS_MAXIMUM} query parameters"
            ) from error

    def values(self, name: str) -> list[str]:
        """Every value of the parameter."""
        return [value for given, value in self._pairs if given == name]

    def text(self, name: str) -> str | None:
        """The parameter's last value; None where it is missing."""
        return next(iter(reversed(self.values(name))), None)

    def boolean(self, name: str, *, default: bool) -> bool:
        """True or False in any case, or 1 and 0. Raises Invalid."""
        raw = self.text(name)
        if raw is None or raw == "":
            return default
        if raw.lower() not in _BOOLEANS:
            problems = Problems()
            problems.add(name, Kind.INVALID, value=raw)
            problems.raise_if_any()
        return _BOOLEANS[raw.lower()]

    def page(self, filters: Iterable[str], *, limit_default: int | None = None) -> Page:
        """What a listing was asked for. Raises Invalid for a wrong limit or offset."""
        problems = Problems()
        limit = self._count("limit", problems)
        offset = self._count("offset", problems)
        problems.raise_if_any()
        wanted = frozenset(filters)
        return Page(
            filters=tuple(pair for pair in self._pairs if pair[0] in wanted),
            sort=tuple(self._sort()),
            limit=limit_default if limit is None else limit,
            offset=offset or 0,
        )

    def _count(self, name: str, problems: Problems) -> int | None:
        raw = self.text(name)
        if raw is None or raw == "":
            return None
        digits = raw.removeprefix("-")
        if not (digits.isascii() and digits.isdigit()):
            problems.add(name, Kind.INVALID, value=raw)
            return None
        if raw.startswith("-") and digits.strip("0"):
            problems.add(name, Kind.GREATER_THAN_OR_EQUAL_TO, count=0, value=raw)
            return None
        return INTEGER_MAXIMUM if len(digits) > 18 else int(digits)

    def _sort(self) -> list[Sort]:
        """The keys, whether separated by `|`, by `,` or by repeating the parameter."""
        keys: list[Sort] = []
        for raw in self.values("sort_by"):
            for key in raw.replace(",", "|").split("|"):
                name, _, direction = key.strip().partition(":")
                if name and direction.lower() in {"", "asc", "desc"}:
                    keys.append(Sort(name, direction.lower() == "desc"))
        return keys[:SORT_KEYS_MAXIMUM]
