"""Frames between controller and mover: four bytes of length, little-endian, then the message."""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

FRAME_BYTES_MAXIMUM = 256 * 1024 * 1024  # far above any batch; a larger length is a broken stream

_LENGTH = struct.Struct("<I")


class BrokenStream(Exception):
    """The other end is gone or sends what is no frame."""


def pack(message: bytes) -> bytes:
    return _LENGTH.pack(len(message)) + message


async def receive(reader: asyncio.StreamReader) -> bytes:
    """The next message. Raises BrokenStream."""
    try:
        length = _checked(await reader.readexactly(_LENGTH.size))
        return await reader.readexactly(length)
    except (EOFError, ConnectionError) as error:
        raise BrokenStream("the stream has ended") from error


def receive_blocking(descriptor: int) -> bytes | None:
    """The next message; None at the end of the stream."""
    head = _read_exactly(descriptor, _LENGTH.size)
    return None if head is None else _read_exactly(descriptor, _checked(head))


def send_blocking(descriptor: int, message: bytes) -> None:
    data = memoryview(pack(message))
    while data:
        data = data[os.write(descriptor, data) :]


def _checked(head: bytes) -> int:
    length = int(_LENGTH.unpack(head)[0])
    if length > FRAME_BYTES_MAXIMUM:
        raise BrokenStream(f"a frame of {length} bytes")
    return length


def _read_exactly(descriptor: int, length: int) -> bytes | None:
    parts = bytearray()
    while len(parts) < length:
        part = os.read(descriptor, min(length - len(parts), 1 << 20))
        if not part:
            return None
        parts += part
    return bytes(parts)
