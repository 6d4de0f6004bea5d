"""The servers that are one process: rclone, moto, Azurite and the Google emulator."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from tests.object_servers.processes import (
    NotProvided,
    ObjectServer,
    Processes,
    Running,
    free_port,
    listens,
)

START_SECONDS = 60.0  # a loaded machine takes a while for its imports
ACCESS_KEY, SECRET_KEY = "longshore", "longshore-secret"

AZURITE_ACCOUNT = "devstoreaccount1"
AZURITE_KEY = (  # published with Azurite, the same for everybody
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)
AZURITE = Path(__file__).parent / "node_modules/azurite/dist/src/blob/main.js"


def start_rclone(folder: Path, port: int = 0) -> Running:
    """`rclone serve s3` over the folder `data`: each folder in it is a bucket."""
    port = port or free_port()
    data = folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    command = [_program("rclone"), "serve", "s3", str(data), f"--addr=127.0.0.1:{port}"]
    command += [f"--auth-key={ACCESS_KEY},{SECRET_KEY}", "--config=", "--vfs-cache-mode=off"]
    return _run("rclone", folder, port, command, {"s3": _s3(port)})


def start_moto(folder: Path, port: int = 0) -> Running:
    """`moto_server`: the S3 interface of Amazon, kept in memory."""
    port = port or free_port()
    command = [_program("moto_server"), "-H", "127.0.0.1", "-p", str(port)]
    return _run("moto", folder, port, command, {"s3": _s3(port)})


def start_azurite(folder: Path, port: int = 0) -> Running:
    """Azurite: Azure Blob Storage, with its data in the folder."""
    node = shutil.which("node")
    if node is None:
        raise NotProvided("node is not installed")
    if not AZURITE.exists():
        raise NotProvided("Azurite is not installed (npm ci in tests/object_servers)")
    port = port or free_port()
    # Without --disableTelemetry it looks for a server of its maker.
    command = [node, str(AZURITE), "--blobHost", "127.0.0.1", "--blobPort", str(port)]
    command += ["--location", str(folder / "data"), "--silent", "--disableTelemetry"]
    command += ["--skipApiVersionCheck"]
    settings = {
        "endpoint": f"http://127.0.0.1:{port}/{AZURITE_ACCOUNT}",
        "access_key": AZURITE_ACCOUNT,
        "secret_key": AZURITE_KEY,
    }
    return _run("azurite", folder, port, command, {"azure": settings})


def start_gcs(folder: Path, port: int = 0) -> Running:
    """gcp-storage-emulator: the JSON interface of Google Cloud Storage, kept in memory."""
    port = port or free_port()
    command = [_program("gcp-storage-emulator"), "start", "--host=127.0.0.1", f"--port={port}"]
    command += ["--in-memory"]
    settings = {"endpoint": f"http://127.0.0.1:{port}", "access_key": "", "secret_key": ""}
    return _run("gcs", folder, port, command, {"gcs": settings})


def _s3(port: int) -> dict[str, str]:
    return {
        "endpoint": f"http://127.0.0.1:{port}",
        "region": "us-east-1",
        "access_key": ACCESS_KEY,
        "secret_key": SECRET_KEY,
        "provider": "generic_s3",
    }


def _run(
    name: str, folder: Path, port: int, command: list[str], apis: dict[str, dict[str, str]]
) -> Running:
    folder.mkdir(parents=True, exist_ok=True)
    processes = Processes(folder)
    try:
        processes.begin(command, name)
        processes.wait_until(lambda: listens(port), f"{name} listens", START_SECONDS)
    except BaseException:
        processes.stop()
        raise
    return Running(ObjectServer(name, apis), processes)


def _program(name: str) -> str:
    """A program of the development dependencies, or of the system."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise NotProvided(f"{name} is not installed")
    return found
