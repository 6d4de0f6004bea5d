"""The tours of the documentation, run as they are printed against a real server."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.object_servers.processes import free_port
from tests.servers import Server, serving

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
OBJECT_STORES = ROOT / "docs/object-stores.md"
STORE = "127.0.0.1:9000"
ADDRESS = "http://127.0.0.1:8080"
TOUR_SECONDS = 120  # a few requests and two small runs, on a loaded machine


def blocks(language: str, page: Path = README) -> str:
    """All code of the page in that language, put together."""
    found = re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.M | re.S)
    assert found, f"{page.name} has no {language} code"
    return "\n".join(found)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server as `make serve` starts it: data in ./data, a random password."""
    yield from serving(tmp_path / "data", LONGSHORE_ADMIN_PASSWORD="")


def run(server: Server, folder: Path, command: list[str], script: str) -> str:
    """What the script prints, with the server's address in place of the printed one."""
    assert ADDRESS in script
    file = folder / "script"
    file.write_text(script.replace(ADDRESS, server.url))
    done = subprocess.run(
        [*command, str(file)],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TOUR_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_both_tours_of_the_readme_do_what_they_say(server: Server, tmp_path: Path) -> None:
    # -e and pipefail: a command that is refused must not go unnoticed.
    printed = run(server, tmp_path, ["bash", "-euo", "pipefail"], blocks("bash"))
    vault = tmp_path / "tour" / "vault" / "photos"
    assert sorted(each.name for each in vault.iterdir()) == ["one.txt", "two.txt"]
    assert '"outcome": "refused"' in printed
    assert printed.strip().splitlines()[-1].startswith('{"count":2,"files":[')

    printed = run(server, tmp_path, [sys.executable], blocks("python"))
    assert printed == "letter.txt 13 bytes\n"
    assert (tmp_path / "sdk-tour" / "vault" / "letter.txt").read_text() == "Dear archive\n"


def test_the_tour_of_object_stores_does_what_it_says(server: Server, tmp_path: Path) -> None:
    script = blocks("bash", OBJECT_STORES).replace(STORE, f"127.0.0.1:{free_port()}")
    script = script.replace(".venv/bin/rclone", str(Path(sys.executable).parent / "rclone"))
    # Whatever fails on the way, the store ends with the script; the last line may have ended it.
    script = f"trap 'kill $(jobs -p) || true' EXIT\n{script}"
    printed = run(server, tmp_path, ["bash", "-euo", "pipefail"], script)
    assert "Dear archive" in printed.splitlines()
    assert '"outcome":"copied"' in printed.replace(" ", "")
