"""Staged files that go to the store in parts while they are written."""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import Final

from longshore.domain import paths
from longshore.domain.entry import EntryKind
from longshore.domain.errors import ErrorKind, RetryClass, StorageError, StorageUnavailable
from longshore.storage.backends.object_store import metadata as file_metadata
from longshore.storage.backends.object_store import uploads
from longshore.storage.backends.object_store.client import Abilities, Part, PutOptions, Upload
from longshore.storage.backends.object_store.extents import Extents
from longshore.storage.backends.object_store.hashing import TOGETHER, md5s_of
from longshore.storage.backends.object_store.publishing import Publishing
from longshore.storage.backends.object_store.store import Store
from longshore.storage.handler import Metadata, StagedFile

PART_BYTES: Final = 8 * 1024 * 1024
"""The smallest part: a request for it lasts long enough that its way to the store does not count,
and eight of them are a segment of the pipeline."""

IN_FLIGHT_BYTES: Final = 64 * 1024 * 1024
"""Of one staged file on its way to the store. A bigger part goes alone."""

TOGETHER_BYTES: Final = 32 * 1024 * 1024
"""Whole parts that wait for each other, to be hashed together: half of those in flight, so that
others are on their way meanwhile."""

UNFINISHED_PARTS_MAXIMUM: Final = 8  # written in pieces, in memory until they are whole


def part_bytes(size: int, abilities: Abilities) -> int:
    """The length of the parts of a file so big: doubled until the provider takes so few parts.

    Whoever writes a part has it in memory.
    """
    length = PART_BYTES
    while length < abilities.part_bytes_minimum or -(-size // length) > abilities.parts_maximum:
        length *= 2
    return length


class _Piece:
    """A part that is being written, and which of its bytes are there."""

    def __init__(self, data: bytearray) -> None:
        self.data = data
        self._there = Extents()

    def write(self, data: memoryview, offset: int) -> bool:
        """Whether the part is whole now."""
        self.data[offset : offset + len(data)] = data
        self._there.add(offset, offset + len(data))
        return self._there.are_all(len(self.data))

    def end(self) -> int:
        return self._there.end


class StagedUpload(StagedFile):
    """A big file. Whole parts are sent a few at a time, at the latest by `close`; they last."""

    def __init__(
        self,
        store: Store,
        publishing: Publishing,
        temporary_name: bytes,
        begun: uploads.Begun,
        size: int,
        parts: list[Part],
    ) -> None:
        self._store = store
        self._publishing = publishing
        self._name = temporary_name
        self._staged_key = store.key(publishing.folder_key, temporary_name, "stage")
        self._begun = begun
        self._upload = Upload(begun.key, begun.id)
        self._size = size
        self._length = part_bytes(size, store.abilities)
        self._parts = {each.number: each for each in parts}
        self._pieces: dict[int, _Piece] = {}  # by number of the part
        self._whole: dict[int, bytearray] = {}  # parts that are to be sent together
        self._together = max(min(TOGETHER, TOGETHER_BYTES // self._length), 1)
        self._sending: dict[Future[Part], tuple[int, bytearray]] = {}  # number and content
        self._metadata = begun.metadata
        self._is_complete = False  # the object is there, under the key of the upload
        self._is_astray = False  # under a final key that is not the one wanted in the end
        self._has_ended = False

    def close(self) -> None:
        """Wait until all whole parts are at the store; raises the error of one that is not."""
        self._send_whole()
        self._wait_for_all()

    def write(self, data: memoryview, offset: int) -> None:
        while data:
            number, inside = offset // self._length + 1, offset % self._length
            count = min(len(data), self._length - inside)
            self._write_piece(number, data[:count], inside)
            data, offset = data[count:], offset + count

    def read_into(self, buffer: memoryview, offset: int) -> int:
        cause = "the store does not give back what is not published"
        raise self._refusal(ErrorKind.UNSUPPORTED, RetryClass.NEVER, "read", cause)

    def size(self) -> int:
        sending = (number for number, _ in self._sending.values())
        numbers = (*self._parts, *self._whole, *sending)
        sent = max((self._bounds(number)[1] for number in numbers), default=0)
        begun = (self._bounds(n)[0] + piece.end() for n, piece in self._pieces.items())
        return max(sent, max(begun, default=0))

    def token(self) -> bytes:
        return uploads.token_of(self._begun)

    def piece_bytes(self) -> int:
        return self._length

    def set_metadata(self, metadata: Metadata) -> tuple[str, ...]:
        self._metadata, lost = file_metadata.encode(
            metadata, EntryKind.FILE, before={}, limits=self._store.abilities
        )
        return lost

    def commit(self, name: bytes, *, replace: bool) -> None:
        self.close()
        # Some stores know the condition for objects written at once, and not for these.
        key = self._publishing.prepare(name, replace=replace, looks=True)
        only_if_absent = not replace and self._store.abilities.conditional_create
        if key == self._begun.key:
            self._complete(only_if_absent=only_if_absent)
            if not uploads.are_same(self._metadata, self._begun.metadata):
                self._store.client.set_metadata(key, self._metadata)
        else:
            self._complete_elsewhere()
            # Putting it together may have taken a while.
            self._publishing.prepare(name, replace=replace, looks=True)
            self._copy_to(key, only_if_absent=only_if_absent)
            self._store.discard(self._begun.key)
        if self._begun.is_final:
            self._store.discard(self._staged_key)
        self._end()

    def abort(self) -> None:
        if self._has_ended:
            return
        for each in self._sending:
            each.cancel()
        wait(self._sending)
        self._store.client.abort_upload(self._upload)
        self._store.discard(self._staged_key)
        if self._is_astray:
            self._store.discard(self._begun.key)
        self._end()

    # ------------------------------------------------------------------ parts

    def _write_piece(self, number: int, data: memoryview, inside: int) -> None:
        piece = self._pieces.get(number)
        if piece is None:
            if len(self._pieces) >= UNFINISHED_PARTS_MAXIMUM:
                cause = f"more than {UNFINISHED_PARTS_MAXIMUM} parts are begun and not whole"
                raise self._refusal(ErrorKind.UNSUPPORTED, RetryClass.NEVER, "write", cause)
            self._make_room()
            start, end = self._bounds(number)
            length = max(end - start, inside + len(data))
            piece = self._pieces[number] = _Piece(self._store.buffers.take(length))
        if piece.write(data, inside):
            del self._pieces[number]
            self._whole[number] = piece.data
            if len(self._whole) >= self._together:
                self._send_whole()

    def _send_whole(self) -> None:
        whole, self._whole = self._whole, {}
        for (number, data), md5 in zip(whole.items(), md5s_of(list(whole.values())), strict=True):
            self._send(number, data, md5)

    def _send(self, number: int, data: bytearray, md5: bytes) -> None:
        known = self._parts.get(number)
        if known is not None and known.size == len(data) and known.md5 == md5:
            self._store.buffers.give_back(data)  # it was sent before a crash
            return
        self._parts.pop(number, None)
        client, upload = self._store.client, self._upload
        begun = self._store.begin(lambda: client.put_part(upload, number, data, md5=md5))
        self._sending[begun] = number, data
        if self._store.abilities.parts_in_order:
            self._wait_for_all()

    def _make_room(self) -> None:
        room = IN_FLIGHT_BYTES // self._length - 1  # besides the part that needs it
        while self._sending and len(self._sending) + len(self._whole) > room:
            self._wait()

    def _wait_for_all(self) -> None:
        while self._sending:
            self._wait()

    def _wait(self) -> None:
        done, _ = wait(self._sending, return_when=FIRST_COMPLETED)
        for each in done:
            self._store.buffers.give_back(self._sending.pop(each)[1])
        for each in done:
            part = each.result()
            self._parts[part.number] = part

    def _bounds(self, number: int) -> tuple[int, int]:
        start = (number - 1) * self._length
        return start, max(min(start + self._length, self._size), start)

    # ------------------------------------------------------------------ publishing

    def _complete(self, *, only_if_absent: bool) -> None:
        """Make the parts the object; kind `stale` if some are missing, or the whole upload."""
        if self._is_complete:
            return
        options = PutOptions(
            metadata=self._begun.metadata,
            only_if_absent=only_if_absent,
            is_file=self._begun.is_final,
        )
        try:
            self._store.client.complete_upload(self._upload, self._all_parts(), options)
        except StorageUnavailable:
            raise
        except StorageError as error:
            if error.kind is not ErrorKind.NOT_FOUND:
                raise
            raise self._lost("the upload is gone") from error
        self._is_complete = True

    def _complete_elsewhere(self) -> None:
        """Make the object under the key of the upload, which is not the one that it is to have."""
        if self._is_complete:
            return
        if self._begun.is_final and self._store.is_object(self._begun.key):
            # It would replace a file. A new upload to the key of the staged file will not.
            raise self._lost("its name was taken while it was written")
        conditional = self._store.abilities.conditional_create
        # Under the key of the staged file stands the note of the upload, which may be replaced.
        self._complete(only_if_absent=conditional and self._begun.is_final)
        self._is_astray = self._begun.is_final

    def _copy_to(self, key: str, *, only_if_absent: bool) -> None:
        try:
            self._copy(key, only_if_absent=only_if_absent)
        except StorageUnavailable:
            raise
        except StorageError as error:
            if only_if_absent and error.kind is ErrorKind.UNSUPPORTED:
                self._copy(key, only_if_absent=False)  # it knows the condition of writing only
            elif error.kind is not ErrorKind.EXISTS or not self._stands_at(key):
                raise

    def _copy(self, key: str, *, only_if_absent: bool) -> None:
        self._store.client.copy(
            self._begun.key, key, metadata=self._metadata, only_if_absent=only_if_absent
        )

    def _stands_at(self, key: str) -> bool:
        """Whether it is this very file: a copy whose answer was lost."""
        found = self._store.look(key)
        return found is not None and (found.size, found.metadata) == (self._size, self._metadata)

    def _all_parts(self) -> list[Part]:
        wanted = range(1, -(-self._size // self._length) + 1)
        if any(number not in self._parts for number in wanted):
            # Other movers have sent the others.
            for part in self._store.client.list_parts(self._upload):
                self._parts.setdefault(part.number, part)
        for number in wanted:
            start, end = self._bounds(number)
            if number not in self._parts or self._parts[number].size != end - start:
                raise self._lost(f"part {number} of {len(wanted)} is missing")
        return [self._parts[number] for number in wanted]

    def _end(self) -> None:
        self._has_ended = True
        self._pieces.clear()
        self._whole.clear()
        self._publishing.forget(self._name, self)

    def _lost(self, cause: str) -> StorageError:
        return self._refusal(ErrorKind.STALE, RetryClass.NOW, "publish", cause)

    def _refusal(self, kind: ErrorKind, retry: RetryClass, deed: str, cause: str) -> StorageError:
        path = paths.join(self._publishing.path, self._name)
        return StorageError(kind, retry, deed, path, cause)
