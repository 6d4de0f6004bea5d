"""Moving one big file, segment by segment, so that a slice, a pause or a crash can come between.

    transfer: each missing segment is read, hashed and written; its digest goes into the journal
    verify:   the staged file is read back from the start, every segment compared with its digest;
              this pass makes the checksums of the whole file, too
    publish:  as for small files

The hashes of the verification live in this mover's memory between two slices: another mover, or
this one after a crash, begins the verification again, never the transfer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import xxhash

from longshore.domain import paths
from longshore.domain.entry import Entry
from longshore.domain.errors import ErrorKind, Side, Stage, StorageError, StorageUnavailable
from longshore.domain.outcome import Outcome
from longshore.pipeline import content, copying, links
from longshore.pipeline.content import Where, Written, check_unchanged
from longshore.pipeline.hashing import Hasher
from longshore.pipeline.keeping import keep, original, without_link
from longshore.pipeline.messages import (
    CopyGroup,
    CopyMode,
    CopyReply,
    CopyWork,
    Lost,
    PackedWork,
    PlannedFile,
    Record,
    Segments,
    encode,
)
from longshore.pipeline.packing import SEGMENT_BYTES
from longshore.pipeline.planning import by_rule, identical
from longshore.pipeline.publish import publish
from longshore.pipeline.published import OUTCOMES, final_names, look, look_first
from longshore.pipeline.toolbox import Toolbox, failure_of, may_try_again
from longshore.pipeline.transfer import Finished, Staged, check_expected
from longshore.storage.handler import Folder, SourceFile, StagedFile

VERIFICATIONS_KEPT = 16  # unfinished read-backs a mover remembers; the oldest is begun again

Read = Callable[[memoryview, int], int]


@dataclass(slots=True)
class Verification:
    """A read-back under way: everything before `offset` is as it should be."""

    key: tuple[object, ...]  # what is read, and against what
    hasher: Hasher
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Unfinished:
    """The slice has ended; this is how far the file is."""

    big: Segments | None


def run(work: CopyWork, toolbox: Toolbox) -> CopyReply:
    """One slice of the one file of this work item."""
    return _Slice(toolbox, work.groups[0], work.groups[0].files[0]).run(work.big)


@dataclass(slots=True)
class _Slice:
    toolbox: Toolbox
    group: CopyGroup
    planned: PlannedFile
    where: Where = field(default_factory=Where)
    bytes_copied: int = 0
    linkable: bool = True  # as far as is known

    def run(self, big: Segments | None) -> CopyReply:
        try:
            result = self._advance(big)
        except StorageUnavailable as error:
            lost = copying.lost_storage(error, self.group.source, self.toolbox)
            return self._reply([], self._rest(self.planned, big), lost=lost)
        except StorageError as error:
            return self._after_error(error)
        if isinstance(result, Unfinished):
            return self._reply([], self._rest(self.planned, result.big))
        return self._reply([copying.record_of(self.group, self.planned, result, self.toolbox)])

    def _after_error(self, error: StorageError) -> CopyReply:
        failure = failure_of(error, self.where.stage, self.where.side)
        self.toolbox.verifications.pop(self.toolbox.work_id, None)
        attempts = self.planned.attempts + 1
        if may_try_again(error) and attempts < copying.ATTEMPTS_MAXIMUM:
            again = PlannedFile(
                self.planned.place,
                self.planned.entry,
                self.planned.target_name,
                self.planned.mode,
                attempts,
            )
            pause = copying.pause_seconds(self.planned.attempts, self.toolbox)
            return self._reply([], self._rest(again, None), retry_after_seconds=pause)
        self._drop_staged()
        result = Finished(entry=self.planned.entry, outcome=Outcome.FAILED, failure=failure)
        return self._reply([copying.record_of(self.group, self.planned, result, self.toolbox)])

    def _reply(
        self,
        records: list[Record],
        rest: PackedWork | None = None,
        *,
        retry_after_seconds: float = 0.0,
        lost: Lost | None = None,
    ) -> CopyReply:
        change = sum(record.entry.size - self.planned.entry.size for record in records)
        return CopyReply(
            records=records,
            remaining=rest,
            bytes_copied=self.bytes_copied,
            size_change=change,
            retry_after_seconds=retry_after_seconds,
            warnings=self.toolbox.warnings,
            lost=lost,
        )

    def _rest(self, planned: PlannedFile, big: Segments | None) -> PackedWork:
        group = CopyGroup(self.group.source, self.group.folder, self.group.target, [planned])
        return PackedWork(1, planned.entry.size, encode(CopyWork([group], big)))

    # ------------------------------------------------------------------ the way of the file

    def _advance(self, big: Segments | None) -> Finished | Unfinished:
        toolbox, group = self.toolbox, self.group
        with toolbox.sources[group.source].open_folder(group.folder) as source:
            self.where.side = Side.DESTINATION
            destination = toolbox.destination_of(group.source)
            with destination.open_folder(group.target, create=True) as target:
                self.where.side = Side.SOURCE
                with source.open(self.planned.entry.name) as reader:
                    return self._advance_opened(big, reader, target)

    def _advance_opened(
        self, big: Segments | None, reader: SourceFile, target: Folder
    ) -> Finished | Unfinished:
        entry = reader.stat()
        if big is not None and not _same_file(big.source, entry):
            big = None  # the source was changed meanwhile: begin again with what it is now
        mode = self.planned.mode
        if mode is CopyMode.CHECK:
            seen = look_first(self.planned, self.group.source, target, self.toolbox)
            if isinstance(seen, Outcome):
                return Finished(entry=entry, outcome=seen)
            mode = seen
        if not (big and big.digests):
            settled = self._settle_standing(reader, entry, target, mode)
            if isinstance(settled, Finished | Unfinished):
                return settled
            mode = settled
        elif mode is CopyMode.COMPARE:
            mode = _rule_mode(self.toolbox)
        linked = self._link(big, reader, entry, mode, target)
        if linked is not None:
            return linked
        return self._copy(big or Segments(entry, []), mode, reader, entry, target)

    def _settle_standing(
        self, reader: SourceFile, entry: Entry, target: Folder, mode: CopyMode
    ) -> Finished | Unfinished | CopyMode:
        """Look for the finished file at the destination; else how it is to be copied."""
        resolution = self.toolbox.resolution_of(self.group.source)
        compare = mode is CopyMode.COMPARE
        for name in final_names(self.planned.target_name, CopyMode.NEW if compare else mode):
            standing = look(target, name)
            if standing is None:
                break
            if not (identical(entry, standing, resolution) or compare):
                continue
            hasher = self._compare(reader, entry, target, name, standing)
            if hasher == "unfinished":
                return Unfinished(None)
            if isinstance(hasher, Hasher):
                return Finished(
                    entry=entry,
                    outcome=OUTCOMES.get(mode, Outcome.IDENTICAL),
                    target_name=name,
                    xxh3_128=hasher.xxh3_128(),
                    checksum=hasher.checksum(),
                )
        if not compare:
            return mode
        decided = by_rule(self.toolbox.plan.conflict)
        return Finished(entry=entry, outcome=decided) if isinstance(decided, Outcome) else decided

    def _compare(
        self, reader: SourceFile, entry: Entry, target: Folder, name: bytes, standing: Entry
    ) -> Hasher | str:
        """The hashes if both files are equal, "different", or "unfinished" for this slice."""
        key = ("compare", name, entry.size, entry.mtime_ns, standing.identity, standing.mtime_ns)
        with target.open(name) as existing:

            def expected(index: int) -> bytes:
                return self._digest(reader.read_into, index, entry.size, lambda _: None)

            return self._check(key, existing.read_into, entry.size, expected)

    def _copy(
        self, big: Segments, mode: CopyMode, reader: SourceFile, entry: Entry, target: Folder
    ) -> Finished | Unfinished:
        toolbox = self.toolbox
        temporary = self._temporary_name()
        self.where.side = Side.DESTINATION
        with target.stage(temporary, size=entry.size, resume=bool(big.digests)) as file:
            done = self._transfer(big, reader, entry, file)
            big = Segments(big.source, done)
            if len(done) < _segments(entry.size):
                return Unfinished(big)
            self.where.side = Side.SOURCE
            check_unchanged(reader, big.source, paths.join(self.group.folder, entry.name))
            self.where = Where(Stage.VERIFY, Side.DESTINATION)
            hasher = self._read_back(big, file, entry.size)
            if hasher is None:
                return Unfinished(big)
            path = paths.join(self.group.folder, entry.name)
            check_expected(self.planned, hasher.xxh3_128(), path, self.where)
            kept = original(entry, reader.attributes(), self.planned.unkept)
            lost = keep(file.set_metadata, *kept, toolbox)
        if entry.links > 1:
            anchored = self._anchor(entry, paths.join(target.path, temporary))
            if anchored is links.Anchored.TAKEN:
                return Unfinished(None)  # to be linked in the next slice
            if anchored is links.Anchored.IMPOSSIBLE:
                lost = without_link(lost, toolbox)
        return self._publish(file, _written(entry, hasher, lost), mode, target)

    def _anchor(self, entry: Entry, staged_path: bytes) -> links.Anchored | None:
        """Let the further names of the file share the staged one; None if it need not be."""
        source = self.group.source
        if not self.linkable:
            return links.Anchored.IMPOSSIBLE
        if links.are_kept(entry, source, self.toolbox):
            # Before anybody may link to it: what an anchor holds survives a loss of power.
            self.toolbox.make_durable({source})
            anchor = links.anchor_of(entry, source, self.toolbox)
            return links.make_anchor(staged_path, anchor, self.toolbox)
        lost = links.are_lost(entry, source, self.toolbox)
        return links.Anchored.IMPOSSIBLE if lost else None

    def _publish(
        self, file: StagedFile, written: Written, mode: CopyMode, target: Folder
    ) -> Finished:
        self.where.stage = Stage.PUBLISH
        staged = Staged(
            group=self.group,
            planned=self.planned,
            mode=mode,
            target=target,
            file=file,
            written=written,
            bytes_copied=0,
        )
        self.toolbox.make_durable({self.group.source})
        result = publish(staged, self.toolbox)
        self.toolbox.make_durable({self.group.source})
        return result

    def _link(
        self,
        big: Segments | None,
        reader: SourceFile,
        entry: Entry,
        mode: CopyMode,
        target: Folder,
    ) -> Finished | Unfinished | None:
        """Publish the file as a further name of one that was copied; None if there is none."""
        toolbox = self.toolbox
        if not links.are_kept(entry, self.group.source, toolbox):
            return None
        anchor = links.anchor_of(entry, self.group.source, toolbox)
        self.where.side = Side.DESTINATION
        with links.open_folder(anchor, toolbox) as folder:
            standing = look(folder, anchor.name)
            if standing is None:
                return None
            # Not the name of the staged file: that may be half copied, and has to stay so.
            temporary = links.link_name(self._temporary_name())
            file = links.link_to(anchor, target, temporary, toolbox)
            self.linkable = file is not None
            if file is None:
                return None
            hasher = self._compare(reader, entry, folder, anchor.name, standing)
            if hasher == "unfinished":
                return Unfinished(big)
            if not isinstance(hasher, Hasher):
                file.abort()
                folder.remove(anchor.name)  # a loss of power came before its content was safe
                return None
            lost = links.keep_again(folder, anchor, entry, reader.attributes(), toolbox)
        self._drop_staged()
        return self._publish(file, _written(entry, hasher, lost), mode, target)

    def _transfer(
        self, big: Segments, reader: SourceFile, entry: Entry, file: StagedFile
    ) -> list[bytes]:
        """Write missing segments until the slice ends; the digests of all that stand now."""
        done = list(big.digests)
        missing = range(len(done), _segments(entry.size))
        holes = content.has_holes(entry, self.group.source, self.toolbox)
        path = paths.join(self.group.folder, entry.name)
        for index in missing:
            if self.bytes_copied and self.toolbox.time_is_up():
                break
            start, end = _bounds(index, entry.size)
            digest = xxhash.xxh3_128()
            content.copy_range(
                reader,
                file,
                start,
                end,
                digest.update,
                self.toolbox.buffer,
                self.where,
                path,
                holes=holes,
            )
            done.append(digest.digest())
            self.bytes_copied += end - start
        if holes and len(done) == _segments(entry.size):
            content.fill_up(file, entry.size)
        return done

    def _read_back(self, big: Segments, file: StagedFile, size: int) -> Hasher | None:
        """The hashes of the whole staged file, None while unfinished; raises on a mismatch."""
        key = ("staged", big.source.mtime_ns, size)
        if self.toolbox.plan.verify_from_medium and not self._has_remembered():
            file.drop_cache()
        found = self._check(key, file.read_into, size, lambda index: big.digests[index])
        if found == "unfinished":
            return None
        if isinstance(found, Hasher) and file.size() == size:
            return found
        raise content.mismatch(paths.join(self.group.target, self.planned.target_name))

    # ------------------------------------------------------------------ checking by segments

    def _check(
        self, key: tuple[object, ...], read: Read, size: int, expected: Callable[[int], bytes]
    ) -> Hasher | str:
        """Compare segment after segment with what is expected, from where the last slice ended."""
        verification = self._remembered(key)
        begun = verification.offset
        while verification.offset < size:
            if verification.offset > begun and self.toolbox.time_is_up():
                self._remember(verification)
                return "unfinished"
            index = verification.offset // SEGMENT_BYTES
            digest = self._digest(read, index, size, verification.hasher.update)
            if digest != expected(index):
                return "different"
            verification.offset = _bounds(index, size)[1]
        return verification.hasher

    def _digest(
        self, read: Read, index: int, size: int, update: Callable[[memoryview], None]
    ) -> bytes:
        start, end = _bounds(index, size)
        digest = xxhash.xxh3_128()
        buffer = self.toolbox.buffer
        while start < end:
            count = read(buffer[: min(len(buffer), end - start)], start)
            if count == 0:
                break
            digest.update(buffer[:count])
            update(buffer[:count])
            start += count
        return digest.digest()

    def _has_remembered(self) -> bool:
        return self.toolbox.work_id in self.toolbox.verifications

    def _remembered(self, key: tuple[object, ...]) -> Verification:
        found = self.toolbox.verifications.pop(self.toolbox.work_id, None)
        if isinstance(found, Verification) and found.key == key:
            return found
        return Verification(key, Hasher(self.toolbox.plan.checksum))

    def _remember(self, verification: Verification) -> None:
        kept = self.toolbox.verifications
        kept[self.toolbox.work_id] = verification
        while len(kept) > VERIFICATIONS_KEPT:
            del kept[next(iter(kept))]

    def _temporary_name(self) -> bytes:
        return self.toolbox.temporary_name(self.group, self.planned)

    def _drop_staged(self) -> None:
        try:
            destination = self.toolbox.destination_of(self.group.source)
            with destination.open_folder(self.group.target) as target:
                target.remove(self._temporary_name())
        except StorageUnavailable:
            raise
        except StorageError as error:
            if error.kind is not ErrorKind.NOT_FOUND:
                self.toolbox.warn(f"a staged file was left behind: {error}")


def _rule_mode(toolbox: Toolbox) -> CopyMode:
    decided = by_rule(toolbox.plan.conflict)
    assert isinstance(decided, CopyMode)  # `ignore` would have finished before any segment
    return decided


def _written(entry: Entry, hasher: Hasher, lost: bytes) -> Written:
    return Written(entry=entry, xxh3_128=hasher.xxh3_128(), checksum=hasher.checksum(), lost=lost)


def _same_file(one: Entry, other: Entry) -> bool:
    return (one.size, one.mtime_ns, one.identity) == (other.size, other.mtime_ns, other.identity)


def _segments(size: int) -> int:
    return -(-size // SEGMENT_BYTES)


def _bounds(index: int, size: int) -> tuple[int, int]:
    return index * SEGMENT_BYTES, min((index + 1) * SEGMENT_BYTES, size)
