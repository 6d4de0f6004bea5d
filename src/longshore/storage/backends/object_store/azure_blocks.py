"""Blocks of uploads on Azure: a name tells which upload, which part, when it was sent, and its MD5.

    12 bytes  the upload, so that uploads to the same blob do not mix
     2 bytes  the number of the part
     7 bytes  microseconds since 1970: of a part that was sent twice, the later one counts
    16 bytes  the MD5 of its content: whoever goes on after a crash sends nothing that is there

All names of one blob have to be equally long, also those of blocks that an earlier upload has left.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Final

from longshore.storage.backends.object_store.client import Part, Upload
from longshore.storage.backends.object_store.exchange import base64_bytes

_UPLOAD_BYTES: Final = 12
_NUMBER_BYTES: Final = 2
_TIME_BYTES: Final = 7
_MD5_BYTES: Final = 16
_MICROSECOND_NS: Final = 1000


def name_of(upload: Upload, number: int, md5: bytes, now_ns: int) -> str:
    """The name of the block that is that part."""
    sent = (now_ns // _MICROSECOND_NS).to_bytes(_TIME_BYTES, "big")
    name = _mark(upload) + number.to_bytes(_NUMBER_BYTES, "big") + sent + md5
    return base64.b64encode(name).decode()


def parts_of(upload: Upload, blocks: Iterable[tuple[str, int]]) -> list[Part]:
    """The parts of the upload among blocks (name, size) of a blob, ascending by number."""
    latest: dict[int, tuple[bytes, Part]] = {}
    mark = _mark(upload)
    for block, size in blocks:
        name = base64_bytes(block)
        if not name.startswith(mark) or len(name) != len(mark) + _REST_BYTES:
            continue
        rest = name[len(mark) :]
        number = int.from_bytes(rest[:_NUMBER_BYTES], "big")
        sent, md5 = rest[_NUMBER_BYTES:-_MD5_BYTES], rest[-_MD5_BYTES:]
        if number not in latest or latest[number][0] < sent:
            latest[number] = sent, Part(number, size, block, md5)
    return [latest[number][1] for number in sorted(latest)]


_REST_BYTES: Final = _NUMBER_BYTES + _TIME_BYTES + _MD5_BYTES


def _mark(upload: Upload) -> bytes:
    return bytes.fromhex(upload.id)[:_UPLOAD_BYTES]
