"""Taking a batch apart, to find the file that kills movers."""

from __future__ import annotations

import msgspec

from longshore.domain.errors import FileFailure
from longshore.domain.outcome import Outcome
from longshore.domain.record import Record
from longshore.pipeline.messages.work import CopyGroup, CopyWork, PackedWork
from longshore.pipeline.packing import pack_groups

_decoder = msgspec.msgpack.Decoder(CopyWork)


def split(payload: bytes) -> list[PackedWork]:
    """Two halves of the batch; nothing when it holds a single file.

    Places start anew, since the halves are work items of their own.
    """
    flat = [
        (group, planned) for group in _decoder.decode(payload).groups for planned in group.files
    ]
    if len(flat) < 2:
        return []
    middle = len(flat) // 2
    halves = []
    for half in (flat[:middle], flat[middle:]):
        groups = [
            CopyGroup(
                group.source,
                group.folder,
                group.target,
                [msgspec.structs.replace(planned, place=place)],
            )
            for place, (group, planned) in enumerate(half)
        ]
        packed = pack_groups(groups)
        assert packed is not None
        halves.append(packed)
    return halves


def failed(payload: bytes, failure: FileFailure, finished_ns: int, attempts: int) -> Record:
    """The record of a batch's only file, given up on."""
    group = _decoder.decode(payload).groups[0]
    planned = group.files[0]
    return Record(
        place=planned.place,
        source=group.source,
        folder=group.folder,
        entry=planned.entry,
        outcome=Outcome.FAILED,
        target_path=b"",
        xxh3_128=b"",
        checksum=b"",
        failure=failure,
        callback_id=0,
        attempts=attempts + (planned.further.attempts if planned.further else 0),
        finished_ns=finished_ns,
    )
