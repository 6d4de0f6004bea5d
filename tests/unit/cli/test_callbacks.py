"""`longshore callback test`: the command as it is typed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from longshore.callbacks import Language, self_test

POLICY = """import utils

def run(req):
    info = utils.get_node_info(req)
    print("looking at", info.path)
    if info.path.endswith(".odd"):
        return 1
    return info.path.endswith(".wav") and info.size > 2
"""


def callback_test(script: str, path: Path, *options: str, **settings: str) -> tuple[int, str, str]:
    """(exit status, output, errors)"""
    file = path.parent / "policy"
    file.write_text(script)
    clean = {k: v for k, v in os.environ.items() if not k.startswith("LONGSHORE_")}
    run = subprocess.run(
        [sys.executable, "-m", "longshore", "callback", "test", str(file), str(path), *options],
        env={**clean, **settings},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return run.returncode, run.stdout, run.stderr


@pytest.fixture
def music(tmp_path: Path) -> Path:
    folder = tmp_path / "music"
    (folder / "live").mkdir(parents=True)
    (folder / "a.wav").write_bytes(b"123")
    (folder / "live" / "b.wav").write_bytes(b"12345")
    (folder / "live" / "c.mp3").write_bytes(b"123456")
    (folder / "link.wav").symlink_to("a.wav")
    return folder


def test_a_script_that_is_fine_ends_with_nothing_wrong(music: Path) -> None:
    status, output, errors = callback_test(POLICY, music)
    assert (status, errors) == (0, "")
    lines = output.splitlines()
    assert "printed: looking at /live/b.wav" in lines
    assert "accepted: /live/b.wav (5 bytes)" in lines
    assert "refused: /live/c.mp3 (6 bytes)" in lines
    assert "4 files: 3 accepted (13 bytes), 1 refused, 0 failed, 0 timed out" in lines
    assert any(line.endswith("µs per file (python)") for line in lines)


def test_a_script_that_fails_on_a_file_ends_with_one(music: Path) -> None:
    (music / "what.odd").write_bytes(b"1")
    status, output, _ = callback_test(POLICY, music)
    assert status == 1
    assert "failed: /what.odd (1 bytes): " in output
    assert "True or False" in output
    assert "5 files: 3 accepted (13 bytes), 1 refused, 1 failed, 0 timed out" in output


@pytest.mark.parametrize(
    ("script", "place"),
    [
        ("def run(req):\n    return (\n", "(line 2, column 12)"),
        ("import subprocess\ndef run(req):\n    return True\n", "line 1"),
        ("\n", "blank"),
        ("def walk(req):\n    return True\n", "run"),
    ],
)
def test_an_invalid_script_ends_with_two_and_its_place(
    music: Path, script: str, place: str
) -> None:
    status, output, errors = callback_test(script, music)
    assert (status, output) == (2, "")
    assert errors.startswith(str(music.parent / "policy"))
    assert place in errors


@pytest.mark.skipif(
    Language.JAVASCRIPT not in self_test().languages, reason="the package quickjs is missing"
)
def test_javascript_is_tried_the_same_way(music: Path) -> None:
    script = "// js\nfunction run(req) { return utils.getNodeInfo(req).getSize() > 4 }\n"
    status, output, _ = callback_test(script, music, "--samples", "0")
    assert status == 0
    assert output.splitlines()[0].startswith("4 files: 3 accepted")
    status, _, errors = callback_test("// js\nfunction run(req) {\n  return (1;\n}\n", music)
    assert status == 2
    assert "line 3" in errors


def test_a_single_file_may_be_asked_about(music: Path) -> None:
    status, output, _ = callback_test(POLICY, music / "live" / "b.wav")
    assert status == 0
    assert "accepted: /b.wav (5 bytes)" in output


def test_the_bounds_are_kept_and_told(music: Path) -> None:
    status, output, _ = callback_test(POLICY, music, "--files", "2", "--samples", "1")
    assert status == 0
    assert output.count("accepted: ") <= 1
    assert "2 files: " in output
    assert "not all files were looked at: --files is reached" in output


def test_a_script_that_is_given_up_ends_with_one(music: Path) -> None:
    status, output, _ = callback_test(
        "def run(req):\n    while True:\n        pass\n",
        music,
        LONGSHORE_CALLBACK_SOFT_TIMEOUT_SECONDS="0.1",
        LONGSHORE_CALLBACK_MAX_DEATHS="2",
    )
    assert status == 1
    assert "given up: the script ran out of time or lost its worker 2 times" in output


def test_what_cannot_be_tried_ends_with_three(music: Path) -> None:
    status, _, errors = callback_test(POLICY, music.parent / "nowhere")
    assert status == 3
    assert "nowhere" in errors
    settings = {"LONGSHORE_CALLBACK_LANGUAGES": ""}
    status, _, errors = callback_test(POLICY, music, **settings)
    assert status == 3
    assert "switched off" in errors


def test_names_cannot_command_the_terminal(music: Path) -> None:
    (music / "\x1b[2Jclear.wav").write_bytes(b"123")
    Path(os.fsdecode(os.fsencode(music) + b"/\xff.wav")).write_bytes(b"123")
    status, output, _ = callback_test(POLICY, music, "--samples", "10")
    assert status == 0
    assert "\x1b" not in output
    assert "accepted: /\\x1b[2Jclear.wav (3 bytes)" in output
    assert "accepted: /\\xff.wav (3 bytes)" in output
