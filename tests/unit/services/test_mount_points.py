from __future__ import annotations

from pathlib import Path

import pytest

from longshore.services import mount_points


def test_the_mount_of_a_folder_is_the_innermost_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(
        "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"
        "22 1 0:50 / /mnt/the\\040filer rw,noatime shared:9 - nfs4 filer:/export rw\n"
        "23 1 0:51 / /mnt/the\\040filer/deep rw - cifs //filer/deep rw\n"
        "not a line\n"
    )
    monkeypatch.setattr(mount_points, "MOUNT_TABLE", table)
    mount = mount_points.mount_of("/mnt/the filer/photos")
    assert mount is not None
    assert (mount.id, mount.major_minor, mount.source) == (22, "0:50", "filer:/export")
    assert (mount.target, mount.shown_type) == ("/mnt/the filer", "nfs")
    inner = mount_points.mount_of("/mnt/the filer/deep/er")
    assert inner is not None
    assert inner.shown_type == "cifs"
    root = mount_points.mount_of("/srv")
    assert root is not None
    assert (root.id, root.shown_type) == (1, None)
    monkeypatch.setattr(mount_points, "MOUNT_TABLE", tmp_path / "none")
    assert mount_points.mount_of("/srv") is None


def test_the_option_names_the_folder() -> None:
    assert mount_points.mount_point_of(None) is None
    assert mount_points.mount_point_of("ro,vers=3") is None
    assert mount_points.mount_point_of("ro, mount_point=/mnt/a b ,x") == "/mnt/a b"
