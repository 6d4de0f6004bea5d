"""The chain over a manifest's blocks: made while it is written, checked while it is read."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator

import msgspec

from longshore.domain.manifest import (
    COMMA_SEPARATED,
    FORMAT,
    JSON_LINES,
    VERSION,
    Block,
    End,
    FileRecord,
    Header,
    InvalidManifest,
    Layout,
)


class Problem(msgspec.Struct, frozen=True):
    """What is wrong with a manifest, in words."""

    text: str


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What a whole manifest holds; `sha256` is its seal."""

    records: int
    blocks: int
    sha256: str


Found = Header | FileRecord | Problem | Summary


class Chain:
    """SHA-256 over blocks, each one continuing the one before."""

    def __init__(self) -> None:
        self._index = 0
        self._start(bytes(hashlib.sha256().digest_size))

    def _start(self, before: bytes) -> None:
        self._digest = hashlib.sha256(before)
        self._records = 0

    def add(self, lines: bytes, *, records: int = 0) -> None:
        """Lines of the present block."""
        self._digest.update(lines)
        self._records += records

    def close(self, *, stated: Block | None = None) -> Block:
        """The block as it has to be. The next one continues it, or what it was `stated` to be."""
        block = Block(index=self._index, records=self._records, sha256=self._digest.hexdigest())
        following = stated if stated and re.fullmatch("[0-9a-f]{64}", stated.sha256) else block
        self._index = following.index + 1
        self._start(bytes.fromhex(following.sha256))
        return block


def first_block(layout: Layout, header: Header) -> Block:
    """The block that closes the header: two manifests of different executions differ in it."""
    chain = Chain()
    chain.add(layout.header(header))
    return chain.close()


def written(layout: Layout, header: Header, blocks: Iterable[list[FileRecord]]) -> Iterator[bytes]:
    """The manifest in pieces, one for each block of records."""
    chain, counts, sizes = Chain(), Counter[str](), Counter[str]()

    def closed(lines: bytes, records: int = 0) -> bytes:
        chain.add(lines, records=records)
        return lines + layout.block(chain.close())

    yield closed(layout.header(header))
    for records in blocks:
        yield closed(layout.files(records), len(records))
        for record in records:
            counts[record.outcome] += 1
            sizes[record.outcome] += record.size
    yield closed(layout.end(end_of(counts, sizes, final=header.final)))


def end_of(counts: Counter[str], sizes: Counter[str], *, final: bool) -> End:
    return End(
        records=counts.total(),
        counts=dict(sorted(counts.items())),
        sizes=dict(sorted(sizes.items())),
        final=final,
    )


# --------------------------------------------------------------------------------- verify


def verified(lines: Iterable[bytes]) -> Iterator[Found]:
    """The manifest's header and records, and every problem; a Summary comes last.

    A record is what was written only if no problem follows. Raises InvalidManifest for what is
    no manifest of this version.
    """
    return _Verification().run(lines)


class _Verification:
    def __init__(self) -> None:
        self._layout: Layout = JSON_LINES
        self._chain = Chain()
        self._lines = self._blocks = 0
        self._counts, self._sizes = Counter[str](), Counter[str]()
        self._final = False
        self._end: End | None = None
        self._seal = ""

    def run(self, lines: Iterable[bytes]) -> Iterator[Found]:
        for line in lines:
            self._lines += 1
            if self._seal:
                yield self._problem("follows the end")
                break
            if self._lines == 1:
                yield self._first(line)
            else:
                yield from self._next(line)
        if not self._lines:
            raise InvalidManifest("this is no manifest: it is empty")
        if not self._seal:
            yield Problem("it is cut off: its end is missing")
        yield Summary(records=self._counts.total(), blocks=self._blocks, sha256=self._seal)

    def _first(self, line: bytes) -> Header:
        self._layout = COMMA_SEPARATED if line.startswith(b"#") else JSON_LINES
        self._chain.add(line)
        try:
            header = self._layout.parse(line)
        except InvalidManifest as error:
            raise InvalidManifest(f"this is no manifest: {error}") from error
        if not isinstance(header, Header):
            raise InvalidManifest("this is no manifest: it begins without a header")
        if (header.format, header.version) != (FORMAT, VERSION):
            raise InvalidManifest(
                f"this is {header.format} version {header.version}, "
                f"and only {FORMAT} version {VERSION} can be verified"
            )
        self._final = header.final
        return header

    def _next(self, line: bytes) -> Iterator[FileRecord | Problem]:
        try:
            value = self._layout.parse(line)
        except InvalidManifest as error:
            self._chain.add(line)
            yield self._problem(f"cannot be read: {error}")
            return
        if isinstance(value, Block):
            yield from self._block(line, value)
            return
        self._chain.add(line, records=isinstance(value, FileRecord))
        if isinstance(value, FileRecord):
            self._counts[value.outcome] += 1
            self._sizes[value.outcome] += value.size
            yield value
        elif isinstance(value, Header):
            yield self._problem("is a second header")
        elif isinstance(value, End):
            self._end = value

    def _block(self, line: bytes, found: Block) -> Iterator[Problem]:
        last = self._counts.total()
        wanted = self._chain.close(stated=found)
        self._blocks += 1
        if line != self._layout.block(wanted):
            where = f"records {last - wanted.records + 1} to {last}" if wanted.records else "facts"
            yield Problem(f"block {wanted.index} ({where}) is not what was written")
        if self._end is not None:
            self._seal = wanted.sha256
            if self._end != end_of(self._counts, self._sizes, final=self._final):
                yield Problem("the end does not fit the records")

    def _problem(self, text: str) -> Problem:
        return Problem(f"line {self._lines} {text}")
