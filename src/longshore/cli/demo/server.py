"""A complete server on a free loopback port, with everything of it in one temporary folder."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import httpx

from longshore.cli.demo.story import DemoFailed
from longshore.client import Client
from longshore.config import ENVIRONMENT_PREFIX

START_SECONDS = 60.0  # imports and the first migrations, on a slow and loaded machine
STOP_SECONDS = 10.0  # twice what the server allows itself
LOOK_SECONDS = 0.05  # between two looks whether it serves

_ADDRESS = re.compile(rb"serves (http://[^ /]+)/api/v2")


@dataclass(slots=True)
class TemporaryServer:
    """A server that is stopped by its process id and leaves nothing behind."""

    USER: ClassVar[str] = "admin"

    folder: Path
    password: str
    url: str = ""
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @classmethod
    def make(cls) -> TemporaryServer:
        """A server that does not run yet, with an empty archive folder."""
        server = cls(Path(tempfile.mkdtemp(prefix="longshore-demo-")), secrets.token_urlsafe(12))
        server.archive.mkdir()
        return server

    @property
    def archive(self) -> Path:
        """The folder that stands for the secondary storage."""
        return self.folder / "archive"

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def client(self) -> Client:
        return Client(self.url, self.USER, self.password)

    def start(self) -> None:
        """Start, and return once api and controller are at work. Raises DemoFailed."""
        settings = {"ADMIN_PASSWORD": self.password, "DATA_DIR": str(self.folder / "data")}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "longshore", "serve", "--host", "127.0.0.1", "--port", "0"],
                env=_environment(settings),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the demo, which then stops the server
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._serves():
            if self.process.poll() is not None:
                raise DemoFailed(f"the server did not start: {self._last_words()}")
            if time.monotonic() > deadline:
                limit = f"within {START_SECONDS:.0f} s"
                raise DemoFailed(f"the server did not start {limit}: {self._last_words()}")
            time.sleep(LOOK_SECONDS)

    def remove(self) -> None:
        """Stop the server and remove its folder."""
        if self.process is not None:
            self._stop(self.process)
        _remove(self.folder)

    # ------------------------------------------------------------------ inside

    def _stop(self, process: subprocess.Popen[bytes]) -> None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()  # its processes end with it
            process.wait()

    def _serves(self) -> bool:
        found = _ADDRESS.search(self.log.read_bytes())
        if found is None:
            return False
        self.url = found.group(1).decode()
        try:
            answer = httpx.get(f"{self.url}/healthz", timeout=5, trust_env=False)
        except httpx.HTTPError:
            return False
        return answer.status_code == httpx.codes.OK

    def _last_words(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()
        return lines[-1] if lines else "it says nothing"


def _environment(settings: dict[str, str]) -> dict[str, str]:
    """This process's environment with these settings of the server and no others."""
    plain = {k: v for k, v in os.environ.items() if not k.startswith(ENVIRONMENT_PREFIX)}
    return plain | {ENVIRONMENT_PREFIX + name: value for name, value in settings.items()}


def _remove(folder: Path) -> None:
    """Remove the folder; archived folders may forbid even their owner to change them."""
    for path, folders, _ in os.walk(folder):
        for name in folders:
            with suppress(OSError):
                os.chmod(os.path.join(path, name), 0o700, follow_symlinks=True)
    shutil.rmtree(folder)
