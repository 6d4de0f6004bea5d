"""Manifests as Parquet files: rows for the files, everything else in the file's metadata.

The chain runs over the lines that the rows would be in JSON, so `lines_of` can give back exactly
the manifest that JSON lines would have been. Needs pyarrow, which the extra `parquet` installs.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO

import msgspec

from longshore.domain.manifest import (
    BLOCK_RECORDS,
    COLUMNS,
    JSON_LINES,
    Block,
    FileRecord,
    Header,
    InvalidManifest,
)
from longshore.domain.manifest_chain import written as lines_written

if TYPE_CHECKING:
    import pyarrow

MAGIC = b"PAR1"  # the first bytes of every Parquet file
METADATA_KEY = b"longshore.manifest"
GROUP_RECORDS = 20 * BLOCK_RECORDS  # rows of a row group: they are in memory together, about 10 MB

_SMALL = {"source", "destination", "attempts"}
_LARGE = {"number", "size", "mtime_ns", "callback_id", "finished_ns"}


def is_available() -> bool:
    """Whether Parquet files can be written and read here."""
    return importlib.util.find_spec("pyarrow") is not None


@cache
def _schema() -> pyarrow.Schema:
    import pyarrow

    def kind(name: str) -> Any:
        if name in _SMALL:
            return pyarrow.int32()
        return pyarrow.int64() if name in _LARGE else pyarrow.string()

    return pyarrow.schema([(name, kind(name)) for name in COLUMNS])


class _Sink:
    """A file that is only written to, and taken away piece by piece."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._position = 0
        self.closed = False

    def write(self, piece: Any) -> int:
        self._pieces.append(bytes(piece))
        self._position += len(self._pieces[-1])
        return len(self._pieces[-1])

    def tell(self) -> int:
        return self._position

    def flush(self) -> None:
        """Everything is at hand already."""

    def close(self) -> None:
        self.closed = True

    def take(self) -> bytes:
        taken = b"".join(self._pieces)
        self._pieces.clear()
        return taken


def written(header: Header, blocks: Iterable[list[FileRecord]]) -> Iterator[bytes]:
    """The Parquet file in pieces, one for each row group."""
    import pyarrow
    import pyarrow.parquet

    waiting: list[FileRecord] = []
    added = 0

    def noted() -> Iterator[list[FileRecord]]:
        nonlocal added
        for records in blocks:
            waiting.extend(records)
            added = len(records)
            yield records

    sink, others = _Sink(), bytearray()
    writer = pyarrow.parquet.ParquetWriter(
        pyarrow.PythonFile(sink, mode="w"),
        _schema(),
        compression="zstd",
        write_page_checksum=True,
    )
    for lines in lines_written(JSON_LINES, header, noted()):
        others += lines.splitlines(keepends=True)[-1] if added else lines
        added = 0
        if len(waiting) >= GROUP_RECORDS:
            writer.write_table(_table(waiting))
            waiting.clear()
            yield sink.take()
    if waiting:
        writer.write_table(_table(waiting))
    writer.add_key_value_metadata({METADATA_KEY: bytes(others)})
    writer.close()
    yield sink.take()


def _table(records: list[FileRecord]) -> pyarrow.Table:
    import pyarrow

    columns = {name: [getattr(record, name) for record in records] for name in COLUMNS}
    return pyarrow.table(columns, schema=_schema())


def lines_of(file: BinaryIO) -> Iterator[bytes]:
    """The lines of the manifest that was written as this file. Raises InvalidManifest."""
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(file, page_checksum_verification=True) as opened:
            others = (opened.metadata.metadata or {}).get(METADATA_KEY)
            if others is None:
                raise InvalidManifest("this Parquet file holds no manifest")
            yield from _merged(others.splitlines(keepends=True), _records(opened))
    except (pyarrow.ArrowException, OSError, msgspec.MsgspecError) as error:
        raise InvalidManifest(f"this Parquet file cannot be read: {error}") from error


def _records(opened: Any) -> Iterator[bytes]:
    for batch in opened.iter_batches(batch_size=BLOCK_RECORDS):
        for row in batch.to_pylist():
            yield JSON_LINES.files([msgspec.convert(row | {"type": "file"}, FileRecord)])


def _merged(others: list[bytes], records: Iterator[bytes]) -> Iterator[bytes]:
    """The other lines, each block line behind as many records as it says it closes."""
    for number, line in enumerate(others):
        value = JSON_LINES.parse(line)
        if isinstance(value, Block):
            yield from islice(records, max(0, value.records))
        if number == len(others) - 1:
            yield from records  # there must be none left; if there are, the end does not fit
        yield line
