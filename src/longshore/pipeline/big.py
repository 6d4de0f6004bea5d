"""Moving one big file, so that a slice, a pause or a crash can come between two segments.

    begin:    look at what stands there, link, stage the file, fix its source entry
    transfer: each missing segment is read, hashed and written; its digest goes into the journal
    verify:   the staged file is read back in order, every segment compared with its digest;
              this pass makes the checksums of the whole file, too (see `passes`)
    publish:  as for small files

A file of many segments is given out in parts once it has begun: several movers transfer it at the
same time (see `sharing` and `parts`), and its own item only verifies and publishes it.
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
from longshore.domain.outcome import Outcome
from longshore.domain.record import Record
from longshore.domain.segments import Layout, segment_bytes
from longshore.domain.storage import Capabilities
from longshore.pipeline import content, copying, falling_back, passes
from longshore.pipeline.content import check_unchanged
from longshore.pipeline.finishing import Finisher
from longshore.pipeline.messages.replies import CopyReply, Lost, Shared
from longshore.pipeline.messages.work import (
    CopyGroup,
    CopyMode,
    CopyWork,
    PackedWork,
    PlannedFile,
    Segments,
    encode,
)
from longshore.pipeline.passes import Found
from longshore.pipeline.planning import by_rule
from longshore.pipeline.published import look
from longshore.pipeline.recognising import Link, Recogniser
from longshore.pipeline.toolbox import Toolbox, failure_of, may_try_again
from longshore.pipeline.transfer import Finished
from longshore.pipeline.writing import (
    Writer,
    carries,
    changed,
    is_same_file,
    part_segments,
    take_pass,
    with_attempt,
    written_without_gap,
)
from longshore.storage.handler import Folder, SourceFile, StagedFile

_GONE = frozenset({ErrorKind.NOT_FOUND, ErrorKind.STALE})  # nothing of it is left to be removed


@dataclass(frozen=True, slots=True)
class Unfinished:
    """The slice has ended; this is how far the file is."""

    big: Segments | None
    begun: bool = False  # just now, so that its parts can be given out


def run(work: CopyWork, toolbox: Toolbox) -> CopyReply:
    """One slice of the one file of this work item."""
    group = work.groups[0]
    return _Slice(toolbox, group, group.files[0], work.big).run()


@dataclass(slots=True)
class _Slice:
    toolbox: Toolbox
    group: CopyGroup
    planned: PlannedFile
    big: Segments | None
    writer: Writer = field(init=False)
    followed: int = 0

    def __post_init__(self) -> None:
        self.writer = Writer(self.toolbox, self.group, self.planned, content.Where())

    def run(self) -> CopyReply:
        try:
            failure = self._settle_failure()
            if failure is not None:
                return self._failed(failure)
            result = self._advance()
        except StorageUnavailable as error:
            lost = copying.lost_storage(error, self.group.source, self.toolbox)
            return self._unfinished(Unfinished(self.big), lost=lost)
        except StorageError as error:
            return self._after_error(error)
        if isinstance(result, Unfinished):
            return self._unfinished(result)
        return self._reply([copying.record_of(self.group, self.planned, result, self.toolbox)])

    def _settle_failure(self) -> FileFailure | None:
        """What to give the file up for. One that is to begin again loses what was staged."""
        big = self.big
        if big is None or big.failure is None:
            return None
        self._drop_staged()
        self.big = None
        return None if big.again else big.failure

    # ------------------------------------------------------------------ replies

    def _after_error(self, error: StorageError) -> CopyReply:
        where = self.writer.where
        failure = failure_of(error, where.stage, where.side)
        passes.forget(self.writer.temporary_name, self.toolbox)
        again = may_try_again(error)
        pause = copying.pause_seconds(self.planned.attempts, self.toolbox)
        if self._is_shared():
            shared = Shared(failure=failure, again=again)
            return self._reply([], shared=shared, retry_after_seconds=pause)
        if not again or self.planned.attempts + 1 >= copying.ATTEMPTS_MAXIMUM:
            self._drop_staged()
            return self._failed(failure)
        if self.big is not None and self.big.token:
            self._drop_staged()
        rest = self._rest(with_attempt(self.planned), None)
        return self._reply([], rest, retry_after_seconds=pause)

    def _failed(self, failure: FileFailure) -> CopyReply:
        other = falling_back.next_copy(self.group, self.planned, failure, self.toolbox)
        if other is not None:
            packed = falling_back.pack([other], self.toolbox.plan.segment_bytes)
            change = other.files[0].entry.size - self.planned.entry.size
            reply = self._reply([])
            return msgspec.structs.replace(
                reply, size_change=change, others=packed, unsound=self.toolbox.unsound
            )
        result = Finished(entry=self.planned.entry, outcome=Outcome.FAILED, failure=failure)
        return self._reply([copying.record_of(self.group, self.planned, result, self.toolbox)])

    def _unfinished(self, left: Unfinished, *, lost: Lost | None = None) -> CopyReply:
        if left.begun:
            return self._reply([], self._rest(self.planned, left.big), shared=Shared())
        if left.big is not None and left.big.part_segments:
            return self._reply([], shared=Shared(followed=self.followed), lost=lost)
        return self._reply([], self._rest(self.planned, left.big), lost=lost)

    def _reply(
        self,
        records: list[Record],
        rest: PackedWork | None = None,
        *,
        shared: Shared | None = None,
        retry_after_seconds: float = 0.0,
        lost: Lost | None = None,
    ) -> CopyReply:
        change = sum(record.entry.size - self.planned.entry.size for record in records)
        return CopyReply(
            records=records,
            remaining=rest,
            bytes_copied=self.writer.bytes_copied,
            size_change=change,
            retry_after_seconds=retry_after_seconds,
            warnings=self.toolbox.warnings,
            lost=lost,
            shared=shared,
            inside=rest is not None and passes.is_kept(self.writer.temporary_name, self.toolbox),
        )

    def _rest(self, planned: PlannedFile, big: Segments | None) -> PackedWork:
        group = msgspec.structs.replace(self.group, files=[planned])
        return PackedWork(1, planned.entry.size, encode(CopyWork([group], big)))

    # ------------------------------------------------------------------ the way of the file

    def _advance(self) -> Finished | Unfinished:
        toolbox, group, where = self.toolbox, self.group, self.writer.where
        with toolbox.sources[group.source].open_folder(group.folder) as source:
            where.side = Side.DESTINATION
            destination = toolbox.destination_of(group.source)
            with destination.open_folder(group.target, create=True) as target:
                where.side = Side.SOURCE
                with source.open(self.planned.entry.name) as reader:
                    return self._advance_opened(reader, target)

    def _advance_opened(self, reader: SourceFile, target: Folder) -> Finished | Unfinished:
        entry = reader.stat()
        if self.planned.further is not None and self.planned.further.failure is not None:
            # Nobody was told, when this copy took the place of another, that it has several names.
            entry = msgspec.structs.replace(entry, links=1)
        present = Recogniser(self.writer, reader, entry, target)
        if self.big is None:
            begun = self._begin(present)
            if not isinstance(begun, Segments):
                return begun
            self.big = begun
            if begun.part_segments or begun.token:
                # Nothing is written before the journal knows of it.
                return Unfinished(begun, begun=bool(begun.part_segments))
        elif not is_same_file(self.big.source, entry, self._capabilities):
            raise changed(self.writer.path)
        elif not self.big.part_segments:
            linked = self._link(present, self._mode_of(self.big))
            if linked is not None:
                return linked
        return self._go_on(self.big, present)

    @property
    def _capabilities(self) -> Capabilities:
        """Those of the storage that the file is read from."""
        return self.toolbox.sources[self.group.source].capabilities

    def _begin(self, present: Recogniser) -> Segments | Finished | Unfinished:
        """Stage the file, unless what stands there already settles it."""
        mode = present.settle()
        if mode is None:
            return Unfinished(None)
        if isinstance(mode, Finished):
            return mode
        linked = self._link(present, mode)
        if linked is not None:
            return linked
        entry, toolbox = present.entry, self.toolbox
        self.writer.where.side = Side.DESTINATION
        with self.writer.stage(
            present.target, present.reader, entry, token=b"", resume=False
        ) as file:
            token = file.token()
            # A segment counts as written once it lasts. Both are powers of two.
            length = max(segment_bytes(entry.size, toolbox.plan.segment_bytes), file.piece_bytes())
        return Segments(
            source=entry,
            digests=[],
            segment_bytes=length,
            begun_ns=toolbox.time_ns(),
            token=token,
            part_segments=part_segments(Layout(entry.size, length), self.group.source, toolbox),
            mode=mode,
        )

    def _mode_of(self, big: Segments) -> CopyMode:
        mode = big.mode or self.planned.mode
        if mode in {CopyMode.COMPARE, CopyMode.CHECK}:  # begun by an earlier version
            decided = by_rule(self.toolbox.plan.conflict)
            return decided if isinstance(decided, CopyMode) else CopyMode.NEW
        return mode

    def _link(self, present: Recogniser, mode: CopyMode) -> Finished | Unfinished | None:
        """Publish the file as a further name of one that was copied; None if there is none."""
        link = present.link()
        if link is Found.UNFINISHED:
            return Unfinished(self.big)
        if not isinstance(link, Link):
            return None
        self._drop_staged()
        return self._finisher(present, mode).publish_link(link)

    def _go_on(self, big: Segments, present: Recogniser) -> Finished | Unfinished:
        writer, reader, target = self.writer, present.reader, present.target
        finisher = self._finisher(present, self._mode_of(big))
        if _is_complete(big) and look(target, writer.temporary_name) is None:
            found = present.published(big, finisher.mode)
            if found is Found.UNFINISHED:
                return Unfinished(big)
            if isinstance(found, Finished):
                self.toolbox.make_durable({self.group.source})
                return found
        writer.where.side = Side.DESTINATION
        with writer.stage(target, reader, big.source, token=big.token, resume=True) as file:
            if not big.part_segments:
                big = self.big = self._transfer(big, reader, file)
                if not _is_complete(big):
                    return Unfinished(big)
            if _is_complete(big):
                writer.where.side = Side.SOURCE
                check_unchanged(reader, big.source, writer.path, self._capabilities)
            hasher = finisher.verify(big, reader, file)
            self.followed = finisher.followed
            if hasher is None:
                return Unfinished(big)
            written = finisher.describe(reader, file, hasher)
        # Not published when it is to be linked in the next slice.
        return finisher.publish(file, written) or Unfinished(None)

    def _finisher(self, present: Recogniser, mode: CopyMode) -> Finisher:
        return Finisher(self.writer, mode, present.entry, present.target, present.linkable)

    def _transfer(self, big: Segments, reader: SourceFile, file: StagedFile) -> Segments:
        """Write the segments that are missing, all by this mover, until the slice ends."""
        writer = self.writer
        missing = range(len(big.digests), Layout(big.source.size, big.segment_bytes).count)
        if carries(self.group.source, self.toolbox):
            writer.carried = take_pass(writer.temporary_name, big, self.toolbox)
        digests = writer.write(reader, file, big, missing)
        if writer.carried is not None and len(digests) < len(missing):
            passes.keep(writer.temporary_name, writer.carried, self.toolbox)
        return msgspec.structs.replace(big, digests=big.digests + digests)

    def _is_shared(self) -> bool:
        """Whether other movers may be writing the file just now."""
        big = self.big
        return big is not None and bool(big.part_segments) and not _is_complete(big)

    def _drop_staged(self) -> None:
        try:
            destination = self.toolbox.destination_of(self.group.source)
            with destination.open_folder(self.group.target) as target:
                drop(target, self.writer.temporary_name, self.big)
        except StorageUnavailable:
            raise
        except StorageError as error:
            if error.kind not in _GONE:
                self.toolbox.warn(f"a staged file was left behind: {error}")


def drop(target: Folder, temporary: bytes, big: Segments | None) -> None:
    """Remove what is staged of a big file. Kind `not_found` if there is nothing."""
    if big is None or not big.token:
        target.remove(temporary)
        return
    staged = target.stage(temporary, size=big.source.size, resume=True, token=big.token)
    staged.abort()


def _is_complete(big: Segments) -> bool:
    layout = Layout(big.source.size, big.segment_bytes)
    return written_without_gap(big) == layout.count
