"""What comes after a copy that could not be restored: the next copy of the same content.

Why each copy failed stays with the file, in one text, and so does how often it was tried. Only what
is wrong with a copy counts: where the destination refuses, another copy would fare no better.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from longshore.domain import paths
from longshore.domain.entry import Entry, EntryKind
from longshore.domain.errors import UNSOUND, FileFailure, Side, Stage, show
from longshore.pipeline.messages.replies import UnsoundCopy
from longshore.pipeline.messages.work import (
    ChosenFile,
    CopyGroup,
    Further,
    OtherCopy,
    PackedWork,
    PlannedFile,
    ScanFolder,
)
from longshore.pipeline.packing import pack_anew
from longshore.pipeline.toolbox import Toolbox


@dataclass(frozen=True, slots=True)
class Place:
    """Where a copy lies."""

    source: int
    storage: str  # for people
    path: bytes


def place_of(group: CopyGroup, planned: PlannedFile, toolbox: Toolbox) -> Place:
    """Where the file is read from."""
    path = paths.join(group.folder, planned.entry.name)
    return Place(group.source, _storage(group.source, toolbox), path)


def place_in(folder: ScanFolder, name: bytes, toolbox: Toolbox) -> Place:
    """Where the name of the folder lies."""
    path = paths.join(folder.path, name)
    return Place(folder.source, _storage(folder.source, toolbox), path)


def next_copy(
    group: CopyGroup, planned: PlannedFile, failure: FileFailure, toolbox: Toolbox
) -> CopyGroup | None:
    """The file with its next copy as the source; None where there is none, or it would not help."""
    further = planned.further
    if further is None or not further.copies or failure.side is not Side.SOURCE:
        return None
    copy = further.copies[0]
    attempts = planned.attempts + 1
    following = msgspec.structs.replace(
        planned,
        entry=_outline(copy),
        attempts=0,
        unkept=copy.unkept,
        further=_behind(further, place_of(group, planned, toolbox), failure, attempts, toolbox),
    )
    return CopyGroup(copy.source, copy.folder, group.target, [following])


def next_scan(folder: ScanFolder, failure: FileFailure, toolbox: Toolbox) -> ScanFolder | None:
    """The chosen file's next copy, to be looked at; None as of `next_copy`."""
    chosen = folder.chosen
    if chosen is None or not chosen.further.copies or failure.side is not Side.SOURCE:
        return None
    copy = chosen.further.copies[0]
    attempts = folder.attempts + 1
    place = place_in(folder, folder.only, toolbox)
    further = _behind(chosen.further, place, failure, attempts, toolbox)
    return ScanFolder(
        copy.source,
        copy.folder,
        folder.target,
        only=copy.name,
        chosen=ChosenFile(chosen.target_name, chosen.expected, copy.unkept, further),
    )


def pack(groups: list[CopyGroup], segment_bytes: int) -> list[PackedWork]:
    """Files with their next copies as new work; each big one is a work item of its own."""
    small: dict[tuple[int, bytes, bytes], CopyGroup] = {}
    packed = []
    for group in groups:
        if group.files[0].entry.size > segment_bytes:
            packed.append(pack_anew([group]))
            continue
        key = (group.source, group.folder, group.target)
        small.setdefault(key, msgspec.structs.replace(group, files=[])).files.extend(group.files)
    packed.append(pack_anew(list(small.values())))
    return [each for each in packed if each is not None]


def told(further: Further, failure: FileFailure | None, place: Place) -> FileFailure | None:
    """What belongs on record of a file's failures: those of its earlier copies, and the last one.

    With `failure` None the file is through; what is told then is why it took another copy.
    """
    if failure is None:
        return further.failure
    failure = _after(further, place, failure)
    if failure.side is not Side.SOURCE or failure.stage is Stage.FILTER:
        return failure
    text = f"no copy of the newest content is left: {failure.text}"
    return msgspec.structs.replace(failure, text=text)


def attempts_before(further: Further | None) -> int:
    """How often copies before the present one were tried."""
    return 0 if further is None else further.attempts


# ------------------------------------------------------------------------------- inside


def _behind(
    further: Further, place: Place, failure: FileFailure, attempts: int, toolbox: Toolbox
) -> Further:
    """What is left when the first of these copies is tried; tells the execution's log."""
    if failure.kind in UNSOUND:
        toolbox.unsound.append(UnsoundCopy(place.source, place.path))
    toolbox.warn(
        f"copies on {place.storage} could not be restored ({failure.kind.value}): others were tried"
    )
    return Further(
        copies=further.copies[1:],
        failure=_after(further, place, failure),
        attempts=further.attempts + attempts,
    )


def _after(further: Further, place: Place, failure: FileFailure) -> FileFailure:
    """The failure of the copy at this place, with those of the copies before."""
    text = failure.text
    if failure.side is Side.SOURCE:
        text = f"{show(place.path)} on {place.storage}: {text}"
    if further.failure is not None:
        text = f"{further.failure.text}; {text}"
    return msgspec.structs.replace(failure, text=text)


def _storage(source: int, toolbox: Toolbox) -> str:
    reference = toolbox.plan.sources[source].storage.reference
    return f"{reference.kind.name.lower()} {reference.id}"


def _outline(copy: OtherCopy) -> Entry:
    """What is known of the copy before anybody has looked at it; it may be a symbolic link."""
    return Entry(
        copy.name, EntryKind.FILE, copy.size, 0, 0, 0, copy.mtime_ns, 0, 0, is_outline=True
    )
