"""Folders through which NAS shares are reached, and the mounts of this machine.

Only names and metadata are looked at here, never what a storage holds.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from threading import BoundedSemaphore, Thread

from longshore.domain.storage import MOUNT_POINT_OPTION, parse_share_options

MOUNT_TABLE = Path("/proc/self/mountinfo")
LOOK_SECONDS = 5.0  # a file server that is well answers in milliseconds
LOOKS_MAXIMUM = 8  # threads that may be held up by file servers that are gone

_looking = BoundedSemaphore(LOOKS_MAXIMUM)

_SHOWN_TYPES = {
    "cifs": "cifs",
    "smb3": "cifs",
    "nfs": "nfs",
    "nfs4": "nfs",
    "fuse": "fuse",
    "fuse.s3fs": "fuse.s3fs",
}


@dataclass(frozen=True, slots=True)
class Mount:
    """One line of the system's table of mounts."""

    id: int
    major_minor: str
    target: str
    options: str
    source: str
    type: str

    @property
    def shown_type(self) -> str | None:
        """The type in the api's words; None for one the api has no word for."""
        return _SHOWN_TYPES.get(self.type)


def mount_point_of(options: str | None) -> str | None:
    """The folder that a share's options name; None where they name none."""
    return parse_share_options(options).get(MOUNT_POINT_OPTION)


def unusable(folder: str, private: tuple[Path, ...]) -> str | None:
    """Why the folder cannot be a mount point, in words; None when it can.

    It has to be absolute, there, a folder and readable, and may neither lie in one of the
    server's private folders nor hold one, whatever symbolic links say.
    """
    if not folder.startswith("/"):
        return "mount_point must be an absolute path"
    found: list[str | None] = []

    def look() -> None:
        try:
            found.append(_reason_against(folder, private))
        finally:
            _looking.release()

    # A file server that is gone holds up whoever looks at its mount, for hours.
    if not _looking.acquire(timeout=LOOK_SECONDS):
        return "too many mount points do not answer"
    thread = Thread(target=look, name="mount-point", daemon=True)
    thread.start()
    thread.join(LOOK_SECONDS)
    return found[0] if found else f"mount_point {folder} does not answer in {LOOK_SECONDS:g} s"


def _reason_against(folder: str, private: tuple[Path, ...]) -> str | None:
    try:
        real = Path(os.path.realpath(folder, strict=True))
        is_folder = real.is_dir()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        return f"mount_point {folder} cannot be reached: {reason}"
    if not is_folder:
        return f"mount_point {folder} is not a folder"
    if not os.access(real, os.R_OK | os.X_OK):
        return f"mount_point {folder} cannot be read by the server"
    if any(_overlap(real, Path(os.path.realpath(own))) for own in private):
        return f"mount_point {folder} overlaps the server's own data folder"
    return None


def _overlap(one: Path, other: Path) -> bool:
    return one == other or one in other.parents or other in one.parents


def mount_of(folder: str) -> Mount | None:
    """The mount that holds the folder, as the system knows it."""
    real = os.path.realpath(folder)
    holding = [mount for mount in _mounts() if _holds(mount.target, real)]
    # Of several mounts on one target the last one hides the others.
    return (
        max(enumerate(holding), key=lambda pair: (len(pair[1].target), pair[0]))[1]
        if (holding)
        else None
    )


def _holds(target: str, path: str) -> bool:
    return target in {"/", path} or path.startswith(target + "/")


def _mounts() -> list[Mount]:
    try:
        lines = MOUNT_TABLE.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return []
    return [mount for mount in map(_parsed, lines) if mount is not None]


def _parsed(line: str) -> Mount | None:
    """One line of proc(5)'s mountinfo: optional fields end at a lone hyphen."""
    left, separator, right = line.partition(" - ")
    fields, rest = left.split(" "), right.split(" ")
    if not separator or len(fields) < 6 or len(rest) < 2:
        return None
    return Mount(
        id=int(fields[0]),
        major_minor=fields[2],
        target=_unescaped(fields[4]),
        options=fields[5],
        source=_unescaped(rest[1]),
        type=rest[0],
    )


def _unescaped(field: str) -> str:
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        field = field.replace(code, character)
    return field
