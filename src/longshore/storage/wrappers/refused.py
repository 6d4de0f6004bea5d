"""A storage that cannot be opened as it is declared: every deed says why."""

from __future__ import annotations

from typing import NoReturn

from longshore.domain.errors import ErrorKind, RetryClass, StorageUnavailable
from longshore.domain.storage import Capabilities, StorageReference
from longshore.storage.handler import Folder, Space, StorageHandler

_NOTHING = Capabilities(
    atomic_replace=False,
    exclusive_create=False,
    symlinks=False,
    permissions=False,
    ownership=False,
    time_resolution_nanoseconds=1,
    ranged_write=False,
    parallel_operations=1,
)


class RefusedStorage(StorageHandler):
    """Stands for a storage whose options or keys mean nothing, until somebody corrects them."""

    capabilities = _NOTHING

    def __init__(self, reference: StorageReference, reason: str) -> None:
        self.reference = reference
        self._reason = reason

    def close(self) -> None:
        return

    def check(self, *, writable: bool) -> None:
        self._refuse("use storage")

    def space(self) -> Space:
        self._refuse("use storage")

    def open_folder(self, path: bytes, *, create: bool = False) -> Folder:
        self._refuse("open folder", path)

    def make_durable(self) -> None:
        self._refuse("use storage")

    def _refuse(self, deed: str, path: bytes = b"") -> NoReturn:
        kind, later = ErrorKind.UNSUPPORTED, RetryClass.LATER
        raise StorageUnavailable(kind, later, deed, path, self._reason)
