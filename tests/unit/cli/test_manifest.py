"""`longshore verify-manifest` on manifests and folders made by hand."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import xxhash
from typer.testing import CliRunner

from longshore.cli.main import app
from longshore.domain.manifest import (
    COMMA_SEPARATED,
    FORMAT,
    JSON_LINES,
    VERSION,
    FileRecord,
    Header,
    escape,
)
from longshore.domain.manifest_chain import written
from longshore.services import manifest_parquet

FORMS = ["jsonl", "csv", "parquet"]
CONTENT = {b"a/one": b"1" * 10, b"a/t\xff\\wo\n": b"two", b"three": b"", b"big": b"3" * 3_000_000}


def header(**more: object) -> Header:
    given = {
        "format": FORMAT, "version": VERSION, "software": "longshore", "final": True,
        "full": True, "execution": {}, "sources": [], "destinations": [{}], "facts": {},
    }  # fmt: skip
    return Header(**(given | more))  # type: ignore[arg-type]


def record(number: int, target: bytes, content: bytes, **more: object) -> FileRecord:
    given = {
        "number": number, "source": 0, "destination": 0, "path": f"/s/{number}",
        "target_path": "/" + escape(target), "kind": "file", "outcome": "copied",
        "size": len(content), "mtime_ns": 1, "checksum_type": "sha256",
        "checksum": hashlib.sha256(content).hexdigest(),
        "xxh3_128": xxhash.xxh3_128_hexdigest(content), "attempts": 1, "finished_ns": number,
    }  # fmt: skip
    return FileRecord(**(given | more))  # type: ignore[arg-type]


def write(file: Path, form: str, records: list[FileRecord], **more: object) -> Path:
    if form == "parquet":
        pieces = manifest_parquet.written(header(**more), [records])
    else:
        layout = JSON_LINES if form == "jsonl" else COMMA_SEPARATED
        pieces = written(layout, header(**more), [records])
    file.write_bytes(b"".join(pieces))
    return file


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A destination that holds what the records say."""
    folder = tmp_path / "root"
    for name, content in CONTENT.items():
        path = os.path.join(os.fsencode(folder), name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)
    (folder / "link").symlink_to("three")
    return folder


@pytest.fixture
def records() -> list[FileRecord]:
    files = [record(number, name, CONTENT[name]) for number, name in enumerate(CONTENT)]
    return [
        *files,
        record(10, b"link", b"three", kind="symlink"),
        record(11, b"never/there", b"", outcome="failed", target_path=None),
        record(12, b"never/compared", b"x", outcome="kept"),
    ]


Manifest = Callable[[str], Path]


@pytest.fixture
def manifest(tmp_path: Path, records: list[FileRecord]) -> Manifest:
    return lambda form: write(tmp_path / f"manifest.{form}", form, records)


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["verify-manifest", *map(str, arguments)])
    assert isinstance(result.exception, SystemExit | None), result.exception
    return result.exit_code, result.output


@pytest.mark.parametrize("form", FORMS)
def test_a_whole_manifest_and_its_destination_are_as_written(
    manifest: Manifest, root: Path, form: str
) -> None:
    code, said = run(manifest(form))
    assert (code, "7 records: all as written" in said) == (0, True)
    code, said = run(manifest(form), "--root", root)
    assert (code, "7 records, 5 files read: all as written" in said) == (0, True), said
    seal = said.split()[-1]
    assert run(manifest(form), "--sha256", seal)[0] == 0
    code, said = run(manifest(form), "--sha256", "0" * 64)
    assert (code, seal in said) == (1, True)


@pytest.mark.parametrize("form", FORMS)
def test_every_difference_is_named(manifest: Manifest, root: Path, form: str) -> None:
    with open(root / "big", "r+b") as big:
        big.seek(2_000_000)
        big.write(b"x")
    (root / "three").unlink()
    os.truncate(os.path.join(os.fsencode(root), b"a/t\xff\\wo\n"), 2)
    (root / "link").unlink()
    (root / "link").symlink_to("elsewhere")
    code, said = run(manifest(form), "--root", root)
    *differences, summary = said.splitlines()
    assert code == 1
    assert [each.split(": it")[0] for each in differences] == [
        "/a/t\\xff\\\\wo\\x0a", "/three", "/big", "/link",
    ]  # fmt: skip
    assert "has 2 bytes instead of 3" in differences[0]
    assert "it is missing" in differences[1]
    assert "xxh3-128" in differences[2]
    assert "5 files read: 4 problems" in summary


@pytest.mark.parametrize("kind", ["folder", "pipe", "link"])
def test_something_else_in_the_place_of_a_file_is_named(
    manifest: Manifest, root: Path, kind: str
) -> None:
    (root / "three").unlink()
    {"folder": os.mkdir, "pipe": os.mkfifo, "link": lambda path: os.symlink("big", path)}[kind](
        root / "three"
    )
    code, said = run(manifest("jsonl"), "--root", root)
    assert (code, "/three: it is not a file any more" in said) == (1, True)


def test_a_file_that_the_execution_wrote_over_itself_is_no_difference(
    tmp_path: Path, root: Path
) -> None:
    """Two sources may bring the same name; the records need not stand in the order of time."""
    rows = [
        record(1, b"three", CONTENT[b"three"], outcome="overwritten", finished_ns=200),
        record(2, b"three", b"before", finished_ns=100),
    ]
    assert run(write(tmp_path / "m", "jsonl", rows), "--root", root)[0] == 0
    (root / "three").write_bytes(b"before")
    code, said = run(write(tmp_path / "m", "jsonl", rows), "--root", root)
    assert (code, said.count("/three")) == (1, 1)


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_a_changed_manifest_is_named_by_its_block(manifest: Manifest, form: str) -> None:
    file = manifest(form)
    file.write_bytes(file.read_bytes().replace(b"/s/1", b"/s/8"))
    code, said = run(file)
    assert (code, "block 1 (records 1 to 7) is not what was written" in said) == (1, True)
    file.write_bytes(file.read_bytes()[:-200])
    assert "it is cut off" in run(file)[1]


def test_with_several_destinations_one_has_to_be_chosen(tmp_path: Path, root: Path) -> None:
    rows = [record(1, b"three", b""), record(2, b"elsewhere", b"", destination=1)]
    file = write(tmp_path / "m", "jsonl", rows, destinations=[{}, {}])
    code, said = run(file, "--root", root)
    assert (code, "--destination (0 to 1)" in said) == (2, True)
    assert run(file, "--root", root, "--destination", 0)[0] == 0
    assert run(file, "--root", root, "--destination", 1)[0] == 1
    assert run(file, "--root", root, "--destination", 2)[0] == 2
    assert run(file)[0] == 0


def test_a_path_that_leads_out_of_the_root_is_never_followed(tmp_path: Path, root: Path) -> None:
    (tmp_path / "outside").write_bytes(b"")
    file = write(tmp_path / "m", "jsonl", [record(1, b"../outside", b"")])
    code, said = run(file, "--root", root)
    assert (code, "its path is no path" in said) == (1, True)


def test_what_cannot_be_read_is_told_apart_from_what_differs(tmp_path: Path, root: Path) -> None:
    junk = tmp_path / "junk"
    for content in (b"", b"hello\n", b"PAR1", b"PAR1" + b"x" * 100):
        junk.write_bytes(content)
        assert run(junk)[0] == 2, content
    assert run(tmp_path / "missing")[0] == 2
    assert run(root)[0] == 2
    assert run(junk, "--root", tmp_path / "missing")[0] == 2
    assert run()[0] == 2


def test_a_manifest_of_an_execution_that_was_not_over_says_so(tmp_path: Path) -> None:
    code, said = run(write(tmp_path / "m", "jsonl", [], final=False))
    assert (code, "of an execution that was not over" in said) == (0, True)
