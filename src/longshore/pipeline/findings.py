"""What one slice of a scan has found so far, and the reply that tells it.

    file ──> to be copied or looked at ──> batches
         └─> settled already ────────────> records, each with a place of its own
    files unchanged in their folder ─────> one piece of bytes, with as many places

Places count up over records and pieces, without a gap: with its work item a place is the number
that a file has in the report of its execution.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from longshore.domain import paths
from longshore.domain.entry import Entry, EntryKind
from longshore.domain.errors import ErrorKind, FileFailure
from longshore.domain.outcome import Outcome
from longshore.domain.record import Record, UnchangedFolder
from longshore.domain.task import WorkflowAction
from longshore.pipeline import falling_back, links
from longshore.pipeline.messages.replies import Listed, Lost, ScanReply
from longshore.pipeline.messages.work import CopyMode, FoundFolder, PackedWork, ScanFolder
from longshore.pipeline.packing import Packer, pack_folders
from longshore.pipeline.planning import Verdict, target_name
from longshore.pipeline.toolbox import Toolbox
from longshore.storage.bulk import Compared


@dataclass(slots=True)
class Findings:
    """Grows while folders are listed; `reply` is called once, in the end."""

    toolbox: Toolbox
    records: list[Record] = field(default_factory=list)
    folders: list[FoundFolder] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    linked: set[int] = field(default_factory=set)  # sources with files of several names
    listed: list[Listed] = field(default_factory=list)
    unchanged: list[UnchangedFolder] = field(default_factory=list)
    unchanged_bytes: int = 0  # of their entries
    places: int = 0  # records and unchanged files so far
    packer: Packer = field(init=False)
    chosen: list[int] = field(default_factory=list)  # places of the records of chosen files

    def __post_init__(self) -> None:
        self.packer = Packer(self.toolbox.plan)

    @property
    def files(self) -> int:
        """Files found one by one."""
        return self.packer.files + len(self.records)

    # ------------------------------------------------------------------ files

    def take(self, folder: ScanFolder, entry: Entry, decided: Verdict) -> None:
        """Put the file into a batch, or on record where nothing is left to be done."""
        plan = self.toolbox.plan
        name = target_name(plan, folder, entry)
        if isinstance(decided, CopyMode):
            self.packer.add(
                folder.source, folder.path, folder.target, entry, name, decided, folder.chosen
            )
            if decided is CopyMode.CHECK or not plan.destinations:
                return
            if entry.links > 1 and links.are_kept(entry, folder.source, self.toolbox):
                self.linked.add(folder.source)
        else:
            target = paths.join(folder.target, name) if plan.destinations else b""
            self.record(folder, entry, decided, target_path=target)

    def record(
        self,
        folder: ScanFolder,
        entry: Entry,
        outcome: Outcome,
        *,
        target_path: bytes = b"",
        failure: FileFailure | None = None,
        callback_id: int = 0,
    ) -> None:
        """Put the file on record: the scan has settled it."""
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

    # ------------------------------------------------------------------ folders

    def fail_folder(self, folder: ScanFolder, failure: FileFailure) -> None:
        """A folder that cannot be listed, or a source that is not there."""
        if folder.only and failure.kind is ErrorKind.NOT_FOUND and self._is_optional(folder):
            return
        parent, name = (folder.path, folder.only) if folder.only else paths.split(folder.path)
        kind = EntryKind.FILE if folder.only else EntryKind.FOLDER
        entry = Entry(name, kind, 0, 0, 0, 0, 0, 0, 0)
        above = msgspec.structs.replace(folder, path=parent)
        self.record(above, entry, Outcome.FAILED, failure=failure)

    def _is_optional(self, folder: ScanFolder) -> bool:
        return self.toolbox.plan.sources[folder.source].optional and folder.chosen is None

    def note_unchanged(self, folder: ScanFolder, compared: Compared) -> None:
        """The files that lie unchanged at the destination stay together."""
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

    def note_listed(self, folder: ScanFolder, after: bytes, chunk: list[Entry]) -> None:
        """Tell the catalogue what there is, so that it notices what is gone. Empty: the end."""
        if self.toolbox.plan.action is WorkflowAction.SCAN and not folder.only:
            names = [entry.name for entry in chunk]
            last = names[-1] if names else b""
            self.listed.append(Listed(folder.source, folder.path, after, last, names))

    # ------------------------------------------------------------------ the reply

    def reply(
        self,
        remaining: list[PackedWork],
        *,
        lost: Lost | None,
        gave_up: str,
        retry_after_seconds: float,
        inside: bool,
    ) -> ScanReply:
        """All of it, beside what is left to be scanned and why the slice has ended."""
        self.packer.flush()
        counted = [record for record in self.records if record.outcome is not Outcome.REFUSED]
        return ScanReply(
            remaining=remaining,
            batches=self.packer.packed,
            folders=pack_folders(self.folders),
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
            retry_after_seconds=retry_after_seconds,
            unchanged=self.unchanged,
            inside=inside,
            chosen=self.chosen,
            unsound=self.toolbox.unsound,
        )
