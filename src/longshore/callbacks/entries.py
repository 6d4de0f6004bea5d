"""From an entry of a storage or of the catalogue to the file that a callback is asked about."""

from longshore.domain import paths
from longshore.domain.entry import Entry

from .values import FileInfo


def file_info(folder: bytes, entry: Entry) -> FileInfo:
    """What a callback learns of the entry of that folder; the storage's root is `/`."""
    return FileInfo(
        path=b"/" + paths.join(folder, entry.name),
        mode=entry.mode,
        uid=entry.uid,
        gid=entry.gid,
        size=entry.size,
        atime_ns=entry.atime_ns,
        mtime_ns=entry.mtime_ns,
        ctime_ns=entry.ctime_ns,
    )
