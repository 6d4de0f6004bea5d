"""Callbacks through a real server: stored, tried, run, and refused where they cannot be held."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from longshore.callbacks import self_test
from tests.api.conftest import ADMINISTRATOR
from tests.plants import planted
from tests.servers import Server
from tests.story import Task, add_copy_task, add_share_pool, created
from tests.trees import grow

BLINDED = Path(__file__).parents[1] / "faults" / "callbacks" / "blinded_server.py"

PYTHON = "def run(req):\n    return True\n"
JAVASCRIPT = "// js\nfunction run(req) { return true }\n"

SLOW_MACHINE = {"LONGSHORE_SLICE_SECONDS": "0.1", "LONGSHORE_BATCH_FILES_MAXIMUM": "20"}


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as opened:
        yield opened


@contextmanager
def started(data_dir: Path, *program: str, **environment: str) -> Iterator[Server]:
    """A server that is gone afterwards."""
    server = Server(data_dir, environment, program or ("-m", "longshore"))
    server.start()
    try:
        yield server
        assert server.stop() == 0
    finally:
        server.close()


def task_over(client: httpx.Client, source: Path, destination: Path, script: str | None) -> Task:
    return add_copy_task(
        client,
        add_share_pool(client, "live", "primary", source),
        add_share_pool(client, "archive", "offline_archive", destination),
        script=script,
    )


def refusal(answer: httpx.Response) -> str:
    """The message of a refused script."""
    assert answer.status_code == 422, answer.text
    assert [each["error"] for each in answer.json()["details"]["script"]] == ["invalid"]
    return str(answer.json()["messages"][0])


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("def run(req):\n    return (1\n", r"line 2, column 12"),
        ("def run(req):\n  return True\n   return False\n", r"line 3, column \d+"),
        ("import socket\n\ndef run(req):\n    return True\n", r"socket.*line 1"),
        ("x = 1\n", r"run"),
        ("1 / 0\ndef run(req):\n    return True\n", r"line 1"),
        ("// js\nfunction run(req) {\n  return (1;\n}\n", r"line 3"),
        ("// js\nconst x = 1;\n", r"run"),
    ],
)
def test_a_script_that_cannot_be_used_is_refused_with_its_place(
    client: httpx.Client, source: Path, destination: Path, script: str, words: str
) -> None:
    task = task_over(client, source, destination, PYTHON)
    path = f"/tasks/{task.id}/task_callbacks"
    message = refusal(client.post(path, json={"type": "filter", "script": script}))
    assert re.search(words, message), message
    (kept,) = client.get(path).json()["task_callbacks"]
    refusal(client.put(f"{path}/{kept['id']}", json={"script": script}))
    refusal(client.post(f"{path}/-/test", json={"script": script}))
    assert client.get(path).json()["task_callbacks"] == [kept]


ODD_NAMES = (
    b"plain.txt", b" leading blank.txt", b"line\nbreak.txt", b"caf\xc3\xa9.txt", b"caf\xe9.txt",
    "日本語.txt".encode(), b"quote'\".txt", b"-rf.txt", b"\xff\xfe.txt", b"back\\slash.txt",
    b"tab\t.txt", b"%2e%2e.txt",
)  # fmt: skip

JAVASCRIPT_POLICY = """// js
const WANTED = /\\.txt$/;

function run(req) {
  const info = utils.getNodeInfo(req);
  if (info.getPath().startsWith('/broken/')) throw new Error('no policy for ' + info.getPath());
  return WANTED.test(info.getPath()) && info.getSize() === 5;
}
"""


def test_a_javascript_callback_decides_about_odd_names(
    client: httpx.Client, source: Path, destination: Path
) -> None:
    wide = os.fsencode(source) + b"/wide \xe9"
    os.mkdir(wide)
    for name in ODD_NAMES:
        for folder in (os.fsencode(source), wide):
            Path(os.fsdecode(folder + b"/" + name)).write_bytes(b"12345")
            Path(os.fsdecode(folder + b"/" + name + b".tmp")).write_bytes(b"12345")
            Path(os.fsdecode(folder + b"/short " + name)).write_bytes(b"1234")
    (source / "broken").mkdir()
    (source / "broken" / "a.txt").write_bytes(b"12345")
    task = task_over(client, source, destination, JAVASCRIPT_POLICY)
    task.act("run")
    assert task.wait()["status"] == "finished_with_warnings"
    wanted = sorted(ODD_NAMES)
    found = sorted(os.listdir(os.fsencode(destination)))
    assert found == sorted([*wanted, b"wide \xe9", b"broken"])
    assert sorted(os.listdir(os.fsencode(destination) + b"/wide \xe9")) == wanted
    assert os.listdir(destination / "broken") == []
    failed = [each for each in task.files() if each["error"]]
    assert [each["error"]["kind"] for each in failed] == ["callback"]
    assert "no policy for /broken/a.txt" in failed[0]["error"]["text"]


def test_a_trial_says_beforehand_what_a_run_does(
    client: httpx.Client, source: Path, destination: Path
) -> None:
    grow(source, 300, size=1000)
    script = "import utils\n\ndef run(req):\n    return utils.get_node_info(req).size % 2 == 0\n"
    task = task_over(client, source, destination, script)
    (saved,) = client.get(f"/tasks/{task.id}/task_callbacks").json()["task_callbacks"]

    def tried(where: str) -> dict[str, Any]:
        path = f"/tasks/{task.id}/task_callbacks/{saved['id']}/test"
        answer = client.post(path, params={"source": where})
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    live, known = tried("live"), tried("catalogue")
    assert (live["files"], known["files"]) == (300, 0)
    assert 0 < live["accepted"] < 300
    assert not os.listdir(destination)
    task.act("run")
    done = task.wait()
    assert done["status"] == "done"
    assert task.execution()["processed_files"] == live["accepted"]
    assert done["processed_size"] == live["accepted_size"]
    # Only what a run has taken stands in the catalogue, so every file there is accepted again.
    known = tried("catalogue")
    assert (known["files"], known["accepted"]) == (live["accepted"], live["accepted"])


# ------------------------------------------------------------------- what cannot be held


def test_a_machine_that_does_not_hold_scripts_stores_and_runs_none(
    tmp_path: Path, source: Path, destination: Path
) -> None:
    grow(source, 1000)
    (tmp_path / "elsewhere").mkdir()
    with started(tmp_path / "data", **SLOW_MACHINE) as server, server.client() as client:
        with_script = task_over(client, source, destination, PYTHON)
        begun = task_over(client, source, tmp_path / "elsewhere", PYTHON)
        begun.act("run")
        begun.wait("calculating", "in_progress")
        begun.act("pause")
    written = sum(len(files) for _, _, files in os.walk(tmp_path / "elsewhere"))
    with started(tmp_path / "data", str(BLINDED), "seccomp") as server:
        if "no seccomp to hide things with" in server.log.read_text():
            pytest.skip("this kernel has no seccomp, so nothing can be hidden from a process")
        with server.client() as client:
            scriptless, with_script, begun = (
                task_over(client, source, destination, None),
                Task(client, with_script.id),
                Task(client, begun.id),
            )
            path = f"/tasks/{scriptless.id}/task_callbacks"
            for script in (PYTHON, JAVASCRIPT):
                message = refusal(client.post(path, json={"type": "filter", "script": script}))
                assert "callbacks cannot run on this server" in message
                refusal(client.post(f"{path}/-/test", json={"script": script}))
            job = with_script.request("run")
            assert job["status"] == "failed"
            assert "callbacks cannot run on this server" in job["reason"]
            assert with_script.show()["status"] == "not_activated"
            assert os.listdir(destination) == []
            # A run that was begun before goes on neither without its callback nor with it.
            begun.act("resume")
            assert begun.wait()["status"] == "stopped_by_system"
            assert "callbacks cannot run on this server" in begun.execution()["reason"]
            scriptless.act("run")
            assert scriptless.wait()["status"] == "done"
        assert server.log.read_text().count("self-test failed: callbacks are off") == 2
    assert sum(len(files) for _, _, files in os.walk(tmp_path / "elsewhere")) == written
    with started(tmp_path / "data") as server, server.client() as client:
        begun = Task(client, begun.id)
        begun.act("resume")
        assert begun.wait()["status"] == "done"
        assert len(begun.files()) == 1000
        assert server.log.read_text().count("self-test passed") == 4


def test_a_language_can_be_switched_off(tmp_path: Path, source: Path, destination: Path) -> None:
    if len(self_test().languages) < 2:
        pytest.skip("without the package quickjs there is one language only")
    (source / "a").write_text("a")
    with planted(tmp_path / "plant") as plant:
        stored = task_over(plant.client, source, destination, JAVASCRIPT).id
    only = {"LONGSHORE_CALLBACK_LANGUAGES": "python"}
    with started(plant.data_dir, **only) as server, server.client(*ADMINISTRATOR) as client:
        path = f"/tasks/{stored}/task_callbacks"
        message = refusal(client.post(path, json={"type": "filter", "script": JAVASCRIPT}))
        assert "callbacks in JavaScript are switched off" in message
        created(client.post(path, json={"type": "filter", "script": PYTHON}))
        job = Task(client, stored).request("run")
        assert job["status"] == "failed"
        assert "JavaScript" in job["reason"]
    assert os.listdir(destination) == []


def test_the_limits_of_the_settings_reach_the_movers(
    tmp_path: Path, source: Path, destination: Path
) -> None:
    for number in range(20):
        (source / f"f{number:02}").write_text("x")
    settings = {
        "LONGSHORE_CALLBACK_SOFT_TIMEOUT_SECONDS": "0.1",
        "LONGSHORE_CALLBACK_MAX_DEATHS": "2",
        "LONGSHORE_CALLBACK_SCRIPT_BYTES": "200",
    }
    with started(tmp_path / "data", **settings) as server, server.client() as client:
        script = "def run(req):\n    while True:\n        pass\n"
        task = task_over(client, source, destination, script)
        message = refusal(
            client.post(
                f"/tasks/{task.id}/task_callbacks",
                json={"type": "filter", "script": PYTHON + "#" * 200},
            )
        )
        assert "at most 200 are allowed" in message
        task.act("run")
        assert task.wait()["status"] == "error"
        assert "2 times, the limit is 2" in task.execution()["reason"]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("CALLBACK_HARD_TIMEOUT_SECONDS", "2", "hard_timeout_seconds must be at least 2.5 times"),
        ("CALLBACK_LANDLOCK", "perhaps", "landlock must be prefer, require or off"),
        ("CALLBACK_LANGUAGES", "python,perl", "perl"),
        ("CALLBACK_MEMORY_BYTES", "1000", "callback_memory_bytes"),
        ("CALLBACK_ANSWER_FRAME_BYTES", "1000", "answer_frame_bytes"),
    ],
)
def test_contradicting_settings_end_the_start(
    tmp_path: Path, name: str, value: str, words: str
) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "longshore", "serve", "--port=0", f"--data-dir={tmp_path / 'data'}"],
        env={**os.environ, f"LONGSHORE_{name}": value},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 1
    assert words in run.stderr
    assert "Traceback" not in run.stderr
