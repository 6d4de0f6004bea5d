"""Names that a folder may be asked for."""

from __future__ import annotations

from longshore.domain.errors import ErrorKind, RetryClass, StorageError
from longshore.storage.handler import TEMPORARY_PREFIX


def check_name(name: bytes, deed: str) -> None:
    """Raise kind `name_invalid` for anything that is not one name inside the folder."""
    if b"/" in name or b"\0" in name or name in {b"", b".", b".."}:
        raise name_invalid(deed, name, "not the name of a file or folder")


def check_temporary_name(name: bytes) -> None:
    """As `check_name`, and the prefix that keeps staged files out of listings is there."""
    check_name(name, "stage")
    if not name.startswith(TEMPORARY_PREFIX):
        raise name_invalid("stage", name, f"not a name that begins with {TEMPORARY_PREFIX!r}")


def name_invalid(deed: str, name: bytes, cause: str) -> StorageError:
    """The error for a name that no storage accepts."""
    return StorageError(ErrorKind.NAME_INVALID, RetryClass.NEVER, deed, name, cause)
