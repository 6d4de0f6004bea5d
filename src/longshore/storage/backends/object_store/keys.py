"""Names of files as pieces of keys, and back: no two names share a key, no key is hidden.

A path's key is that of its names, joined by `/`, below the prefix of the storage. Most names are
their own piece. There are three kinds of exceptions, each reversible:

    name of a file             piece of the key       why
    caf\\xe9 (not UTF-8)        !bytes!caf!E9          keys are text
    (an empty piece)           `` (as in a//b)        a name is never empty: it is shown as !key!
    .!key!, ..!key!            `.`, `..`              what no folder may hold
    data!folder!               data (of data/x)       an object `data` stands beside `data/x`

`!bytes!` comes before the name with every byte that is not plain as `!` and two hexadecimal digits.
A name that by itself looks like one of these forms is written in the `!bytes!` form, if that form
stands for something else; otherwise it is what it looks like. So both directions are total:
`name_of(piece_of(name)) == name` and `piece_of(name_of(piece)) == piece`.
"""

from __future__ import annotations

import string
from collections.abc import Callable
from typing import Final

import msgspec

ESCAPED_MARK: Final = "!bytes!"
FOREIGN_MARK: Final = "!key!"
FOLDER_MARK: Final = b"!folder!"
SEPARATOR: Final = "/"

_UNTOUCHED: Final = frozenset((string.ascii_letters + string.digits + " -_.,()+=@~").encode())
_NO_NAMES: Final = frozenset({"", ".", ".."})
_HEXADECIMAL: Final = frozenset("0123456789ABCDEF")
_CONTROLS: Final = frozenset(map(chr, [*range(0x20), 0x7F, 0xFFFE, 0xFFFF]))


class KeyRules(msgspec.Struct, frozen=True):
    """Which names a provider cannot bear as they are, besides what no provider can."""

    escaped: frozenset[str] = _CONTROLS  # characters
    escaped_at_end: frozenset[str] = frozenset()  # of a name


PLAIN_RULES: Final = KeyRules()


def piece_of(name: bytes, rules: KeyRules = PLAIN_RULES) -> str:
    """The piece of the key that stands for a name (one that `check_name` lets pass)."""
    text = _text(name)
    if text is not None:
        if text.endswith(FOREIGN_MARK) and not _is_plain(text[: -len(FOREIGN_MARK)], rules):
            return text[: -len(FOREIGN_MARK)]
        if _is_plain(text, rules) and _unescaped(text, rules) is None:
            return text
    return ESCAPED_MARK + _quote(name, rules)


def name_of(piece: str, rules: KeyRules = PLAIN_RULES) -> bytes:
    """The name under which a piece of a key is shown."""
    name = _unescaped(piece, rules)
    if name is not None:
        return name
    return (piece if _is_plain(piece, rules) else piece + FOREIGN_MARK).encode()


def is_escaped(piece: str) -> bool:
    """Whether the name of the piece may sort anywhere, instead of where its key does."""
    return piece.startswith(ESCAPED_MARK)


def shown_folder(name: bytes, is_object: Callable[[bytes], bool]) -> bytes:
    """The name under which the folder of that name is shown: objects keep their names.

    The folders `x`, `x!folder!`, … take, in this order, those of these names that no object has.
    """
    base, wanted = _marks(name)
    shown = base
    while True:
        if not is_object(shown):
            if not wanted:
                return shown
            wanted -= 1
        shown += FOLDER_MARK


def meant_folder(shown: bytes, is_object: Callable[[bytes], bool]) -> bytes:
    """The folder that is shown under the name, which no object has: `shown_folder` backwards."""
    base, place = _marks(shown)
    taken = sum(is_object(base + FOLDER_MARK * number) for number in range(place))
    return base + FOLDER_MARK * (place - taken)


def has_folder_mark(name: bytes) -> bool:
    return name.endswith(FOLDER_MARK) and name != FOLDER_MARK


def _marks(name: bytes) -> tuple[bytes, int]:
    count = 0
    while has_folder_mark(name):
        name = name[: -len(FOLDER_MARK)]
        count += 1
    return name, count


def _text(name: bytes) -> str | None:
    try:
        return name.decode()
    except UnicodeDecodeError:
        return None


def _is_plain(text: str, rules: KeyRules) -> bool:
    """Whether the text may be a name and a piece of a key as it is."""
    while True:
        if text in _NO_NAMES or "\0" in text or text[-1] in rules.escaped_at_end:
            return False
        if not rules.escaped.isdisjoint(text):
            return False
        if not text.endswith(FOREIGN_MARK):
            return True
        # What looks like the name of an odd piece stands for that one, and gets a mark more itself.
        text = text[: -len(FOREIGN_MARK)]


def _unescaped(piece: str, rules: KeyRules) -> bytes | None:
    """The name that has exactly this piece as its escaped form, if there is one."""
    if not piece.startswith(ESCAPED_MARK):
        return None
    name = _unquote(piece.removeprefix(ESCAPED_MARK))
    if name is None or not name or b"/" in name or b"\0" in name or name in {b".", b".."}:
        return None
    return name if piece_of(name, rules) == piece else None


def _quote(name: bytes, rules: KeyRules) -> str:
    quoted = [chr(byte) if byte in _UNTOUCHED else f"!{byte:02X}" for byte in name]
    if quoted[-1] in rules.escaped_at_end:
        quoted[-1] = f"!{name[-1]:02X}"
    return "".join(quoted)


def _unquote(text: str) -> bytes | None:
    first, *others = text.split("!")
    name = bytearray(first.encode())
    for other in others:
        if not _HEXADECIMAL.issuperset(other[:2]) or len(other) < 2:
            return None
        name.append(int(other[:2], 16))
        name += other[2:].encode()
    return bytes(name)
