"""The object gateway of Ceph over one monitor and one disk in a file, as Debian packages them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import uuid
from pathlib import Path

import httpx

from tests.object_servers.processes import (
    NotProvided,
    ObjectServer,
    Processes,
    Running,
    StartFailed,
    free_port,
    listens,
)

START_SECONDS = 120.0  # 17 s on an idle machine
COMMAND_SECONDS = 60.0
PROGRAMS = ("ceph-mon", "ceph-osd", "radosgw", "radosgw-admin", "ceph-authtool", "monmaptool")
ACCESS_KEY, SECRET_KEY, SWIFT_KEY = "longshore", "longshore-secret", "longshore-swift"
DISK_BYTES = 10 << 30  # a sparse file
PORTS_OF_A_DISK = 60  # it takes the first free ones out of so many


def start_ceph(folder: Path, port: int = 0) -> Running:
    """Monitor, disk and gateway; the gateway speaks S3 and Swift."""
    for program in (*PROGRAMS, "ceph"):
        if shutil.which(program) is None:
            raise NotProvided(f"{program} is not installed (packages radosgw, ceph-mon, ceph-osd)")
    cluster = _Cluster(folder, port or free_port())
    try:
        cluster.start()
    except BaseException:
        cluster.processes.stop()
        raise
    return Running(ObjectServer("ceph", cluster.apis()), cluster.processes)


class _Cluster:
    """The story of the start, step by step."""

    def __init__(self, folder: Path, port: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("mon", "osd", "run"):
            (folder / name).mkdir()
        self.folder, self.port = folder, port
        self.processes = Processes(folder)
        self.configuration = folder / "ceph.conf"
        self.id = str(uuid.uuid4())
        self.monitor = f"[v2:127.0.0.1:{free_port()}]"

    def start(self) -> None:
        self.configuration.write_text(self._conf())
        self._start_monitor()
        self._start_disk()
        self._begin("radosgw", "-n", "client.admin", "-f")
        self.processes.wait_until(lambda: listens(self.port), "the gateway listens", START_SECONDS)
        self._make_user()
        self._warm_up()

    def apis(self) -> dict[str, dict[str, str]]:
        endpoint = f"http://127.0.0.1:{self.port}"
        return {
            "s3": {
                "endpoint": endpoint,
                "region": "us-east-1",
                "access_key": ACCESS_KEY,
                "secret_key": SECRET_KEY,
                "provider": "generic_s3",
            },
            "swift": {
                "endpoint": f"{endpoint}/auth/v1.0",
                "access_key": "test:swift",
                "secret_key": SWIFT_KEY,
            },
        }

    def _start_monitor(self) -> None:
        keys, names = str(self.folder / "keyring"), str(self.folder / "monmap")
        everything = [w for kind in ("mon", "osd", "mgr") for w in ("--cap", kind, "allow *")]
        new_key = ("ceph-authtool", keys, "--gen-key", "-n")
        self._run(*new_key, "mon.", "--create-keyring", "--cap", "mon", "allow *")
        self._run(*new_key, "client.admin", *everything)
        self._run("monmaptool", "--create", "--fsid", self.id, "--addv", "a", self.monitor, names)
        self._run("ceph-mon", "--mkfs", "-i", "a", "--monmap", names, "--keyring", keys)
        self._begin("ceph-mon", "-i", "a", "-f")
        self.processes.wait_until(self._monitor_answers, "the monitor answers", START_SECONDS)

    def _monitor_answers(self) -> bool:
        return self._tried("ceph", "--connect-timeout", "2", "status") is not None

    def _start_disk(self) -> None:
        disk = str(uuid.uuid4())
        self._run("ceph", "osd", "new", disk)
        self._run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", disk)
        self._begin("ceph-osd", "-i", "0", "-f")
        self.processes.wait_until(self._disk_is_up, "the disk is up", START_SECONDS)

    def _disk_is_up(self) -> bool:
        answer = self._tried("ceph", "osd", "stat", "--format=json")
        return answer is not None and bool(json.loads(answer)["num_up_osds"])

    def _make_user(self) -> None:
        admin = ("radosgw-admin", "-n", "client.admin")
        keys = ("--access-key", ACCESS_KEY, "--secret-key", SECRET_KEY)
        self._run(*admin, "user", "create", "--uid=test", "--display-name=test", *keys)
        swift = ("--subuser=test:swift", "--access=full", "--key-type=swift")
        self._run(*admin, "subuser", "create", "--uid=test", *swift, f"--secret-key={SWIFT_KEY}")

    def _warm_up(self) -> None:
        """The first container and object make the gateway's pools, which takes seconds."""
        settings = self.apis()["swift"]
        login = {"X-Auth-User": settings["access_key"], "X-Auth-Key": settings["secret_key"]}
        with httpx.Client(trust_env=False, timeout=COMMAND_SECONDS) as client:
            answer = client.get(settings["endpoint"], headers=login)
            token = {"X-Auth-Token": answer.headers["X-Auth-Token"]}
            container = answer.headers["X-Storage-Url"] + "/probe"
            client.put(container, headers=token).raise_for_status()
            client.put(f"{container}/probe", headers=token, content=b"1").raise_for_status()

    def _begin(self, *command: str) -> None:
        self.processes.begin(command, command[0], CEPH_CONF=str(self.configuration))

    def _run(self, *command: str) -> None:
        if self._tried(*command) is None:
            raise StartFailed(f"{' '.join(command)}\n{self.processes.logs()}")

    def _tried(self, *command: str) -> str | None:
        """What the command printed; None if it failed."""
        environment = os.environ | {"CEPH_CONF": str(self.configuration)}
        with (self.folder / "commands.log").open("ab") as errors:
            done = subprocess.run(
                command,
                check=False,
                env=environment,
                cwd=self.folder,
                stdout=subprocess.PIPE,
                stderr=errors,
                timeout=COMMAND_SECONDS,
            )
        return done.stdout.decode() if done.returncode == 0 else None

    def _conf(self) -> str:
        first = free_port()
        first = min(first, 65_535 - PORTS_OF_A_DISK)
        folder = self.folder
        # The gateway looks for the monitor for ever in its own choice of mode, `secure`.
        return f"""\
[global]
fsid = {self.id}
mon host = {self.monitor}
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind ipv4 = true
ms bind port min = {first}
ms bind port max = {first + PORTS_OF_A_DISK}
ms mon client mode = crc
auth cluster required = none
auth service required = none
auth client required = none
auth allow insecure global id reclaim = false
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
osd objectstore = bluestore
osd memory target = 939524096
bluestore block size = {DISK_BYTES}
bluestore block wal size = 0
bluestore block db size = 0
mon allow pool size one = true
mon max pg per osd = 2000
osd data = {folder}/osd
mon data = {folder}/mon
run dir = {folder}/run
crash dir = {folder}/run
admin socket = {folder}/run/$name.asok
log file = {folder}/$name.log
pid file = {folder}/run/$name.pid
rgw frontends = beast endpoint=127.0.0.1:{self.port}
rgw enable usage log = false
"""
