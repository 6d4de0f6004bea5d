"""The manifest: what became of every file of an execution, as text that shows any change.

    header                     what ran, from where to where
    block 0                    SHA-256 of the lines before
    file … file                up to BLOCK_RECORDS records
    block 1                    SHA-256 of block 0's SHA-256 and of the lines since
    …
    end                        how many records there are, by outcome
    block n                    the seal: it depends on every byte before

A line was removed, added, moved or edited: the next block line does not fit. The file was cut:
the end is missing. `docs/manifest.md` defines the format; VERSION counts its changes. The chain
itself is in `manifest_chain`.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from typing import Any, Protocol

import msgspec

from longshore.domain.errors import LongshoreError

FORMAT = "longshore-manifest"
VERSION = 1
BLOCK_RECORDS = 1_000  # records of a block: about 300 KB, so a change is found to within that
LINE_BYTES_MAXIMUM = 64 * 1024 * 1024  # of one line; a header with thousands of sources fits


class InvalidManifest(LongshoreError):
    """Text that is not part of a manifest; the message says why."""


class FileRecord(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag="file"
):
    """What became of one file. Paths are escaped, sizes bytes, times nanoseconds since 1970."""

    number: int  # the order of work; unique in its execution
    source: int | None = None  # index into the header's sources
    destination: int | None = None  # index into the header's destinations
    path: str
    target_path: str | None = None
    kind: str
    outcome: str
    size: int
    mtime_ns: int
    checksum_type: str | None = None
    checksum: str | None = None  # hexadecimal, like xxh3_128
    xxh3_128: str | None = None
    error_kind: str | None = None
    error_stage: str | None = None
    error_side: str | None = None
    error_text: str | None = None
    callback_id: int | None = None
    attempts: int
    finished_ns: int


COLUMNS = FileRecord.__struct_fields__


class Header(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="header"):
    """What ran. Not `final`: the execution can still add records."""

    format: str
    version: int
    software: str  # that wrote the manifest
    final: bool
    full: bool  # one record per file; else only of those that failed
    execution: dict[str, Any]
    sources: list[dict[str, Any]]
    destinations: list[dict[str, Any]]
    facts: dict[str, Any]  # options, metadata, rules: as they were when it started


class Block(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="block"):
    """Closes the lines since the block before. `records` is the number of files among them."""

    index: int
    records: int
    sha256: str


class End(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="end"):
    """The sums over all records, by outcome. `sizes` are bytes."""

    records: int
    counts: dict[str, int]
    sizes: dict[str, int]
    final: bool


Line = Header | FileRecord | Block | End

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Line] = msgspec.json.Decoder(Line)


# ---------------------------------------------------------------------------------- paths

# Everything that could end a line, vanish on a screen or stand for a byte that is no UTF-8.
_TO_ESCAPE = re.compile("[\\\\\x00-\x1f\x7f-\x9f\u2028\u2029\udc80-\udcff]")
_ESCAPED = re.compile(rb"\\(\\|x[0-9a-f]{2})?")


def escape(path: bytes) -> str:
    r"""The path as text that gives back its bytes: `\` becomes `\\`, odd bytes become `\xNN`."""
    return _TO_ESCAPE.sub(_escaped, path.decode("utf-8", "surrogateescape"))


def _escaped(found: re.Match[str]) -> str:
    if found[0] == "\\":
        return "\\\\"
    return "".join(f"\\x{byte:02x}" for byte in found[0].encode("utf-8", "surrogateescape"))


def unescape(text: str) -> bytes:
    """The bytes of an escaped path. Raises InvalidManifest."""
    try:
        return _ESCAPED.sub(_unescaped, text.encode())
    except UnicodeEncodeError as error:
        raise InvalidManifest("a path is not valid Unicode") from error


def _unescaped(found: re.Match[bytes]) -> bytes:
    if found[1] is None:
        raise InvalidManifest("a path has a backslash that begins nothing")
    return b"\\" if found[1] == b"\\" else bytes([int(found[1][1:], 16)])


# -------------------------------------------------------------------------------- layouts


class Layout(Protocol):
    """How lines are written: every method gives whole lines, and `parse` reads one."""

    def header(self, header: Header) -> bytes: ...
    def files(self, records: Iterable[FileRecord]) -> bytes: ...
    def block(self, block: Block) -> bytes: ...
    def end(self, end: End) -> bytes: ...

    def parse(self, line: bytes) -> Line | None:
        """The line's value; None for the names of columns. Raises InvalidManifest."""


class JsonLines:
    """Every line is a JSON object with a `type`."""

    def header(self, header: Header) -> bytes:
        return _encoder.encode(header) + b"\n"

    def files(self, records: Iterable[FileRecord]) -> bytes:
        return _encoder.encode_lines(records)

    def block(self, block: Block) -> bytes:
        return _encoder.encode(block) + b"\n"

    def end(self, end: End) -> bytes:
        return _encoder.encode(end) + b"\n"

    def parse(self, line: bytes) -> Line:
        try:
            return _decoder.decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise InvalidManifest(str(error)) from error


class CommaSeparated:
    """Files are rows; everything else stands in lines that begin with `#`, as JSON."""

    NAMES = ",".join(COLUMNS).encode() + b"\n"

    def header(self, header: Header) -> bytes:
        return b"#header " + _encoder.encode(header) + b"\n" + self.NAMES

    def files(self, records: Iterable[FileRecord]) -> bytes:
        text = io.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        rows.writerows([getattr(record, name) for name in COLUMNS] for record in records)
        return text.getvalue().encode()

    def block(self, block: Block) -> bytes:
        return b"#block " + _encoder.encode(block) + b"\n"

    def end(self, end: End) -> bytes:
        return b"#end " + _encoder.encode(end) + b"\n"

    def parse(self, line: bytes) -> Line | None:
        if line.startswith(b"#"):
            return JSON_LINES.parse(line.partition(b" ")[2])
        if line == self.NAMES:
            return None
        try:
            (fields,) = csv.reader([line.decode()], strict=True)
            given = {n: v for n, v in zip(COLUMNS, fields, strict=True) if v != ""}
            return msgspec.convert(given | {"type": "file"}, FileRecord, strict=False)
        except (csv.Error, ValueError, msgspec.MsgspecError) as error:
            raise InvalidManifest(str(error)) from error


JSON_LINES = JsonLines()
COMMA_SEPARATED = CommaSeparated()
