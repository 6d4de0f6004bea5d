"""The server as a process: first start, health, restart, end."""

from __future__ import annotations

import stat
import subprocess
import sys
import time
from pathlib import Path

import httpx

from longshore import __version__
from tests.servers import Server, wait_until
from tests.story import add_copy_task, add_share_pool
from tests.trees import describe, grow, staged_left


def test_first_start_makes_an_administrator_with_a_random_password(tmp_path: Path) -> None:
    server = Server(tmp_path / "data", {"LONGSHORE_ADMIN_PASSWORD": ""})
    server.start()
    try:
        kept = server.data_dir / "admin-password"
        password = kept.read_text().strip()
        assert len(password) >= 16
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
        with server.client(password=password) as client:
            assert client.get("/tasks").status_code == 200
        assert server.stop() == 0
        server.start()
        assert server.log.read_text().count(password) == 1
    finally:
        server.close()


def test_sigterm_ends_a_busy_server_in_five_seconds_and_the_task_goes_on_later(
    tmp_path: Path, source: Path, destination: Path
) -> None:
    grow(source, 4000)
    server = Server(tmp_path / "data", {"LONGSHORE_BATCH_FILES_MAXIMUM": "50"})
    server.start()
    try:
        with server.client() as client:
            task = add_copy_task(
                client,
                add_share_pool(client, "live", "primary", source),
                add_share_pool(client, "archive", "offline_archive", destination),
            )
            task.act("run")
            task.wait("calculating", "in_progress")
        family = server.processes()
        begun = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - begun < 5
        assert not [each for each in family if each.is_running()]
        server.start()
        with server.client() as client:
            again = type(task)(client, task.id)
            assert again.wait()["status"] == "done"
            assert len(again.files()) == 4000
        assert describe(destination) == describe(source)
        assert staged_left(destination) == []
    finally:
        server.close()


def test_a_second_server_on_the_same_data_folder_is_refused(server: Server) -> None:
    second = subprocess.run(
        [sys.executable, "-m", "longshore", "serve", "--port=0", f"--data-dir={server.data_dir}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert second.returncode == 1
    assert "another server is using the data folder" in second.stderr


def test_a_taken_port_is_named(server: Server, tmp_path: Path) -> None:
    port = httpx.URL(server.url).port
    serve = (sys.executable, "-m", "longshore", "serve")
    second = subprocess.run(
        (*serve, f"--port={port}", f"--data-dir={tmp_path / 'other'}"),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert second.returncode == 1
    assert f"port {port}" in second.stderr


def test_api_and_controller_are_replaced_when_they_die(server: Server) -> None:
    for name in ("api", "controller"):
        (process,) = server.processes(name)
        process.kill()
        wait_until(
            lambda name=name, dead=process.pid: [  # type: ignore[misc]
                each for each in server.processes(name) if each.pid != dead
            ],
            f"a new {name}",
        )

    def healthy() -> bool:
        try:
            return httpx.get(f"{server.url}/healthz", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    wait_until(healthy, "the server to be healthy again at the same address")


def test_version_is_shown() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "longshore", "--version"], capture_output=True, text=True, check=True
    )
    assert shown.stdout == f"longshore {__version__}\n"
