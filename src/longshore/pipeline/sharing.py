"""A big file in parts, as the journal has it: what is given out, what is written, what comes next.

                   ┌─> part ─┐
    begin ─> parts ┼─> part ─┼─> the file's item: follow ─> … ─> verify the rest ─> publish
                   └─> part ─┘

The file's own item stays in the journal all the time and takes in the digests of each part that is
through. It is given to a mover when there is something to follow, and when nothing of it is with
any other mover any more: only then is it published, given up, or begun again.

Everything here works on values; the controller reads and writes them, and knows nothing inside.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import msgspec

from longshore.domain.errors import FileFailure
from longshore.domain.segments import Layout
from longshore.pipeline import copying, parts
from longshore.pipeline.messages.plan import ExecutionPlan
from longshore.pipeline.messages.work import CopyWork, PackedWork, PartWork, Segments, encode
from longshore.pipeline.writing import written_without_gap

_decoder = msgspec.msgpack.Decoder(CopyWork)
_part_decoder = msgspec.msgpack.Decoder(PartWork)


@dataclass(slots=True)
class SharedFile:
    """The work of a file's own item, once it was begun in parts."""

    work: CopyWork

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        return cls(_decoder.decode(payload))

    def encode(self) -> bytes:
        return encode(self.work)

    @property
    def has_failed(self) -> bool:
        """Whether it can only be given up or begun again."""
        return self._big is None or self._big.failure is not None

    @property
    def written(self) -> int:
        """The segments that are written without a gap, from the start of the file."""
        return written_without_gap(self._big) if self._big is not None else 0

    def is_ready(self, parts_left: int, followed: int, plan: ExecutionPlan) -> bool:
        """Whether a mover has something to do for the file's own item.

        `parts_left` are with movers or in the journal; `followed` is how far the pass is.
        """
        if parts_left == 0:
            return True
        # From the medium only all of it at once: what is still in memory has to be written first.
        return not self.has_failed and self.written > followed and not plan.verify_from_medium

    def give_out(self, number: int) -> list[PackedWork]:
        """So many further parts, or fewer when nothing is left; the file remembers them."""
        big = self._big
        assert big is not None
        layout = Layout(big.source.size, big.segment_bytes)
        given: list[PackedWork] = []
        first = big.given_out
        while first < layout.count and len(given) < number:
            count = min(big.part_segments, layout.count - first)
            given.append(parts.pack(self._part(big, first, count)))
            first += count
        self._set(msgspec.structs.replace(big, given_out=first))
        return given

    def take_in(self, part: bytes, digests: list[bytes]) -> None:
        """The part with this payload is written."""
        work, big = _part_decoder.decode(part), self._big
        if big is None or big.begun_ns != work.begun_ns:
            return
        known = list(big.digests)
        end = work.first + work.count
        known += [b""] * (end - len(known))
        known[work.first : end] = digests
        self._set(msgspec.structs.replace(big, digests=known))

    def fail(self, failure: FileFailure, *, again: bool, attempts: int = 0) -> None:
        """It cannot go on. With `again` it is begun once more, unless that was tried too often."""
        big = self._big
        if big is None or big.failure is not None:
            return  # what came first counts
        group = self.work.groups[0]
        planned = group.files[0]
        tried = max(planned.attempts + 1, attempts)
        again = again and tried < copying.ATTEMPTS_MAXIMUM
        planned = msgspec.structs.replace(planned, attempts=tried if again else tried - 1)
        self.work = CopyWork(
            [msgspec.structs.replace(group, files=[planned])],
            msgspec.structs.replace(big, failure=failure, again=again),
        )

    @property
    def _big(self) -> Segments | None:
        return self.work.big

    def _set(self, big: Segments) -> None:
        self.work = CopyWork(self.work.groups, big)

    def _part(self, big: Segments, first: int, count: int) -> PartWork:
        return PartWork(
            group=self.work.groups[0],
            source=big.source,
            segment_bytes=big.segment_bytes,
            begun_ns=big.begun_ns,
            token=big.token,
            first=first,
            count=count,
            digests=[],
        )
