"""Keeps a server alive for as long as some other process lives, and removes its data then."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.object_servers.catalogue import start
from tests.object_servers.processes import NotProvided, ObjectServer

ROOT = Path(__file__).parents[2]
START_SECONDS = 300.0  # the slowest needs 20 s on an idle machine


def start_until_end_of(pid: int, name: str) -> ObjectServer:
    """A server in processes of its own, which end with the process of that id.

    Raises NotProvided with the reason, or AssertionError with the server's logs.
    """
    done = subprocess.run(
        (sys.executable, "-m", "tests.object_servers", name, "--until-end-of", str(pid)),
        cwd=ROOT,
        capture_output=True,
        timeout=START_SECONDS,
        check=False,
    )
    answer = json.loads(done.stdout or b"{}")
    if "not_provided" in answer:
        raise NotProvided(answer["not_provided"])
    assert "apis" in answer, f"{name} did not start: {answer.get('failed', done.stderr.decode())}"
    return ObjectServer(name, answer["apis"])


def keep(name: str, pid: int) -> None:
    """Start the server in a child that outlives this process; print what became of it."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.close(reading)
        os.setsid()
        _serve(name, pid, writing)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as answer:
        sys.stdout.buffer.write(answer.read())


def _serve(name: str, pid: int, writing: int) -> None:
    try:
        watched = os.pidfd_open(pid)
    except ProcessLookupError:
        return  # the tests are over already
    folder = tempfile.mkdtemp(prefix=f"longshore-{name}-")
    try:
        running = start(name, Path(folder) / "server")
    except NotProvided as reason:
        _say(writing, {"not_provided": str(reason)})
    except Exception as error:
        _say(writing, {"failed": str(error)})
    else:
        _say(writing, {"apis": running.server.apis})
        select.select([watched], [], [])
        running.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _say(writing: int, answer: object) -> None:
    """Answer, and let go of everything that whoever asked may wait for."""
    with os.fdopen(writing, "w") as pipe:
        json.dump(answer, pipe)
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
