"""Every server by its name, with what starts it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.object_servers.ceph import start_ceph
from tests.object_servers.processes import Running
from tests.object_servers.simple import start_azurite, start_gcs, start_moto, start_rclone
from tests.object_servers.swift import start_swift

SERVERS: dict[str, Callable[[Path, int], Running]] = {
    "rclone": start_rclone,
    "moto": start_moto,
    "azurite": start_azurite,
    "gcs": start_gcs,
    "ceph": start_ceph,
    "swift": start_swift,
}


def start(name: str, folder: Path, port: int = 0) -> Running:
    """The server with its data in the folder; NotProvided says what the machine lacks for it.

    A port is given where a server has to come back under its old address.
    """
    return SERVERS[name](folder, port)
