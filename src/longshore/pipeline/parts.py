"""One part of a big file, which other movers write other parts of at the same time.

The file's own item has staged it and fixed the source entry: what is not that file any more makes
the whole file begin again. An error that may pass costs this part an attempt and no other one.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from longshore.domain.errors import (
    ErrorKind,
    FileFailure,
    Side,
    StorageError,
    StorageUnavailable,
)
from longshore.pipeline import content, copying, passes
from longshore.pipeline.messages.replies import Lost, PartReply
from longshore.pipeline.messages.work import PackedWork, PartWork, Segments, encode
from longshore.pipeline.toolbox import Toolbox, failure_of, may_try_again
from longshore.pipeline.writing import Writer, carries, changed, is_same_file, take_pass
from longshore.storage.handler import Folder, SourceFile

_decoder = msgspec.msgpack.Decoder(PartWork)


def run(payload: bytes, toolbox: Toolbox) -> PartReply:
    """Write segments of the part until the slice ends."""
    work = _decoder.decode(payload)
    return _Slice(toolbox, work).run()


BEGUN_ANEW = frozenset({ErrorKind.CHANGED_WHILE_READ, ErrorKind.STALE, ErrorKind.NO_SPACE})
"""Errors of a part after which the whole file begins anew: with another content, in another upload,
or on another storage of the pool, since a single one that is full is waited for."""


@dataclass(slots=True)
class _Slice:
    toolbox: Toolbox
    work: PartWork
    writer: Writer = field(init=False)
    followed: int = 0

    def __post_init__(self) -> None:
        group = self.work.group
        self.writer = Writer(self.toolbox, group, group.files[0], content.Where())

    def run(self) -> PartReply:
        try:
            digests = self.work.digests + self._write()
        except StorageUnavailable as error:
            lost = copying.lost_storage(error, self.work.group.source, self.toolbox)
            return self._reply(remaining=pack(self.work), lost=lost)
        except StorageError as error:
            return self._after_error(error)
        if len(digests) == self.work.count:
            return self._reply(digests)
        return self._reply(remaining=pack(msgspec.structs.replace(self.work, digests=digests)))

    def _after_error(self, error: StorageError) -> PartReply:
        work, where = self.work, self.writer.where
        failure = failure_of(error, where.stage, where.side)
        attempts = work.attempts + 1
        pause = copying.pause_seconds(work.attempts, self.toolbox)
        if error.kind in BEGUN_ANEW:
            return self._reply(failure=failure, again=True, retry_after_seconds=pause)
        if may_try_again(error) and attempts < copying.ATTEMPTS_MAXIMUM:
            rest = pack(msgspec.structs.replace(work, attempts=attempts))
            return self._reply(remaining=rest, retry_after_seconds=pause)
        return self._reply(failure=failure, attempts=attempts)

    def _reply(
        self,
        digests: list[bytes] | None = None,
        *,
        remaining: PackedWork | None = None,
        retry_after_seconds: float = 0.0,
        lost: Lost | None = None,
        failure: FileFailure | None = None,
        again: bool = False,
        attempts: int = 0,
    ) -> PartReply:
        return PartReply(
            digests=digests or [],
            remaining=remaining,
            bytes_copied=self.writer.bytes_copied,
            retry_after_seconds=retry_after_seconds,
            warnings=self.toolbox.warnings,
            lost=lost,
            followed=self.followed,
            failure=failure,
            again=again,
            attempts=attempts,
        )

    def _write(self) -> list[bytes]:
        toolbox, group, writer = self.toolbox, self.work.group, self.writer
        with toolbox.sources[group.source].open_folder(group.folder) as source:
            writer.where.side = Side.DESTINATION
            destination = toolbox.destination_of(group.source)
            with destination.open_folder(group.target, create=True) as target:
                writer.where.side = Side.SOURCE
                with source.open(writer.planned.entry.name) as reader:
                    return self._write_opened(reader, target)

    def _write_opened(self, reader: SourceFile, target: Folder) -> list[bytes]:
        work, writer = self.work, self.writer
        capabilities = self.toolbox.sources[work.group.source].capabilities
        if not is_same_file(work.source, reader.stat(), capabilities):
            raise changed(writer.path)
        big = Segments(work.source, [], work.segment_bytes, work.begun_ns, work.token)
        if carries(work.group.source, self.toolbox):
            writer.carried = take_pass(writer.temporary_name, big, self.toolbox)
        next_one = work.first + len(work.digests)
        writer.where.side = Side.DESTINATION
        with writer.stage(target, reader, work.source, token=work.token, resume=True) as file:
            digests = writer.write(reader, file, big, range(next_one, work.first + work.count))
        # Only now: an object store may refuse what it was given when the file is closed.
        writer.where.side = Side.SOURCE
        content.check_unchanged(reader, work.source, writer.path, capabilities)
        if writer.carried is not None:
            self.followed = writer.carried.next
            passes.keep(writer.temporary_name, writer.carried, self.toolbox)
        return digests


def pack(work: PartWork) -> PackedWork:
    """The part as an item of the journal. It counts no file: that is the file's own item."""
    size = min(work.source.size, (work.first + work.count) * work.segment_bytes)
    return PackedWork(0, size - work.first * work.segment_bytes, encode(work))
