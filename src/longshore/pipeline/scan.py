"""Listing folders, asking the callbacks, planning and packing: one slice of a scan.

folders to list ──> entries in chunks ──> folders: listed next, or left for another slice
                 │                    └─> files ──> callbacks ──> plan ──> batches, records
                 └> beside the destination's, where no file is looked at singly ──> unchanged

A slice ends between two chunks, and what is left names the last entry that was taken note of. How
a folder is opened is told in `opening`, who is asked about files in `filtering`, and what was found
is kept in `findings`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

import msgspec

from longshore.callbacks import CallbackGaveUp, ChainDecisions, SandboxUnavailable
from longshore.domain import paths
from longshore.domain.entry import Entry, EntryKind
from longshore.domain.errors import (
    ErrorKind,
    FileFailure,
    Side,
    Stage,
    StorageError,
    StorageUnavailable,
)
from longshore.domain.outcome import Outcome
from longshore.domain.task import ProcessingOrder
from longshore.pipeline import falling_back
from longshore.pipeline.comparing import MOVABLE, beside, may_pass_over
from longshore.pipeline.copying import ATTEMPTS_MAXIMUM, lost_storage, pause_seconds
from longshore.pipeline.filtering import decide, dispatch, is_accepted
from longshore.pipeline.findings import Findings
from longshore.pipeline.listing import Listing
from longshore.pipeline.messages.replies import Lost, ScanReply
from longshore.pipeline.messages.work import CopyMode, FoundFolder, ScanFolder, ScanWork
from longshore.pipeline.opening import open_listing
from longshore.pipeline.packing import pack_scan
from longshore.pipeline.planning import Verdict, target_name, verdict, verdict_in_place
from longshore.pipeline.toolbox import Toolbox, failure_of, may_try_again
from longshore.storage.bulk import FolderComparer

CHUNK_ENTRIES = 1000  # entries between two looks at the clock, and files per question to callbacks
FOUND_FILES_MAXIMUM = 4000  # files one reply brings, so that copying soon begins
FOUND_SLICE_PART = 0.025  # of a slice, that files to copy wait in a slow listing while movers idle
FOUND_FOLDERS_MAXIMUM = 2000  # folders one reply brings: bounds its size and the mover's memory
UNCHANGED_BYTES_MAXIMUM = 512 << 10  # of entries of unchanged files in one reply; about 7,000

Present = dict[bytes, Entry]
"""What stands at the destination, by the names of the files that would come there."""

_decoder = msgspec.msgpack.Decoder(ScanWork)


def run(payload: bytes, toolbox: Toolbox) -> ScanReply:
    """List folders until the slice or a limit ends; what is left comes back as new work."""
    return _Scan(toolbox, Findings(toolbox)).run(_decoder.decode(payload).folders)


@dataclass(slots=True)
class _Scan:
    toolbox: Toolbox
    findings: Findings
    retry_after_seconds: float = 0.0
    pending: list[ScanFolder] = field(init=False)  # a stack: the next one is the last
    rest: ScanFolder | None = field(default=None)  # what is not yet listed of the present folder
    inside: bool = False  # the slice ended inside a folder that this mover keeps open
    begun: float = field(init=False)

    def __post_init__(self) -> None:
        self.begun = self.toolbox.monotonic()

    def run(self, folders: list[ScanFolder]) -> ScanReply:
        self.pending = folders[::-1]
        lost: Lost | None = None
        gave_up = ""
        begun = False  # each slice gets on by one chunk at least, however late it begins
        while self.pending and not (lost or gave_up or self.retry_after_seconds):
            if begun and self._is_full():
                break
            begun = True
            self.rest = self.pending.pop()
            below = len(self.pending)
            try:
                self._list(self.rest)
            except StorageUnavailable as error:
                lost = lost_storage(error, self.rest.source, self.toolbox)
            except (CallbackGaveUp, SandboxUnavailable) as error:
                gave_up = str(error)
            self.pending[below:] = reversed(self.pending[below:])  # the first name comes next
            if self.rest is not None:
                self.pending.append(self.rest)
        return self.findings.reply(
            pack_scan(self.pending[::-1]),
            lost=lost,
            gave_up=gave_up,
            retry_after_seconds=self.retry_after_seconds,
            inside=self.inside,
        )

    def _is_full(self) -> bool:
        return (
            self.toolbox.time_is_up()
            or self.findings.files >= FOUND_FILES_MAXIMUM
            or self._keeps_movers_waiting()
            or len(self.findings.folders) >= FOUND_FOLDERS_MAXIMUM
            or self.findings.unchanged_bytes >= UNCHANGED_BYTES_MAXIMUM
        )

    def _keeps_movers_waiting(self) -> bool:
        """Whether it has had files to copy for long; with an order, all have to be found first."""
        if self.toolbox.plan.order is not ProcessingOrder.NONE or not self.findings.packer.files:
            return False
        waiting = self.toolbox.monotonic() - self.begun
        return waiting >= self.toolbox.plan.slice_seconds * FOUND_SLICE_PART

    # ------------------------------------------------------------------ one folder

    def _list(self, folder: ScanFolder) -> None:
        """List one folder; `rest` is what is left of it when the slice ends inside it."""
        kept, execution_id = self.toolbox.listings, self.toolbox.plan.execution_id
        listing: Listing | None = None
        try:
            listing = kept.take(execution_id, folder) or open_listing(folder, self.toolbox)
            if listing.comparer is None:
                self._list_chunks(folder, listing)
            else:
                self._compare_chunks(folder, listing.comparer)
            if self.rest is not None:
                kept.keep(execution_id, self.rest, listing)
                listing, self.inside = None, True
        except StorageUnavailable:
            raise
        except StorageError as error:
            standing = None if listing is None else listing.standing
            ours = standing is None or standing.failure is not error
            side = Side.SOURCE if ours else Side.DESTINATION
            self._try_again_or_fail(self.rest or folder, error, side)
        finally:
            if listing is not None:
                listing.close()

    def _try_again_or_fail(self, folder: ScanFolder, error: StorageError, side: Side) -> None:
        """List the rest of the folder again later, if the error may pass; the slice ends then."""
        if may_try_again(error) and folder.attempts + 1 < ATTEMPTS_MAXIMUM:
            self.retry_after_seconds = pause_seconds(folder.attempts, self.toolbox)
            self.rest = msgspec.structs.replace(folder, attempts=folder.attempts + 1)
            return
        failure = failure_of(error, Stage.SCAN if side is Side.SOURCE else Stage.PLAN, side)
        self.rest = falling_back.next_scan(folder, failure, self.toolbox)
        if self.rest is None:
            self.findings.fail_folder(folder, failure)

    def _list_chunks(self, folder: ScanFolder, listing: Listing) -> None:
        after = folder.after
        while given := list(islice(listing.entries, CHUNK_ENTRIES)):
            # First all that may raise, then all that takes note: a chunk counts as a whole.
            chunk, present = self._beside(folder, given, listing)
            files = [entry for entry in chunk if entry.kind in MOVABLE]
            decisions = decide(folder, files, self.findings)
            verdicts = self._verdicts(folder, files, present)
            self._expect_whole(folder, verdicts)
            self._take_note(folder, chunk, decisions, iter(verdicts))
            self.findings.note_listed(folder, after, chunk)
            after = given[-1].name
            folder = msgspec.structs.replace(folder, after=after, piece=folder.piece + 1)
            self.rest = folder
            if len(given) == CHUNK_ENTRIES and self._is_full():
                return
        self.findings.note_listed(folder, after, [])
        self.rest = None

    def _expect_whole(self, folder: ScanFolder, verdicts: list[Verdict]) -> None:
        """Tell the packer that these are all files, where a copy of all is worth knowing of."""
        if self.toolbox.dispatch is not None or not may_pass_over(self.toolbox.plan, folder):
            return
        if all(decided is CopyMode.NEW for decided in verdicts):
            self.findings.packer.expect_whole(
                folder.source, folder.path, folder.target, len(verdicts), folder.piece
            )

    def _compare_chunks(self, folder: ScanFolder, comparer: FolderComparer) -> None:
        """As `_list_chunks`, where files that lie unchanged at the destination stay together."""
        plan, resolution = self.toolbox.plan, self.toolbox.resolution_of(folder.source)
        more = True
        while more:
            compared = comparer.take(CHUNK_ENTRIES)
            verdicts = [
                verdict(entry, stands, plan, resolution)
                for entry, stands in compared.others
                if entry.kind in MOVABLE
            ]
            self._take_note(folder, [entry for entry, _ in compared.others], None, iter(verdicts))
            self.findings.note_unchanged(folder, compared)
            folder = msgspec.structs.replace(
                folder, after=compared.last or folder.after, piece=folder.piece + 1
            )
            more = compared.more
            self.rest = folder if more else None
            if more and self._is_full():
                return

    def _beside(
        self, folder: ScanFolder, given: list[Entry], listing: Listing
    ) -> tuple[list[Entry], Present | None]:
        """The entries, with all details where something stands in the way; and what that is.

        None in its place: nothing is looked for.
        """
        plan, standing = self.toolbox.plan, listing.standing
        if standing is None:
            return given, None
        if standing.is_at_end():
            return given, {}
        pairs = beside(
            given, listing.opened, standing, lambda entry: target_name(plan, folder, entry)
        )
        present = {entry.name: stands for entry, stands in pairs if stands is not None}
        return [entry for entry, _ in pairs], present

    def _take_note(
        self,
        folder: ScanFolder,
        chunk: list[Entry],
        decisions: ChainDecisions | None,
        verdicts: Iterator[Verdict],
    ) -> None:
        index, findings = 0, self.findings
        for entry in chunk:
            if entry.kind is EntryKind.FOLDER:
                self._enter(folder, entry)
            elif entry.kind is EntryKind.SPECIAL:
                findings.record(folder, entry, Outcome.FAILED, failure=_special(folder, entry))
            else:
                decided = next(verdicts)
                if decisions is None or is_accepted(folder, entry, index, decisions, findings):
                    dispatch(folder, entry, decided, findings)
                index += 1

    def _enter(self, folder: ScanFolder, entry: Entry) -> None:
        path = paths.join(folder.path, entry.name)
        target = paths.join(folder.target, target_name(self.toolbox.plan, folder, entry))
        self.findings.folders.append(FoundFolder(folder.source, path, target, entry))
        self.pending.append(ScanFolder(folder.source, path, target))

    def _verdicts(
        self, folder: ScanFolder, files: list[Entry], present: Present | None
    ) -> list[Verdict]:
        plan = self.toolbox.plan
        if present is None:
            return [verdict_in_place(plan, entry) for entry in files]
        if not present:
            return [CopyMode.NEW] * len(files)
        resolution = self.toolbox.resolution_of(folder.source)
        return [verdict(entry, present.get(entry.name), plan, resolution) for entry in files]


def _special(folder: ScanFolder, entry: Entry) -> FileFailure:
    path = paths.to_text(paths.join(folder.path, entry.name))
    if entry.mode == 0:
        text, kind = f"look at {path}: its metadata cannot be read", ErrorKind.PERMISSION
    else:
        text, kind = f"{path} is a device, socket or pipe: left alone", ErrorKind.SPECIAL_FILE
    return FileFailure(kind, Stage.SCAN, Side.SOURCE, text)
