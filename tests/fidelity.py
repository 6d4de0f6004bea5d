"""A tree with every feature that a file may have, and what became of each one in a copy of it."""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

MEBIBYTE = 1 << 20
MTIME_NS = 1_234_567_890_123_456_789
ATIME_NS = 1_111_111_111_987_654_321
ANYBODY = 0xFFFFFFFF
ACCESS, DEFAULT = "system.posix_acl_access", "system.posix_acl_default"
CAPABILITY = struct.pack("<5I", 0x02000001, 1 << 10, 0, 0, 0)  # may bind ports below 1024
ODD_NAME = b"odd \xff\n name"


def access_list(owner: int) -> bytes:
    """A POSIX ACL as Linux shows it, in which a further user may read and write."""
    entries = [(1, owner, ANYBODY), (2, 6, 54_321), (4, 0, ANYBODY), (16, 6, ANYBODY)]
    entries.append((32, 0, ANYBODY))
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


def grow_all(root: Path) -> None:
    """Make the tree. What only root may make is left out for ordinary users."""
    (root / "plain").write_bytes(b"content" * 1000)
    (root / "empty file").write_bytes(b"")
    (root / os.fsdecode(ODD_NAME)).write_bytes(b"odd")
    (root / "mode").write_bytes(b"mode")
    (root / "mode").chmod(0o4751)
    (root / "times").write_bytes(b"times")
    os.utime(root / "times", ns=(ATIME_NS, MTIME_NS))
    (root / "attributes").write_bytes(b"attributes")
    os.setxattr(root / "attributes", "user.note", b"\x00value\xff")
    (root / "attributes").chmod(0o444)
    (root / "acl").write_bytes(b"acl")
    os.setxattr(root / "acl", ACCESS, access_list(6))
    os.symlink("nowhere/\udcff", root / "symlink")
    os.utime(root / "symlink", ns=(ATIME_NS, MTIME_NS), follow_symlinks=False)
    _grow_links(root)
    _grow_sparse(root)
    _grow_folders(root)
    os.mkfifo(root / "pipe")
    if os.geteuid() == 0:
        _grow_as_root(root)


def _grow_links(root: Path) -> None:
    (root / "links").mkdir()
    (root / "linked").write_bytes(b"linked" * 100)
    os.link(root / "linked", root / "links" / "again")
    os.link(root / "linked", root / "links" / "and again")


def _grow_sparse(root: Path) -> None:
    with (root / "sparse").open("wb") as file:
        file.seek(3 * MEBIBYTE)
        file.write(b"data in the middle")
        file.truncate(9 * MEBIBYTE)
    with (root / "hole").open("wb") as file:
        file.truncate(MEBIBYTE)


def _grow_folders(root: Path) -> None:
    (root / "folder" / "empty").mkdir(parents=True)
    (root / "folder" / "inside").write_bytes(b"inside")  # before there is a list to inherit
    os.setxattr(root / "folder", "user.note", b"of a folder")
    os.setxattr(root / "folder", ACCESS, access_list(7))
    os.setxattr(root / "folder", DEFAULT, access_list(7))
    (root / "folder" / "empty").chmod(0o750)
    os.utime(root / "folder" / "empty", ns=(ATIME_NS, MTIME_NS))
    os.utime(root / "folder", ns=(ATIME_NS, MTIME_NS))


def _grow_as_root(root: Path) -> None:
    (root / "owner").write_bytes(b"owner")
    os.chown(root / "owner", 54_321, 54_322)
    (root / "owner").chmod(0o6755)
    (root / "capability").write_bytes(b"capability")
    os.chown(root / "capability", 54_321, -1)
    os.setxattr(root / "capability", "security.capability", CAPABILITY)
    os.setxattr(root / "capability", "trusted.note", b"1")
    os.lchown(root / "symlink", 54_321, 54_322)
    os.setxattr(root / "symlink", "trusted.note", b"1", follow_symlinks=False)
    os.chown(root / "folder" / "empty", 54_321, 54_322)
    os.mknod(root / "device", 0o600 | stat.S_IFCHR, os.makedev(1, 3))


# ------------------------------------------------------------------------------- looking


@dataclass(frozen=True, slots=True)
class Feature:
    """One thing that a copy may keep: `of` tells it of a file, equal for equal files."""

    title: str
    name: str  # of the file that has it
    of: Callable[[Path], object]
    needs: str  # the ability of the destination
    root_only: bool = False


def content(path: Path) -> bytes:
    return path.read_bytes()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def owner(path: Path) -> tuple[int, int]:
    return path.lstat().st_uid, path.lstat().st_gid


def mtime(path: Path) -> int:
    return path.lstat().st_mtime_ns


def atime(path: Path) -> int:
    return path.lstat().st_atime_ns


def attributes(path: Path) -> dict[str, bytes]:
    names = os.listxattr(path, follow_symlinks=False)
    return {
        name: os.getxattr(path, name, follow_symlinks=False)
        for name in names
        if not name.startswith("security.selinux")
    }


def is_sparse(path: Path) -> bool:
    return path.stat().st_blocks * 512 < path.stat().st_size // 2


def names_of_file(path: Path) -> list[bytes]:
    """Every name below the tree's root that shares the file, by the root's other names."""
    root, identity = path.parent, path.stat().st_ino
    return sorted(
        os.path.relpath(os.path.join(folder, name), os.fsencode(root))
        for folder, _, names in os.walk(os.fsencode(root))
        for name in names
        if os.lstat(os.path.join(folder, name)).st_ino == identity
    )


FEATURES = (
    Feature("Content", "plain", content, "always"),
    Feature("Empty files", "empty file", content, "always"),
    Feature("Names of any bytes", os.fsdecode(ODD_NAME), content, "always"),
    Feature("Permission bits, setuid included", "mode", mode, "`permissions`"),
    Feature("Owner and group", "owner", owner, "`ownership`", root_only=True),
    Feature("Setuid of another owner", "owner", mode, "`ownership`", root_only=True),
    Feature(
        "Modification time, to the nanosecond", "times", mtime, "`time_resolution_nanoseconds`"
    ),
    Feature("Access time, to the nanosecond", "times", atime, "`time_resolution_nanoseconds`"),
    Feature("Attributes `user.*`", "attributes", attributes, "`extended_attributes`"),
    Feature(
        "File capabilities and `trusted.*`",
        "capability",
        attributes,
        "`extended_attributes`",
        root_only=True,
    ),
    Feature("POSIX ACL", "acl", attributes, "`access_lists`"),
    Feature("Mode of a file with an ACL", "acl", mode, "`access_lists`"),
    Feature("Symbolic link: target", "symlink", os.readlink, "`symlinks`"),
    Feature("Symbolic link: own time", "symlink", mtime, "`symlinks`"),
    Feature("Symbolic link: owner", "symlink", owner, "`ownership`", root_only=True),
    Feature("Symbolic link: attributes", "symlink", attributes, "`symlinks`", root_only=True),
    Feature("Hard links inside one execution", "linked", names_of_file, "`hard_links`"),
    Feature("Sparse file: content", "sparse", content, "always"),
    Feature("Sparse file: holes", "sparse", is_sparse, "`sparse`"),
    Feature("File that is one hole", "hole", is_sparse, "`sparse`"),
    Feature("Empty folder", "folder/empty", Path.is_dir, "always"),
    Feature("Folder: permission bits", "folder/empty", mode, "`permissions`"),
    Feature("Folder: owner and group", "folder/empty", owner, "`ownership`", root_only=True),
    Feature("Folder: modification time", "folder", mtime, "`time_resolution_nanoseconds`"),
    Feature("Folder: attributes, ACL, default ACL", "folder", attributes, "`access_lists`"),
    Feature("No ACL where the source has none", "folder/inside", attributes, "always"),
)


def kept(feature: Feature, source: Path, copy: Path) -> bool:
    """Whether the copy bears what the source does."""
    try:
        return feature.of(source / feature.name) == feature.of(copy / feature.name)
    except FileNotFoundError:
        return False


def features_here() -> list[Feature]:
    """Those that this user can make."""
    return [each for each in FEATURES if os.geteuid() == 0 or not each.root_only]
