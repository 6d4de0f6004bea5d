"""Records of files in blocks: a few rows for a thousand files.

    record_blocks     the records themselves, as bytes; their numbers follow each other, so blocks
                      never overlap, and the order of the blocks is the order of their records
    record_outcomes   how many files of which outcome a block has
    record_folders    of which folders a block has files, and between which names

A block is written once and never changed. Its format is on record with it, because blocks are kept
for years: a new form is a new member of `Format`, and whoever reads knows all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import groupby, repeat

import msgspec
from sqlalchemy import Connection

from longshore.database import bulk
from longshore.database.path_keys import path_key
from longshore.database.tables.engine import record_blocks, record_folders, record_outcomes
from longshore.domain.outcome import Outcome
from longshore.domain.record import PLACES_PER_WORK, Record, UnchangedFolder, expand

BLOCK_FILES_MAXIMUM = 1_000  # records that readers have in memory at once, about 1 MB

ANY_OUTCOME = 0  # in record_outcomes: all files of the block


class Format(IntEnum):
    """What a block's payload is."""

    RECORDS = 1  # a msgpack list of domain.record.Record, in the order of their numbers
    UNCHANGED = 2  # a msgpack list of domain.record.UnchangedFolder, in the order of their numbers


@dataclass(frozen=True, slots=True)
class Block:
    """A row of record_blocks."""

    first_number: int
    files: int
    format: int
    checksum_kind: str | None
    file_ids: bytes | None
    payload: bytes

    @property
    def last_number(self) -> int:
        return self.first_number + self.files - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class NewBlock:
    """A block to be put on record, and what its header tables say of it."""

    first_number: int
    files: int
    format: Format
    payload: bytes
    outcomes: Mapping[Outcome, int]  # how many files of each that there is
    names: Mapping[bytes, tuple[bytes, bytes]]  # the first and last name of each source folder
    checksum_kind: str | None = None
    file_ids: bytes | None = None  # as pack_ids makes them


# ------------------------------------------------------------------------------- writing


def put_records(
    connection: Connection,
    execution_id: int,
    work_id: int,
    records: Sequence[Record],
    file_ids: Sequence[int | None],
    *,
    checksum_kind: str | None = None,
) -> None:
    """Put records of a work item on record, with the ids of their files in the catalogue.

    A gap in their places begins another block, since an item may be settled slice by slice: what
    belongs into the gap comes later, as a block of its own, and the numbers stay in order.
    """
    places = [record.place for record in records]
    if places != sorted(places):
        order = sorted(range(len(places)), key=places.__getitem__)
        records = [records[i] for i in order]
        file_ids = [file_ids[i] for i in order]
        places.sort()
    base = work_id * PLACES_PER_WORK
    put_blocks(
        connection,
        execution_id,
        [
            NewBlock(
                first_number=base + places[start],
                files=end - start,
                format=Format.RECORDS,
                payload=_encoder.encode(records[start:end]),
                outcomes=count_outcomes(records[start:end]),
                names=_names(records[start:end]),
                checksum_kind=checksum_kind,
                file_ids=pack_ids(file_ids[start:end]),
            )
            for start, end in _runs(places)
        ],
    )


def put_unchanged(
    connection: Connection,
    execution_id: int,
    work_id: int,
    folders: Sequence[tuple[UnchangedFolder, bytes]],
) -> None:
    """Put the files of whole folders on record, as they came, each with its packed ids."""
    put_blocks(
        connection,
        execution_id,
        [_block_of(work_id, together) for together in _together(folders)],
    )


def _together(
    folders: Sequence[tuple[UnchangedFolder, bytes]],
) -> Iterator[list[tuple[UnchangedFolder, bytes]]]:
    """Folders that one block holds: their places follow each other."""
    block: list[tuple[UnchangedFolder, bytes]] = []
    files = 0
    for each in sorted(folders, key=lambda pair: pair[0].first_place):
        folder = each[0]
        follows = block and block[0][0].first_place + files == folder.first_place
        if block and not (follows and files + folder.files <= BLOCK_FILES_MAXIMUM):
            yield block
            block, files = [], 0
        block.append(each)
        files += folder.files
    if block:
        yield block


def _block_of(work_id: int, folders: Sequence[tuple[UnchangedFolder, bytes]]) -> NewBlock:
    files = sum(folder.files for folder, _ in folders)
    names: dict[bytes, tuple[bytes, bytes]] = {}
    for folder, _ in folders:
        known = names.get(folder.folder, (folder.first_name, folder.last_name))
        names[folder.folder] = min(known[0], folder.first_name), max(known[1], folder.last_name)
    return NewBlock(
        first_number=work_id * PLACES_PER_WORK + folders[0][0].first_place,
        files=files,
        format=Format.UNCHANGED,
        payload=_encoder.encode([folder for folder, _ in folders]),
        outcomes={Outcome.IDENTICAL: files},
        names=names,
        file_ids=_join_ids([ids for _, ids in folders]),
    )


def put_blocks(connection: Connection, execution_id: int, blocks: Sequence[NewBlock]) -> None:
    """Put blocks on record."""
    if not blocks:
        return
    fixed = {"execution_id": execution_id}
    columns: dict[str, Sequence[object]] = {
        "first_number": [block.first_number for block in blocks],
        "files": [block.files for block in blocks],
        "format": [int(block.format) for block in blocks],
        "checksum_kind": [block.checksum_kind for block in blocks],
        "file_ids": [block.file_ids for block in blocks],
        "payload": [block.payload for block in blocks],
    }
    bulk.insert(connection, record_blocks, columns, fixed=fixed)
    counts = [
        (int(outcome), block.first_number, files)
        for block in blocks
        for outcome, files in ((ANY_OUTCOME, block.files), *block.outcomes.items())
    ]
    columns = _columns(("outcome", "first_number", "files"), counts)
    bulk.insert(connection, record_outcomes, columns, fixed=fixed)
    folders = [
        (key, block.first_number, *names)
        for block in blocks
        for key, names in _by_key(block.names).items()
    ]
    columns = _columns(("folder_key", "first_number", "first_name", "last_name"), folders)
    bulk.insert(connection, record_folders, columns, fixed=fixed)


def _columns(
    names: Sequence[str], rows: Sequence[tuple[object, ...]]
) -> dict[str, Sequence[object]]:
    return dict(zip(names, zip(*rows, strict=True), strict=True))


def _runs(places: Sequence[int]) -> Iterator[tuple[int, int]]:
    """(begin, end) of the parts in which each place is the one before plus 1, none too long."""
    start, count = 0, len(places)
    while start < count:
        end = min(start + BLOCK_FILES_MAXIMUM, count)
        if places[end - 1] - places[start] != end - 1 - start:
            end = next(i for i in range(start + 1, end) if places[i] != places[i - 1] + 1)
        yield start, end
        start = end


def count_outcomes(records: Sequence[Record]) -> dict[Outcome, int]:
    """How many records there are of each outcome.

    Mostly all have the same, and counting is quicker than hashing.
    """
    counted: dict[Outcome, int] = {}
    outcomes = [record.outcome for record in records]
    while outcomes:
        first = outcomes[0]
        counted[first] = outcomes.count(first)
        if counted[first] == len(outcomes):
            break
        outcomes = [outcome for outcome in outcomes if outcome is not first]
    return counted


def _names(records: Sequence[Record]) -> dict[bytes, tuple[bytes, bytes]]:
    """The first and the last name in each folder."""
    folders = [record.folder for record in records]
    names = [record.entry.name for record in records]
    found: dict[bytes, tuple[bytes, bytes]] = {}
    start = 0
    for folder, inside in groupby(folders):
        end = start + sum(1 for _ in inside)
        together = names[start:end]
        first, last = min(together), max(together)
        known = found.get(folder, (first, last))
        found[folder] = (min(known[0], first), max(known[1], last))
        start = end
    return found


def _by_key(names: Mapping[bytes, tuple[bytes, bytes]]) -> dict[int, tuple[bytes, bytes]]:
    """The same by the keys of the folders; two folders may have one key."""
    found: dict[int, tuple[bytes, bytes]] = {}
    for folder, (first, last) in names.items():
        key = path_key(folder)
        known = found.get(key, (first, last))
        found[key] = (min(known[0], first), max(known[1], last))
    return found


# ------------------------------------------------------------------------------- reading


def records_of(block: Block) -> Sequence[Record]:
    """The records of a block of any format, in the order of their numbers."""
    match Format(block.format):
        case Format.RECORDS:
            return _decoder.decode(block.payload)
        case Format.UNCHANGED:
            return [
                record
                for folder in _unchanged_decoder.decode(block.payload)
                for record in expand(folder)
            ]


def pack_ids(file_ids: Sequence[int | None]) -> bytes | None:
    """Ids of nodes in a few bytes: those of files that were new together follow each other.

    A msgpack list of runs, two numbers for each: the first id (0 = none) and how many there are.
    """
    first, count = file_ids[0], len(file_ids)
    if first is not None and file_ids[-1] == first + count - 1:
        if file_ids == list(range(first, first + count)):
            return _encoder.encode([first, count])
    elif first is None and file_ids.count(None) == count:
        return None
    runs: list[int] = []
    expected = -1
    for file_id in file_ids:
        if (file_id or 0) == expected:
            runs[-1] += 1
        else:
            runs += (file_id or 0, 1)
        expected = file_id + 1 if file_id else 0
    return _encoder.encode(runs)


def _join_ids(packed: Sequence[bytes]) -> bytes:
    """Packed ids of some files, and of others behind them."""
    return _encoder.encode([number for each in packed for number in _ids_decoder.decode(each)])


def file_ids_of(block: Block) -> list[int | None]:
    """The ids of the files of a block, in the order of its records."""
    if block.file_ids is None:
        return [None] * block.files
    runs = _ids_decoder.decode(block.file_ids)
    found: list[int | None] = []
    for first, count in zip(runs[::2], runs[1::2], strict=True):
        found.extend(range(first, first + count) if first else repeat(None, count))
    return found


def folder_keys(folders: Iterable[bytes]) -> set[int]:
    """What record_folders has for these folders."""
    return {path_key(folder) for folder in folders}


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[Record])
_unchanged_decoder = msgspec.msgpack.Decoder(list[UnchangedFolder])
_ids_decoder = msgspec.msgpack.Decoder(list[int])
