"""What a destination could not keep of a file: the catalogue holds it until the file comes back."""

from __future__ import annotations

import msgspec


class Unkept(msgspec.Struct, frozen=True, omit_defaults=True):
    """The source's values that a copy does not bear. None and empty: nothing of that was lost."""

    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    mtime_ns: int | None = None
    atime_ns: int | None = None
    attributes: dict[bytes, bytes] = {}
    hard_link: bool = False  # it stands alone where the source shared one file with other names


_NOTHING = Unkept()
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Unkept)


def encode_unkept(unkept: Unkept) -> bytes:
    """The bytes for the catalogue; none when nothing was lost."""
    return b"" if unkept == _NOTHING else _encoder.encode(unkept)


def decode_unkept(data: bytes | None) -> Unkept:
    """What the catalogue's bytes say. Raises msgspec.DecodeError for anything else."""
    return _decoder.decode(data) if data else _NOTHING
