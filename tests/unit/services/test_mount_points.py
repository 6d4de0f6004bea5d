from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Event

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


class Silent(tuple[Path, ...]):
    """Private folders that keep whoever looks at them waiting, as a dead file server does."""

    asked: Event

    def __iter__(self) -> Iterator[Path]:
        assert self.asked.wait(timeout=30)
        return iter(())


def test_a_mount_that_does_not_answer_holds_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mount_points, "LOOK_SECONDS", 0.01)
    silent = Silent()
    silent.asked = Event()
    for _ in range(mount_points.LOOKS_MAXIMUM):
        assert "does not answer" in str(mount_points.unusable(str(tmp_path), silent))
    assert "too many" in str(mount_points.unusable(str(tmp_path), ()))
    silent.asked.set()
    monkeypatch.setattr(mount_points, "LOOK_SECONDS", 30)
    assert mount_points.unusable(str(tmp_path), ()) is None


def test_the_option_names_the_folder() -> None:
    assert mount_points.mount_point_of(None) is None
    assert mount_points.mount_point_of("ro,vers=3") is None
    assert mount_points.mount_point_of("ro, mount_point=/mnt/a b ,x") == "/mnt/a b"
