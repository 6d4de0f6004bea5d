"""The messages between a mover and its worker, and the worker's end of the two pipes.

Every message is one frame: four bytes of body length (little endian), one byte of kind, the body.
Bodies are msgpack of fixed types, except REFUSED, which must work before msgspec could be loaded.

    mover -> worker   LOAD or PROBE once, then BATCH for every group of files
    worker -> mover   READY or REFUSED once, then PROBED, LOADED or INVALID, then ANSWERS
                      or, as its last word, MISSING: the script wants facts it was not sent
"""

import os
import struct
from typing import Final, NoReturn

HEADER: Final = struct.Struct("<IB")
ANSWERS_HEAD: Final = struct.Struct("<II")
"""Index of the first file and number of files in an ANSWERS frame; one byte per file follows."""

REQUEST_FD: Final = 3
ANSWER_FD: Final = 4

LOAD: Final = 1
PROBE: Final = 2
BATCH: Final = 3

READY: Final = 11
REFUSED: Final = 12
PROBED: Final = 13
LOADED: Final = 14
INVALID: Final = 15
ANSWERS: Final = 16
MISSING: Final = 17

# The answer codes of one file; `longshore.callbacks.Answer` gives them their public names.
ANSWER_REFUSED: Final = 0
ANSWER_ACCEPTED: Final = 1
ANSWER_ERROR: Final = 2
ANSWER_TIMED_OUT: Final = 3

READ_CHUNK_BYTES: Final = 1 << 20
"""One read's size inside the worker: larger than any pipe, so a frame arrives in few reads."""


def send(kind: int, body: bytes) -> None:
    """Write one frame to the mover; blocks while the mover is busy."""
    data = HEADER.pack(len(body), kind) + body
    while data:
        data = data[os.write(ANSWER_FD, data) :]


def leave_for_want_of_facts() -> NoReturn:
    """Say that the script wants facts it was not sent; a new worker will get all of them."""
    send(MISSING, b"")
    os._exit(0)


def receive() -> tuple[int, bytes]:
    """Return the next frame's kind and body; leave the process when the mover has gone."""
    length, kind = HEADER.unpack(_exactly(HEADER.size))
    return kind, _exactly(length)


def _exactly(length: int) -> bytes:
    parts = []
    while length:
        part = os.read(REQUEST_FD, min(length, READ_CHUNK_BYTES))
        if not part:
            os._exit(0)
        parts.append(part)
        length -= len(part)
    return b"".join(parts)
