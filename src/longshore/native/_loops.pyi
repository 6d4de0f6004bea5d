from collections.abc import Iterable, Sequence
from typing import Final

from longshore.domain.entry import Entry

REVISION: Final[int]
VERIFY: Final[int]
FROM_MEDIUM: Final[int]
KEEP_TIMES: Final[int]
LOST_UID: Final[int]
LOST_GID: Final[int]
FILES_MAXIMUM: Final[int]
MD5_LANES: Final[int]

class Listing:
    def __new__(cls, blocks: Iterable[bytes], /) -> Listing: ...
    def __bool__(self) -> bool: ...
    def take(self, folder: int, count: int, /) -> tuple[list[Entry], bytes | None]: ...

def has_hash() -> bool: ...
def md5_together(*contents: bytes | bytearray | memoryview) -> list[bytes]: ...
def read_names(folder: int, after: bytes, prefix: bytes, size: int, /) -> bytes: ...
def stage(
    source: int,
    target: int,
    names: Sequence[bytes],
    temporary_names: Sequence[bytes],
    flags: int,
    size_maximum: int,
    seconds: float,
    unnamed_below: int,
    /,
) -> tuple[list[tuple[Entry, bytes, int]], list[int]]: ...
def publish(
    folder: int,
    temporary_names: Sequence[bytes],
    names: Sequence[bytes],
    replace: bytes,
    descriptors: Sequence[int],
    /,
) -> int: ...
def read(
    folder: int, names: Sequence[bytes], size_maximum: int, /
) -> list[tuple[Entry, bytes, bytes]]: ...
def write(
    folder: int,
    contents: Sequence[bytes],
    temporary_names: Sequence[bytes],
    details: Sequence[tuple[int, int, int, int, int]],
    flags: int,
    unnamed_below: int,
    /,
) -> tuple[list[tuple[bytes, int]], list[int]]: ...
def compare(
    source: Listing,
    source_folder: int,
    target: Listing,
    target_folder: int,
    count: int,
    resolution: int,
    /,
) -> tuple[
    int,
    int,
    tuple[bytes, bytes],
    bytes,
    bytes,
    list[tuple[Entry, Entry | None]],
    bytes,
    tuple[bytes, bool] | None,
]: ...
