"""`longshore demo` as a newcomer runs it."""

from __future__ import annotations

import os
import pty
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import psutil
import pytest

from tests.trees import grow

DEMO_SECONDS = 180  # a few hundred files take some; imports on a loaded machine take longer
FILES = 300


class Demo:
    """Runs demos with an empty home and a temporary folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.temporary = folder / "temporary"
        self.source = folder / "source"
        for each in (self.home, self.temporary, self.source):
            each.mkdir()

    def start(self, **environment: str) -> subprocess.Popen[str]:
        settings = {
            "HOME": str(self.home),
            "TMPDIR": str(self.temporary),
            "DEMO_SOURCE": str(self.source),
        }
        return subprocess.Popen(
            [sys.executable, "-m", "longshore", "demo"],
            env={**os.environ, **settings, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, **environment: str) -> tuple[int, str, str]:
        """Exit status, standard output, standard error."""
        process = self.start(**environment)
        try:
            printed, errors = process.communicate(timeout=DEMO_SECONDS)
        except BaseException:
            process.terminate()  # it takes its server with it
            process.wait(30)
            raise
        return process.returncode, printed, errors

    def left(self) -> list[str]:
        return [each.name for each in self.temporary.iterdir()]


@pytest.fixture
def demo(tmp_path: Path) -> Demo:
    made = Demo(tmp_path)
    grow(made.source, FILES)
    (made.source / "empty").mkdir()
    (made.source / "link").symlink_to("d000")
    (made.source / os.fsdecode(b"n\xff\n")).write_bytes(b"strange name")
    (made.source / "package" / "__pycache__").mkdir(parents=True)
    (made.source / "package" / "module.py").write_text("pass\n")
    (made.source / "package" / "__pycache__" / "module.pyc").write_bytes(b"left out")
    return made


def size(folder: Path) -> int:
    """The bytes of what the demo archives, links counted by their targets."""
    paths = [path for path in folder.rglob("*") if path.is_symlink() or path.is_file()]
    return sum(path.lstat().st_size for path in paths if path.suffix != ".pyc")


def server_process(demo: Demo, printed: str) -> psutil.Process:
    found = re.search(r"is process (\d+)", printed)
    assert found is not None, printed
    return psutil.Process(int(found.group(1)))


def servers_of(demo: Demo) -> list[psutil.Process]:
    """Processes whose data lies in the demo's temporary folder."""
    found = []
    for process in psutil.process_iter():
        try:
            data_dir = process.environ().get("LONGSHORE_DATA_DIR", "")
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
        if data_dir.startswith(f"{demo.temporary}/"):
            found.append(process)
    return found


def test_two_demos_at_once_archive_their_folders_and_leave_nothing_behind(
    demo: Demo, tmp_path_factory: pytest.TempPathFactory
) -> None:
    locked = demo.source / "locked"
    locked.mkdir()
    (locked / "file").write_text("its owner may not change the folder")
    locked.chmod(0o555)
    other = Demo(tmp_path_factory.mktemp("other"))
    (other.source / "file").write_text("content")
    second = other.start()
    try:
        status, printed, errors = demo.run()
        other_printed, other_errors = second.communicate(timeout=DEMO_SECONDS)
    finally:
        locked.chmod(0o755)
        second.terminate()
        second.wait(30)
    assert (second.returncode, other_errors) == (0, ""), other_printed
    assert other.left() == []
    assert (status, errors) == (0, ""), printed
    last = printed.splitlines()[-1]
    files, total = FILES + 4, size(demo.source)
    pattern = rf"demo: {files} files, {total} bytes archived and verified in \d+\.\d s"
    assert re.fullmatch(pattern, last)
    assert f"{files} of {files} files" in printed
    assert "1 left out, 0 failed" in printed
    assert demo.left() == []
    assert servers_of(demo) == []


def test_a_file_that_cannot_be_archived_is_shown_and_fails_the_demo(demo: Demo) -> None:
    os.mkfifo(demo.source / "pipe")
    status, printed, errors = demo.run()
    assert status == 1
    assert "failed: /pipe: pipe is a device, socket or pipe: left alone" in printed
    assert errors == "demo: failed: 1 problems, see above\n"
    assert demo.left() == []


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("missing", "which is not a folder"),
        (os.fsdecode(b"n\xff\n"), "which is not a folder"),
    ],
)
def test_a_source_that_is_no_folder_is_refused(demo: Demo, source: str, sentence: str) -> None:
    status, printed, errors = demo.run(DEMO_SOURCE=str(demo.source / source))
    assert (status, printed) == (1, "")
    assert errors.startswith("demo: failed: DEMO_SOURCE is ")
    assert sentence in errors
    assert "Traceback" not in errors


def test_a_source_around_the_archive_is_refused_by_the_server(demo: Demo) -> None:
    status, _, errors = demo.run(DEMO_SOURCE=str(demo.temporary))
    assert status == 1
    assert "overlaps the server's own data folder" in errors
    assert "Traceback" not in errors
    assert demo.left() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_demo_and_its_server(demo: Demo, number: signal.Signals) -> None:
    process = demo.start()
    assert process.stdout is not None
    printed = process.stdout.readline() + process.stdout.readline()
    server = server_process(demo, printed)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert errors == f"demo: ended by {number.name}\n"
    assert not server.is_running()
    assert demo.left() == []
    assert servers_of(demo) == []


def test_a_kept_server_answers_at_the_printed_address_with_the_printed_login(demo: Demo) -> None:
    status, printed, errors = demo.run(DEMO_KEEP="1")
    server = server_process(demo, printed)
    try:
        assert (status, errors) == (0, ""), printed
        assert printed.splitlines()[-1].startswith("demo: ")
        found = re.search(r"kept: (\S+), user (\S+), password (\S+)", printed)
        assert found is not None
        url, user, password = found.groups()
        tasks = httpx.get(f"{url}/tasks", auth=(user, password), timeout=30, trust_env=False)
        assert [task["status"] for task in tasks.json()["tasks"]] == ["done"]
    finally:
        family = [server, *server.children(recursive=True)]
        server.terminate()
        _, alive = psutil.wait_procs(family, timeout=15)
    assert not alive
    (folder,) = demo.temporary.iterdir()
    shutil.rmtree(folder)


def on_terminal(command: list[str], environment: dict[str, str]) -> str:
    """What the command shows on a terminal of its own."""
    child, terminal = pty.fork()
    if child == 0:
        os.execve(command[0], command, environment)
    shown = b""
    try:
        while piece := os.read(terminal, 65536):
            shown += piece
    except OSError:  # the last process on the terminal has closed it
        pass
    finally:
        os.close(terminal)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0, shown.decode(errors="replace")
    return shown.decode(errors="replace")


def test_a_terminal_shows_a_bar(demo: Demo) -> None:
    environment = {
        **os.environ,
        "HOME": str(demo.home),
        "TMPDIR": str(demo.temporary),
        "DEMO_SOURCE": str(demo.source),
        "TERM": "xterm",
        "COLUMNS": "120",
    }
    shown = on_terminal([sys.executable, "-m", "longshore", "demo"], environment)
    assert "━" in shown
    assert f"{FILES + 3}/{FILES + 3} files" in shown
    assert "archived and verified" in shown.splitlines()[-1]
