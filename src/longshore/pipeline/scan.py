"""Listing folders, asking the callbacks, planning and packing: one slice of discovery.

folders to list ──> entries in chunks ──> folders: listed next, or left for another slice
                 │                    └─> files ──> callbacks ──> plan ──> batches, records
                 └> beside the destination's, where no file is looked at singly ──> unchanged
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

import msgspec

from longshore import faults
from longshore.callbacks import (
    Answer,
    CallbackGaveUp,
    ChainDecisions,
    SandboxUnavailable,
)
from longshore.domain import paths
from longshore.domain.entry import Entry, EntryKind
from longshore.domain.errors import (
    ErrorKind,
    FileFailure,
    RetryClass,
    Side,
    Stage,
    StorageError,
    StorageUnavailable,
)
from longshore.domain.outcome import Outcome
from longshore.domain.record import Record, UnchangedFolder
from longshore.domain.task import WorkflowAction
from longshore.hooks import FileRequest, HookFailed
from longshore.pipeline import falling_back, links
from longshore.pipeline.comparing import MOVABLE, beside, listed, may_pass_over, open_comparer
from longshore.pipeline.copying import ATTEMPTS_MAXIMUM, lost_storage, pause_seconds
from longshore.pipeline.listing import Listing
from longshore.pipeline.messages import (
    CopyMode,
    FoundFolder,
    Listed,
    Lost,
    ScanFolder,
    ScanReply,
    ScanWork,
)
from longshore.pipeline.packing import Packer, pack_folders, pack_scan
from longshore.pipeline.planning import Standing, Verdict, verdict, verdict_in_place
from longshore.pipeline.toolbox import Toolbox, failure_of, may_try_again
from longshore.storage.bulk import Compared, FolderComparer
from longshore.storage.handler import Folder

CHUNK_ENTRIES = 1000  # entries between two looks at the clock, and files per question to callbacks
FOUND_FILES_MAXIMUM = 4000  # files one reply brings, so that copying soon begins
FOUND_FOLDERS_MAXIMUM = 2000  # folders one reply brings: bounds its size and the mover's memory
UNCHANGED_BYTES_MAXIMUM = 512 << 10  # of entries of unchanged files in one reply; about 7,000

Present = dict[bytes, Entry]
"""What stands at the destination, by the names of the files that would come there."""

_decoder = msgspec.msgpack.Decoder(ScanWork)


def run(payload: bytes, toolbox: Toolbox) -> ScanReply:
    """List folders until the slice or a limit ends; what is left comes back as new work."""
    return _Scan(toolbox).run(_decoder.decode(payload).folders)


@dataclass(slots=True)
class _Scan:
    toolbox: Toolbox
    records: list[Record] = field(default_factory=list)
    found: list[FoundFolder] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    linked: set[int] = field(default_factory=set)  # sources with files of several names
    listed: list[Listed] = field(default_factory=list)
    retry_after_seconds: float = 0.0
    unchanged: list[UnchangedFolder] = field(default_factory=list)
    unchanged_bytes: int = 0  # of their entries
    places: int = 0  # records and unchanged files so far
    packer: Packer = field(init=False)
    pending: list[ScanFolder] = field(init=False)  # a stack: the next one is the last
    rest: ScanFolder | None = field(default=None)  # what is not yet listed of the present folder
    inside: bool = False  # the slice ended inside a folder that this mover keeps open
    chosen: list[int] = field(default_factory=list)  # places of the records of chosen files

    def __post_init__(self) -> None:
        self.packer = Packer(self.toolbox.plan)

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
        return self._reply(lost, gave_up)

    def _is_full(self) -> bool:
        return (
            self.toolbox.time_is_up()
            or self.packer.files + len(self.records) >= FOUND_FILES_MAXIMUM
            or len(self.found) >= FOUND_FOLDERS_MAXIMUM
            or self.unchanged_bytes >= UNCHANGED_BYTES_MAXIMUM
        )

    def _reply(self, lost: Lost | None, gave_up: str) -> ScanReply:
        self.packer.flush()
        counted = [record for record in self.records if record.outcome is not Outcome.REFUSED]
        return ScanReply(
            remaining=pack_scan(self.pending[::-1]),
            batches=self.packer.packed,
            folders=pack_folders(self.found),
            records=self.records,
            found_files=self.packer.files
            + len(counted)
            + sum(each.files for each in self.unchanged),
            found_bytes=self.packer.bytes
            + sum(record.entry.size for record in counted)
            + sum(each.size for each in self.unchanged),
            log=self.log,
            lost=lost,
            gave_up=gave_up,
            links=[links.pack(source) for source in sorted(self.linked)],
            listed=self.listed,
            retry_after_seconds=self.retry_after_seconds,
            unchanged=self.unchanged,
            inside=self.inside,
            chosen=self.chosen,
            unsound=self.toolbox.unsound,
        )

    # ------------------------------------------------------------------ one folder

    def _list(self, folder: ScanFolder) -> None:
        """List one folder; `rest` is what is left of it when the slice ends inside it."""
        kept, execution_id = self.toolbox.listings, self.toolbox.plan.execution_id
        listing: Listing | None = None
        try:
            listing = kept.take(execution_id, folder) or self._open(folder)
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
            self._fail_folder(folder, failure)

    def _open(self, folder: ScanFolder) -> Listing:
        opened = self.toolbox.sources[folder.source].open_folder(folder.path)
        try:
            plan = self.toolbox.plan
            standing, comparer = None, None
            if plan.destinations and not plan.original_place:
                standing = self._standing(folder)
                if standing.is_missing and not folder.only:
                    self._make(folder)
                comparer = open_comparer(folder, opened, standing, self.toolbox)
            entries = self._entries(folder, opened) if comparer is None else iter(())
        except BaseException:
            opened.close()
            raise
        return Listing(opened, entries, standing, comparer)

    def _list_chunks(self, folder: ScanFolder, listing: Listing) -> None:
        after = folder.after
        while given := list(islice(listing.entries, CHUNK_ENTRIES)):
            # First all that may raise, then all that takes note: a chunk counts as a whole.
            chunk, present = self._beside(folder, given, listing)
            files = [entry for entry in chunk if entry.kind in MOVABLE]
            decisions = self._decide(folder, files)
            verdicts = self._verdicts(folder, files, present)
            self._expect_whole(folder, verdicts)
            self._take_note(folder, chunk, decisions, iter(verdicts))
            self._note_listed(folder, after, chunk)
            after = given[-1].name
            folder = msgspec.structs.replace(folder, after=after, piece=folder.piece + 1)
            self.rest = folder
            if len(given) == CHUNK_ENTRIES and self._is_full():
                return
        self._note_listed(folder, after, [])
        self.rest = None

    def _expect_whole(self, folder: ScanFolder, verdicts: list[Verdict]) -> None:
        """Tell the packer that these are all files, where a copy of all is worth knowing of."""
        if self.toolbox.dispatch is not None or not may_pass_over(self.toolbox.plan, folder):
            return
        if all(decided is CopyMode.NEW for decided in verdicts):
            self.packer.expect_whole(
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
            self._note_unchanged(folder, compared)
            folder = msgspec.structs.replace(
                folder, after=compared.last or folder.after, piece=folder.piece + 1
            )
            more = compared.more
            self.rest = folder if more else None
            if more and self._is_full():
                return

    def _note_unchanged(self, folder: ScanFolder, compared: Compared) -> None:
        if not compared.files:
            return
        self.unchanged.append(
            UnchangedFolder(
                source=folder.source,
                folder=folder.path,
                target=folder.target,
                piece=folder.piece,
                first_place=self.places,
                finished_ns=self.toolbox.time_ns(),
                files=compared.files,
                size=compared.size,
                first_name=compared.names[0],
                last_name=compared.names[1],
                entries=compared.entries,
                digest=compared.digest,
            )
        )
        self.unchanged_bytes += len(compared.entries)
        self.places += compared.files

    def _note_listed(self, folder: ScanFolder, after: bytes, chunk: list[Entry]) -> None:
        """Tell the catalogue what there is, so that it notices what is gone. Empty: the end."""
        if self.toolbox.plan.action is WorkflowAction.SCAN and not folder.only:
            names = [entry.name for entry in chunk]
            last = names[-1] if names else b""
            self.listed.append(Listed(folder.source, folder.path, after, last, names))

    def _make(self, folder: ScanFolder) -> None:
        """Make the folder at the destination. Made later, it would change its parent's time."""
        try:
            destination = self.toolbox.destination_of(folder.source)
            destination.open_folder(folder.target, create=True).close()
        except StorageUnavailable:
            raise
        except StorageError:
            return  # told when its files are written, or its metadata is set

    def _entries(self, folder: ScanFolder, opened: Folder) -> Iterator[Entry]:
        if folder.chosen is not None:
            return iter([_copy_of(folder, opened)])
        if folder.only:
            return iter([opened.stat(folder.only)])
        return listed(folder, opened, self.toolbox)

    def _beside(
        self, folder: ScanFolder, given: list[Entry], listing: Listing
    ) -> tuple[list[Entry], Present | None]:
        """The entries, with all details where something stands in the way; and what that is.

        None in its place: nothing is looked for.
        """
        standing = listing.standing
        if standing is None:
            return given, None
        if standing.is_at_end():
            return given, {}
        pairs = beside(
            given, listing.opened, standing, lambda entry: self._target_name(folder, entry)
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
        index = 0
        for entry in chunk:
            if entry.kind is EntryKind.FOLDER:
                self._enter(folder, entry)
            elif entry.kind is EntryKind.SPECIAL:
                self._record(folder, entry, Outcome.FAILED, failure=_special(folder, entry))
            else:
                decided = next(verdicts)
                if decisions is None or self._is_accepted(folder, entry, index, decisions):
                    self._dispatch(folder, entry, decided)
                index += 1

    def _enter(self, folder: ScanFolder, entry: Entry) -> None:
        path = paths.join(folder.path, entry.name)
        target = paths.join(folder.target, self._target_name(folder, entry))
        self.found.append(FoundFolder(folder.source, path, target, entry))
        self.pending.append(ScanFolder(folder.source, path, target))

    # ------------------------------------------------------------------ filter

    def _decide(self, folder: ScanFolder, files: list[Entry]) -> ChainDecisions | None:
        chain = self.toolbox.chain() if files else None
        if chain is None:
            return None
        faults.at("mover.question", folder.path)
        decisions = chain.decide_folder(folder.path, files)
        faults.at("mover.answer", folder.path)
        self.log.extend(decisions.log_lines)
        return decisions

    def _is_accepted(
        self, folder: ScanFolder, entry: Entry, index: int, decisions: ChainDecisions
    ) -> bool:
        answer = decisions.answers[index]
        if answer == Answer.ACCEPTED:
            return True
        callback_id = decisions.decided_by.get(index, 0)
        if answer == Answer.REFUSED:
            self._record(folder, entry, Outcome.REFUSED, callback_id=callback_id)
            return False
        why = decisions.failures[index]
        place = f" (line {why.line})" if why.line else ""
        failure = FileFailure(
            ErrorKind.CALLBACK,
            Stage.FILTER,
            Side.SOURCE,
            f"callback: {_printable(why.text)}{place}",
        )
        self._record(folder, entry, Outcome.FAILED, failure=failure, callback_id=callback_id)
        return False

    # ------------------------------------------------------------------ plug-ins

    def _dispatch(self, folder: ScanFolder, entry: Entry, decided: Verdict) -> None:
        """Plan the file as the administrator's plug-ins want it."""
        ask = self.toolbox.dispatch
        if ask is None:
            self._plan(folder, entry, decided)
            return
        request = self._request(folder, entry)
        try:
            wanted = ask(request)
        except HookFailed as error:
            text = _printable(str(error))
            failure = FileFailure(ErrorKind.CALLBACK, Stage.FILTER, Side.SOURCE, text)
            self._record(folder, entry, Outcome.FAILED, failure=failure)
            return
        if wanted is None:
            self._record(folder, entry, Outcome.REFUSED)
        elif wanted is request:
            self._plan(folder, entry, decided)
        else:
            # Nobody has looked at that place yet, so the conflict rule is applied by the copying.
            self.packer.add(
                folder.source, folder.path, wanted.target_folder, entry, wanted.target_name,
                CopyMode.CHECK, folder.chosen,
            )  # fmt: skip

    def _request(self, folder: ScanFolder, entry: Entry) -> FileRequest:
        goes = bool(self.toolbox.plan.destinations)
        return FileRequest(
            task_id=self.toolbox.plan.task_id,
            execution_id=self.toolbox.plan.execution_id,
            path=paths.join(folder.path, entry.name),
            size=entry.size,
            mode=entry.mode,
            uid=entry.uid,
            gid=entry.gid,
            mtime_ns=entry.mtime_ns,
            target_folder=folder.target if goes else b"",
            target_name=self._target_name(folder, entry) if goes else b"",
        )

    # ------------------------------------------------------------------ plan

    def _standing(self, folder: ScanFolder) -> Standing:
        """The destination's listing, from the first name on that will be asked for."""
        destination = self.toolbox.destination_of(folder.source)
        if folder.only:
            name = self._name_of_only(folder)
            return Standing.of_one(destination, folder.target, name)
        return Standing(destination, folder.target, after=folder.after)

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

    def _plan(self, folder: ScanFolder, entry: Entry, decided: Verdict) -> None:
        name = self._target_name(folder, entry)
        if isinstance(decided, CopyMode):
            self.packer.add(
                folder.source, folder.path, folder.target, entry, name, decided, folder.chosen
            )
            if decided is CopyMode.CHECK or not self.toolbox.plan.destinations:
                return
            if entry.links > 1 and links.are_kept(entry, folder.source, self.toolbox):
                self.linked.add(folder.source)
        else:
            target = paths.join(folder.target, name) if self.toolbox.plan.destinations else b""
            self._record(folder, entry, decided, target_path=target)

    def _target_name(self, folder: ScanFolder, entry: Entry) -> bytes:
        return self._name_of_only(folder) if folder.only else entry.name

    def _name_of_only(self, folder: ScanFolder) -> bytes:
        if folder.chosen is not None:
            return folder.chosen.target_name
        return self.toolbox.plan.sources[folder.source].target_name or folder.only

    # ------------------------------------------------------------------ records

    def _record(
        self,
        folder: ScanFolder,
        entry: Entry,
        outcome: Outcome,
        *,
        target_path: bytes = b"",
        failure: FileFailure | None = None,
        callback_id: int = 0,
    ) -> None:
        further = None if folder.chosen is None else folder.chosen.further
        if further is not None:
            self.chosen.append(self.places)
            place = falling_back.place_in(folder, entry.name, self.toolbox)
            failure = falling_back.told(further, failure, place)
        self.records.append(
            self.toolbox.record(
                self._next_place(),
                folder.source,
                folder.path,
                entry,
                outcome,
                target_path=target_path,
                failure=failure,
                callback_id=callback_id,
                attempts=falling_back.attempts_before(further) + 1,
            )
        )

    def _next_place(self) -> int:
        self.places += 1
        return self.places - 1

    def _fail_folder(self, folder: ScanFolder, failure: FileFailure) -> None:
        """A folder that cannot be listed, or a source that is not there."""
        if folder.only and failure.kind is ErrorKind.NOT_FOUND and self._is_optional(folder):
            return
        parent, name = (folder.path, folder.only) if folder.only else paths.split(folder.path)
        kind = EntryKind.FILE if folder.only else EntryKind.FOLDER
        entry = Entry(name, kind, 0, 0, 0, 0, 0, 0, 0)
        above = msgspec.structs.replace(folder, path=parent)
        self._record(above, entry, Outcome.FAILED, failure=failure)

    def _is_optional(self, folder: ScanFolder) -> bool:
        return self.toolbox.plan.sources[folder.source].optional and folder.chosen is None


def _copy_of(folder: ScanFolder, opened: Folder) -> Entry:
    """The chosen copy as it is, if it still is a file or link."""
    entry = opened.stat(folder.only)
    if entry.kind not in MOVABLE:
        raise StorageError(
            ErrorKind.IS_A_FOLDER if entry.kind is EntryKind.FOLDER else ErrorKind.SPECIAL_FILE,
            RetryClass.NEVER,
            "look at",
            paths.join(folder.path, folder.only),
            f"it is a {entry.kind.name.lower()} now",
        )
    return entry


def _special(folder: ScanFolder, entry: Entry) -> FileFailure:
    path = paths.to_text(paths.join(folder.path, entry.name))
    if entry.mode == 0:
        text, kind = f"look at {path}: its metadata cannot be read", ErrorKind.PERMISSION
    else:
        text, kind = f"{path} is a device, socket or pipe: left alone", ErrorKind.SPECIAL_FILE
    return FileFailure(kind, Stage.SCAN, Side.SOURCE, text)


def _printable(text: str) -> str:
    """The script's words without NUL, which no database column takes."""
    return text.replace("\0", "\\0")
