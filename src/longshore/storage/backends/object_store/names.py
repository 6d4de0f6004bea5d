"""The names in a folder, sorted by their bytes, from a listing that is sorted by keys.

The two orders differ in three points, which this module evens out while pages stream by:

- The folder `a` has the key `a/`, behind `a-b`, `a.b` and all others that go on with a byte below
  the slash. Before such a name is given, the folders it may have jumped are looked for: in what has
  been read ahead, and past its end by one request for as long as the name goes on like this.
- A name in the `!bytes!` form may sort anywhere: these are listed first, and kept.
- A mark at the end of a name makes it sort a little behind its key: it waits.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from longshore.domain.errors import ErrorKind, RetryClass, StorageError
from longshore.storage.backends.object_store.client import ObjectClient, ObjectStat, Page
from longshore.storage.backends.object_store.keys import (
    ESCAPED_MARK,
    FOREIGN_MARK,
    SEPARATOR,
    KeyRules,
    is_escaped,
    name_of,
    piece_of,
    shown_folder,
)
from longshore.storage.handler import TEMPORARY_PREFIX

AHEAD_MAXIMUM: Final = 1000  # names read ahead before another page is; a page is as long

ESCAPED_NAMES_MAXIMUM: Final = 1_000_000
"""In the `!bytes!` form, of one folder: they are kept in memory while it is listed, 200 MB then."""

_BEHIND_ESCAPED: Final = ESCAPED_MARK + "\x7f"
_FIRST_ORDINARY: Final = b".." + FOREIGN_MARK.encode()  # names up to here may stand for odd keys


class Found(msgspec.Struct, frozen=True, order=True):
    """A name of a folder. `stat` is None for a folder; `key` then ends with the slash."""

    name: bytes
    key: str
    stat: ObjectStat | None = None


class _Raw(msgspec.Struct, frozen=True):
    piece: str
    is_folder: bool
    stat: ObjectStat | None

    @property
    def place(self) -> str:
        """Where the store sorts it."""
        return self.piece + SEPARATOR if self.is_folder else self.piece


class _Stream:
    """What the store lists of a folder, in its order, with what was read ahead."""

    def __init__(self, client: ObjectClient, folder_key: str, marker: str, start: str) -> None:
        self._folder_key = folder_key
        self._marker = marker
        after = folder_key + start if start else ""
        self._pages = client.pages(folder_key, delimiter=SEPARATOR, after=after)
        self.ahead: deque[_Raw] = deque()
        self.folders_ahead: set[str] = set()
        self.place = ""  # of what was taken last
        self.end = ""  # of what was read last
        self.is_complete = False

    def take(self) -> _Raw | None:
        while not self.ahead and not self.is_complete:
            self.read_page()
        if not self.ahead:
            return None
        raw = self.ahead.popleft()
        self.place = raw.place
        if raw.is_folder:
            self.folders_ahead.discard(raw.piece)
        return raw

    def read_page(self) -> None:
        page = next(self._pages, None)
        if page is None:
            self.is_complete = True
            return
        for raw in self._merged(page):
            self.ahead.append(raw)
            self.end = raw.place
            if raw.is_folder:
                self.folders_ahead.add(raw.piece)

    def covers(self, place: str) -> bool:
        """Whether the place was read, or lies behind the end. Reads one page more to know it."""
        if place > self.end and not self.is_complete and len(self.ahead) < AHEAD_MAXIMUM:
            self.read_page()
        return self.is_complete or place <= self.end

    def _merged(self, page: Page) -> Iterator[_Raw]:
        cut = len(self._folder_key)
        files = (_Raw(each.key[cut:], False, each) for each in page.objects)
        folders = (_Raw(each[cut:-1], True, None) for each in page.prefixes)
        for raw in heapq.merge(files, folders, key=lambda raw: raw.place):
            if not self._is_hidden(raw):
                yield raw

    def _is_hidden(self, raw: _Raw) -> bool:
        if raw.piece.encode().startswith(TEMPORARY_PREFIX):
            return True
        is_marker = raw.piece == self._marker and not raw.is_folder
        return is_marker and (raw.stat is None or not raw.stat.size)


class FolderNames:
    """The names greater than `after` below a folder's key (which ends with the slash, or is "")."""

    def __init__(
        self,
        client: ObjectClient,
        folder_key: str,
        rules: KeyRules,
        *,
        after: bytes,
        is_object: Callable[[str], bool],
    ) -> None:
        self._client = client
        self._folder_key = folder_key
        self._rules = rules
        self._after = after
        self._is_object = is_object  # by its key
        self._start = _start_of(after, rules)
        marker = client.abilities.folder_marker
        self._stream = _Stream(client, folder_key, marker, self._start)
        self._waiting: list[Found] = []  # a heap
        self._early: set[str] = set()  # folders that were given before the listing came to them
        self._absent: set[str] = set()  # folders that were looked for in vain
        self._open: list[str] = []  # objects whose folder may still come

    def __iter__(self) -> Iterator[Found]:
        for escaped in self._escaped():
            self._add(escaped)
        while (raw := self._stream.take()) is not None:
            self._note_open(raw)
            if not is_escaped(raw.piece) or self._is_ordinary(raw.piece):
                self._add(raw)
            yield from self._ready(raw.place.encode())
        yield from self._ready(None)

    def _ready(self, place: bytes | None) -> Iterator[Found]:
        """The names before which nothing can come any more; all of them at the end."""
        while self._waiting and (place is None or self._waiting[0].name <= place):
            first = self._waiting[0]
            self._add_jumped(first.name)
            if self._waiting[0] is first:
                yield heapq.heappop(self._waiting)

    def _add(self, raw: _Raw) -> None:
        if raw.is_folder:
            if raw.piece not in self._early:
                self._add_folder(raw.piece)
            self._early.discard(raw.piece)
            return
        name = name_of(raw.piece, self._rules)
        if name > self._after:
            heapq.heappush(self._waiting, Found(name, self._folder_key + raw.piece, raw.stat))

    def _add_folder(self, piece: str) -> None:
        name = shown_folder(name_of(piece, self._rules), self._is_taken)
        if name > self._after:
            heapq.heappush(self._waiting, Found(name, self._folder_key + piece + SEPARATOR))

    def _is_taken(self, name: bytes) -> bool:
        """Whether an object has the name that a folder would be shown by."""
        piece = piece_of(name, self._rules)
        if piece in self._open:
            return True
        if self._start < piece <= self._stream.place:
            return False  # the listing has passed it
        return self._is_object(self._folder_key + piece)

    def _note_open(self, raw: _Raw) -> None:
        while self._open and not raw.piece.startswith(self._open[-1]):
            self._open.pop()
        if not raw.is_folder:
            self._open.append(raw.piece)

    # ------------------------------------------------------------------ folders behind their names

    def _add_jumped(self, name: bytes) -> None:
        """Add the folders that come before the name, and behind it in the listing."""
        for place, byte in enumerate(name):
            if byte < ord(SEPARATOR):
                try:
                    piece = name[:place].decode()
                except UnicodeDecodeError:
                    continue  # in the `!bytes!` form: known from the beginning
                if self._comes(piece):
                    self._early.add(piece)
                    self._add_folder(piece)

    def _comes(self, piece: str) -> bool:
        """Whether the listing will still come to the folder, which was not given yet."""
        stream = self._stream
        place = piece + SEPARATOR
        if piece in self._early or piece in self._absent or place <= stream.place:
            return False
        if stream.covers(place):
            return piece in stream.folders_ahead
        found = has_any(self._client, self._folder_key + place)
        if not found:
            self._absent = {each for each in self._absent if piece.startswith(each)} | {piece}
        return found

    # ------------------------------------------------------------------ the `!bytes!` form

    def _escaped(self) -> Iterator[_Raw]:
        stream = self._stream
        while not self._start and not stream.is_complete and not stream.ahead:
            stream.read_page()
        if not self._start and (stream.is_complete or stream.end > _BEHIND_ESCAPED):
            found: Iterator[_Raw] = iter(list(stream.ahead))
        else:
            found = self._listed_escaped()
        for count, raw in enumerate(found, start=1):
            if count > ESCAPED_NAMES_MAXIMUM:
                raise _too_many(self._folder_key)
            if is_escaped(raw.piece) and not self._is_ordinary(raw.piece):
                yield raw

    def _listed_escaped(self) -> Iterator[_Raw]:
        cut = len(self._folder_key)
        prefix = self._folder_key + ESCAPED_MARK
        for page in self._client.pages(prefix, delimiter=SEPARATOR):
            yield from (_Raw(each.key[cut:], False, each) for each in page.objects)
            yield from (_Raw(each[cut:-1], True, None) for each in page.prefixes)

    def _is_ordinary(self, piece: str) -> bool:
        """Whether a piece only looks like the `!bytes!` form."""
        return name_of(piece, self._rules) == piece.encode()


def has_any(client: ObjectClient, prefix: str) -> bool:
    """Whether there is any object below the prefix."""
    return any(page.objects for page in client.pages(prefix, limit=1))


def _start_of(after: bytes, rules: KeyRules) -> str:
    """A place in the listing behind which all names greater than `after` are ("" = the start)."""
    if after <= _FIRST_ORDINARY:
        return ""
    text = after.decode("utf-8", "replace")
    for place, character in enumerate(text):
        if character in rules.escaped or character == "\ufffd":
            return text[:place]
    return text


def _too_many(folder_key: str) -> StorageError:
    cause = f"more than {ESCAPED_NAMES_MAXIMUM} names that are no text"
    return StorageError(ErrorKind.UNSUPPORTED, RetryClass.NEVER, "list", folder_key.encode(), cause)
