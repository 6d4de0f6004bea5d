"""What became of one file in one execution, as movers report it and as it is kept.

Records are kept for years in the bytes that they have here: msgpack arrays without field names.
So fields of `Record`, and of what it holds (`Entry`, `FileFailure`), are only ever appended, with a
default, and members of their enumerations keep their values for good.
"""

from __future__ import annotations

import msgspec

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
    checksum: bytes  # of the kind that the task asks for
    failure: FileFailure | None
    callback_id: int  # the callback that refused or failed; 0 = none
    attempts: int
    finished_ns: int
    lost: bytes = b""  # what the destination did not keep, as domain.fidelity encodes it
    share: int = 0  # which of the destination's storages holds it
