"""What became of one file in one execution, as movers report it and as it is kept.

Records are kept for years in the bytes that they have here: msgpack arrays without field names.
So fields of `Record` and `UnchangedFolder`, and of what they hold (`Entry`, `FileFailure`), are
only ever appended, with a default, and members of their enumerations keep their values for good.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from longshore.domain import paths
from longshore.domain.checksum import ChecksumKind
from longshore.domain.entry import Entry
from longshore.domain.errors import FileFailure
from longshore.domain.outcome import Outcome

PLACES_PER_WORK = 1 << 24
"""A record's number is `work id * PLACES_PER_WORK + place`, unique and in the order of the work.
No work item ever yields as many: a scan item is split long before."""

UNKNOWN_SOURCE = -1  # of records from before there was a field for it


class Record(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What became of one file. `folder` and `target_path` lie in their storages.

    An entry of mode 0 has nothing but name, kind, size and time of modification.
    """

    place: int
    source: int  # index into the plan's sources
    folder: bytes
    entry: Entry
    outcome: Outcome
    target_path: bytes
    xxh3_128: bytes
    checksum: bytes  # see kind_on_record
    failure: FileFailure | None
    callback_id: int  # the callback that refused or failed; 0 = none
    attempts: int
    finished_ns: int
    lost: bytes = b""  # what the destination did not keep, as domain.fidelity encodes it
    share: int = 0  # which of the destination's storages holds it


def kind_on_record(asked: ChecksumKind, records: Iterable[Record]) -> ChecksumKind:
    """The kind of the checksums of records of a task that asks for this one.

    Of one that asks for none they are the MD5 by which object stores have confirmed the content.
    """
    if asked is not ChecksumKind.NONE:
        return asked
    return ChecksumKind.MD5 if any(record.checksum for record in records) else asked


class UnchangedFolder(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A piece of a folder whose files, all of these, lie unchanged at the destination: IDENTICAL.

    It stands for their records, which `expand` makes.
    """

    source: int
    folder: bytes
    target: bytes  # the folder at the destination; the files have the same names there
    piece: int  # of the folder: 0, 1, 2 and so on, each with so many names that were compared
    first_place: int  # of the files in the records of the work item, one behind the other
    finished_ns: int
    files: int
    size: int  # of all of them, in bytes
    first_name: bytes
    last_name: bytes
    entries: bytes  # msgpack of list[Entry]
    digest: bytes  # XXH3-128 of what a catalogue keeps of them, see pipeline.comparing


def expand(unchanged: UnchangedFolder) -> Iterator[Record]:
    """The records of the files, in the order of their places."""
    for place, entry in enumerate(_entries.decode(unchanged.entries), start=unchanged.first_place):
        yield Record(
            place=place,
            source=unchanged.source,
            folder=unchanged.folder,
            entry=entry,
            outcome=Outcome.IDENTICAL,
            target_path=paths.join(unchanged.target, entry.name),
            xxh3_128=b"",
            checksum=b"",
            failure=None,
            callback_id=0,
            attempts=1,
            finished_ns=unchanged.finished_ns,
        )


_entries = msgspec.msgpack.Decoder(list[Entry])
