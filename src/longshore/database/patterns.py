"""Patterns with `%` for any run and `_` for one character, in the forms of both databases.

SQLite's GLOB and PostgreSQL's regular expressions know classes of characters, so the cases of every
letter can be spelt out and both agree.
"""

from __future__ import annotations

ANY_RUN, ANY_ONE = object(), object()


def pattern_parts(pattern: str) -> tuple[object, ...]:
    """The pattern as characters and the marks ANY_RUN and ANY_ONE."""
    parts: list[object] = []
    characters = iter(pattern)
    for character in characters:
        if character == "\\":
            parts.append(next(characters, "\\"))
        elif character == "%":
            parts.append(ANY_RUN)
        else:
            parts.append(ANY_ONE if character == "_" else character)
    return tuple(parts)


def cases(character: str) -> str:
    """The character in its cases, each one character long."""
    both = {character, character.lower(), character.upper()}
    return "".join(sorted(each for each in both if len(each) == 1))


def glob(parts: tuple[object, ...]) -> str:
    """The pattern for SQLite."""
    return "".join(_glob_part(part) for part in parts)


def _glob_part(part: object) -> str:
    if part is ANY_RUN:
        return "*"
    if part is ANY_ONE:
        return "?"
    spelt = cases(str(part))
    return f"[{spelt}]" if len(spelt) > 1 or spelt in "*?[" else spelt


def regular_expression(parts: tuple[object, ...]) -> str:
    """The pattern for PostgreSQL."""
    return f"^{''.join(_regular_part(part) for part in parts)}$"


def _regular_part(part: object) -> str:
    if part is ANY_RUN:
        return ".*"
    if part is ANY_ONE:
        return "."
    spelt = cases(str(part))
    if len(spelt) > 1:
        return f"[{spelt}]"
    return spelt if spelt.isalnum() else f"\\{spelt}" if spelt.isascii() else spelt
