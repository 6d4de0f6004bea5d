"""Storages as the rest of the system names them."""

from __future__ import annotations

from enum import IntEnum, StrEnum

import msgspec

from longshore.domain.paths import PATH_BYTES_MAXIMUM

SLOTS_MAXIMUM = 10_000  # of one storage; more is no limit in practice


class NasType(StrEnum):
    SMB_V1 = "smb_v1"
    SMB_V2_1 = "smb_v2_1"
    SMB_V3 = "smb_v3"
    NFS_V3 = "nfs_v3"
    NFS_V4 = "nfs_v4"
    STORENEXT_V5 = "storenext_v5"


class PoolType(StrEnum):
    ACTIVE_ARCHIVE = "active_archive"
    OFFLINE_ARCHIVE = "offline_archive"
    DATA_EXCHANGE = "data_exchange"
    SCRATCH = "scratch"
    DATA_ENRICHMENT = "data_enrichment"
    PRIMARY = "primary"


class PoolContent(StrEnum):
    TAPE = "tape"
    CLOUD = "cloud"
    NAS = "nas"


class GuestRight(StrEnum):
    NONE = "none"
    READ = "read"
    READ_WRITE = "read_write"


class StorageKind(IntEnum):
    """The table that a storage id belongs to."""

    CONTAINER = 1
    NAS_SHARE = 2
    CLOUD_BUCKET = 3
    TAPE = 4


class StorageReference(msgspec.Struct, frozen=True, array_like=True):
    """One storage device: what copies and slots are counted by."""

    kind: StorageKind
    id: int


class StorageAddress(msgspec.Struct, frozen=True, array_like=True):
    """How a mover reaches a storage: the backend's name and its settings, secrets included.

    It crosses process boundaries and stands in the journal only as long as its execution lives.
    """

    reference: StorageReference
    backend: str
    settings: dict[str, str] = {}


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What a storage can do. The pipeline asks here and never for a storage's type."""

    atomic_replace: bool  # publishing over an existing name shows the old or the new, nothing else
    exclusive_create: bool  # publishing only if the name is free is one atomic step
    symlinks: bool
    permissions: bool  # mode bits
    ownership: bool  # uid and gid, where the process may set them
    time_resolution_nanoseconds: int  # the step in which modification times are kept
    ranged_write: bool  # parts of one staged file may be written in any order, by several movers
    parallel_operations: int  # how many operations at once pay off in one mover
    sequential_only: bool = False  # tape: one stream at a time, in order
    name_bytes_maximum: int = 255
    extended_attributes: bool = False  # as far as the process may set them
    access_lists: bool = False  # POSIX ACLs, as the attributes `system.posix_acl_*`
    sparse: bool = False  # holes are told from data when reading, and stay holes when written
    hard_links: bool = False  # several names of one file
    shared_by_threads: bool = False
    """The handler and its folders may be used by several threads at once, except to close them;
    what they open, each by one thread at a time."""

    confirms_content: bool = False
    """The storage compares checksums of all that is written, at the latest in `commit`, and staged
    files cannot be read back: the answer is the verification."""

    path_bytes_maximum: int = PATH_BYTES_MAXIMUM  # of names that need no escapes
    holds_names: bool = True
    """An opened folder or file is held: whatever becomes of its name, it stays what it was. Where
    it is not, a folder is looked up again with each deed, and reading on after its content was
    replaced or removed raises an error (small files are read at once)."""

    change_times: bool = False
    """The time of change (ctime) moves with every change of content or metadata, and nobody can set
    it. Reading leaves it alone."""

    interprets_access: bool = True  # access lists have an effect: checked, and handed down
    staged_in_memory_bytes: int = 0
    """Staged files up to this size are in the handler's memory until `commit`: no other handler
    sees them, and whether the storage is there and has room is only found out then. So nobody may
    go on with one that another has begun."""


POSIX_BACKEND = "posix"


def folder_address(reference: StorageReference, folder: str) -> StorageAddress:
    """A storage that movers reach as a folder of their own machine."""
    return StorageAddress(reference, POSIX_BACKEND, {"root": folder})


def parse_share_options(options: str | None) -> dict[str, str]:
    """The options of a NAS share, written as `name=value,name=value`; a bare name has value ""."""
    pairs = (part.partition("=") for part in (options or "").split(","))
    return {name.strip(): value.strip() for name, _, value in pairs if name.strip()}


MOUNT_POINT_OPTION = "mount_point"
"""The share is reached through this absolute folder of the mover's machine."""
