"""Recording whole folders: files that lie unchanged are not looked at one by one.

    a folder was copied  ──> its digest is noted with the catalogue's rows
    it lies unchanged    ──> the same digest is noted: only the record of the folder is written
                         └─> another digest, or none: its files are compared one by one, and
                             the new digest is noted

Nothing here decides what becomes of a file: pipeline.comparing has done so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from longshore.database import folder_digests, record_blocks
from longshore.database.folder_digests import Claim
from longshore.database.journal import Counters
from longshore.domain.record import Record, UnchangedFolder, expand
from longshore.pipeline.messages.plan import ExecutionPlan
from longshore.pipeline.messages.replies import WholeFolder

if TYPE_CHECKING:
    from longshore.engine.recording import Recorder


def note_copied(
    recorder: Recorder,
    connection: Connection,
    file_ids: Sequence[int | None],
    whole: Sequence[WholeFolder],
) -> None:
    """Note the digests of folders whose files are in the catalogue now, with these ids.

    All records must be of one source: another may have other values for the same files.
    """
    claims = _claims(recorder, connection, whole)
    ids = [_packed(file_ids[each.first : each.first + each.files]) for each in whole]
    folder_digests.note(connection, list(zip(claims, ids, strict=True)))


def record_unchanged(
    recorder: Recorder, connection: Connection, work_id: int, folders: Sequence[UnchangedFolder]
) -> Counters:
    """Put the files of unchanged folders on record; the change of the counters."""
    # Source by source: two may have the same folder, and what one has of it undoes the other's.
    for source in sorted({folder.source for folder in folders}):
        of_source = [folder for folder in folders if folder.source == source]
        ids = _ids_in_catalogue(recorder, connection, of_source)
        together = list(zip(of_source, ids, strict=True))
        record_blocks.put_unchanged(connection, recorder.plan.execution_id, work_id, together)
    files = sum(each.files for each in folders)
    size = sum(each.size for each in folders)
    return Counters(processed_files=files, processed_size=size, finalized_files=files)


def _ids_in_catalogue(
    recorder: Recorder, connection: Connection, folders: Sequence[UnchangedFolder]
) -> list[bytes]:
    """The packed ids of the files of each folder, which are in the catalogue as they are then."""
    claims = _claims(recorder, connection, folders)
    known = folder_digests.ids_if_known(connection, claims)
    unknown = [index for index, ids in enumerate(known) if ids is None]
    found = iter(_catalogued(recorder, connection, [folders[index] for index in unknown]))
    ids = [next(found) if packed is None else packed for packed in known]
    folder_digests.note(connection, [(claims[index], ids[index]) for index in unknown])
    return ids


def _catalogued(
    recorder: Recorder, connection: Connection, folders: Sequence[UnchangedFolder]
) -> list[bytes]:
    """Compare the files with the catalogue one by one; their packed ids by folder."""
    records: list[Record] = [record for folder in folders for record in expand(folder)]
    file_ids = recorder.catalogue(connection, records) if records else []
    packed, first = [], 0
    for folder in folders:
        packed.append(_packed(file_ids[first : first + folder.files]))
        first += folder.files
    return packed


def _packed(file_ids: Sequence[int | None]) -> bytes:
    packed = record_blocks.pack_ids(file_ids)
    assert packed is not None, "whole folders come from sources that the catalogue has as a tree"
    return packed


def _claims(
    recorder: Recorder, connection: Connection, folders: Iterable[WholeFolder | UnchangedFolder]
) -> list[Claim]:
    places = [(_root(recorder.plan, each.source), each.folder) for each in folders]
    folder_ids = recorder.folder_ids.ids_of(connection, places)
    return [
        _claim(recorder.plan, folder_ids[place], each)
        for place, each in zip(places, folders, strict=True)
    ]


def _claim(plan: ExecutionPlan, folder_id: int, folder: WholeFolder | UnchangedFolder) -> Claim:
    source = plan.sources[folder.source]
    destination = plan.destinations[source.destination].storage.reference
    return folder_digests.claim(
        folder_id, source.storage.reference, destination, folder.target, folder.piece, folder.digest
    )


def _root(plan: ExecutionPlan, source: int) -> int:
    root_id = plan.sources[source].root_id
    assert root_id is not None, "whole folders come from sources that the catalogue has as a tree"
    return root_id
