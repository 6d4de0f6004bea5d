"""Giving files and folders the metadata of their sources, and noting what the destination loses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from longshore.domain.entry import Entry, EntryKind
from longshore.domain.fidelity import Unkept, decode_unkept, encode_unkept
from longshore.pipeline.toolbox import Toolbox
from longshore.storage.handler import Metadata, attribute_of_field

PERMISSION_BITS = 0o7777

SetMetadata = Callable[[Metadata], tuple[str, ...]]

_WORDS = {
    "mode": "permission bits",
    "uid": "owner",
    "gid": "group",
    "mtime_ns": "modification time",
    "atime_ns": "access time",
}
HARD_LINKS = "hard links"
HOLES = "holes of sparse files"


def keep(
    set_metadata: SetMetadata,
    entry: Entry,
    attributes: Mapping[bytes, bytes] | None,
    toolbox: Toolbox,
) -> bytes:
    """Set the metadata of the source; what was lost, as bytes for the catalogue.

    Each kind of loss becomes a warning.
    """
    metadata = metadata_to_keep(entry, attributes, toolbox)
    fields = set_metadata(metadata)
    return note_lost(fields, metadata, toolbox) if fields else b""


def metadata_to_keep(
    entry: Entry, attributes: Mapping[bytes, bytes] | None, toolbox: Toolbox
) -> Metadata:
    """What the copy of a file or folder is to have, by the options of the task."""
    metadata = metadata_of(entry, attributes)
    plan = toolbox.plan
    is_folder = entry.kind is EntryKind.FOLDER
    if plan.reset_folder_date if is_folder else plan.reset_file_date:
        return msgspec.structs.replace(metadata, mtime_ns=None, atime_ns=None, ctime_ns=None)
    return metadata


def original(
    entry: Entry, attributes: Mapping[bytes, bytes] | None, unkept: bytes
) -> tuple[Entry, Mapping[bytes, bytes] | None]:
    """The metadata that the file had before a copy lost some of it; `unkept` says what."""
    if not unkept:
        return entry, attributes
    lost = decode_unkept(unkept)
    values = {name: getattr(lost, name) for name in ("uid", "gid", "mtime_ns", "atime_ns")}
    known = {name: value for name, value in values.items() if value is not None}
    if lost.mode is not None:
        known["mode"] = entry.mode & ~PERMISSION_BITS | lost.mode & PERMISSION_BITS
    if lost.attributes:
        attributes = {**(attributes or {}), **lost.attributes}
    return msgspec.structs.replace(entry, **known), attributes


def metadata_of(entry: Entry, attributes: Mapping[bytes, bytes] | None) -> Metadata:
    """The metadata that travels with a file. None: its attributes are not known."""
    return Metadata(
        mode=None if entry.kind is EntryKind.SYMLINK else entry.mode & PERMISSION_BITS,
        uid=entry.uid,
        gid=entry.gid,
        mtime_ns=entry.mtime_ns,
        atime_ns=entry.atime_ns,
        attributes=attributes,
        ctime_ns=entry.ctime_ns or None,
    )


def note_lost(fields: Iterable[str], metadata: Metadata, toolbox: Toolbox) -> bytes:
    """Warn of the fields that were not kept; their values, as bytes for the catalogue."""
    values: dict[str, Any] = {}
    attributes: dict[bytes, bytes] = {}
    for field in fields:
        name = attribute_of_field(field)
        warn_of(_WORDS[field] if name is None else _kind_of(name), toolbox)
        if name is None:
            values[field] = getattr(metadata, field)
        else:
            attributes[name] = (metadata.attributes or {})[name]
    return encode_unkept(Unkept(attributes=attributes, **values))


def without_link(lost: bytes, toolbox: Toolbox) -> bytes:
    """Warn that a name stands alone now; the same losses with that one among them."""
    warn_of(HARD_LINKS, toolbox)
    return encode_unkept(msgspec.structs.replace(decode_unkept(lost), hard_link=True))


def warn_of(what: str, toolbox: Toolbox) -> None:
    """Tell once that the destination does not keep this."""
    toolbox.warn(f"the destination does not keep: {what}")


def _kind_of(attribute: bytes) -> str:
    """Attributes are told by their kind: there may be thousands of names."""
    if attribute.startswith(b"system.posix_acl_"):
        return "access lists"
    namespace = attribute.partition(b".")[0].decode("ascii", "replace")
    return f"extended attributes of the kind {namespace}"
