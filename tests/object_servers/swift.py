"""One node of OpenStack Swift with its S3 interface, as Debian packages it."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

import httpx

from tests.object_servers.processes import (
    NotProvided,
    ObjectServer,
    Processes,
    Running,
    free_port,
    listens,
)

START_SECONDS = 60.0
KINDS = ("account", "container", "object")
PROGRAMS = (*(f"swift-{kind}-server" for kind in KINDS), "swift-proxy-server", "swift-ring-builder")
USER, KEY = "test:tester", "testing"
PARTITION_POWER = 4  # 16 partitions: more only cost time when the rings are built

SWIFT_CONF = """\
[swift-hash]
swift_hash_path_suffix = suffix
swift_hash_path_prefix = prefix
[storage-policy:0]
name = gold
default = yes
"""

PROXY_PIPELINE = (
    "catch_errors gatekeeper healthcheck proxy-logging cache listing_formats bulk s3api tempauth "
    "copy slo dlo symlink proxy-logging proxy-server"
)
PLAIN_FILTERS = {
    "catch_errors": "catch_errors",
    "gatekeeper": "gatekeeper",
    "healthcheck": "healthcheck",
    "proxy-logging": "proxy_logging",
    "listing_formats": "listing_formats",
    "bulk": "bulk",
    "copy": "copy",
    "dlo": "dlo",
    "symlink": "symlink",
}


def start_swift(folder: Path, port: int = 0) -> Running:
    """Proxy, account, container and object server; users are known to the proxy (`tempauth`)."""
    for program in (*PROGRAMS, "memcached"):
        if shutil.which(program) is None:
            raise NotProvided(f"{program} is not installed (packages swift-proxy, swift-…)")
    folder.mkdir(parents=True, exist_ok=True)
    _need_attributes(folder)
    port = port or free_port()
    processes = Processes(folder)
    try:
        _begin(folder, port, processes)
    except BaseException:
        processes.stop()
        raise
    return Running(ObjectServer("swift", _apis(port)), processes)


def _apis(port: int) -> dict[str, dict[str, str]]:
    endpoint = f"http://127.0.0.1:{port}"
    keys = {"access_key": USER, "secret_key": KEY}
    return {
        "swift": {"endpoint": f"{endpoint}/auth/v1.0", **keys},
        "s3": {"endpoint": endpoint, "region": "us-east-1", "provider": "generic_s3", **keys},
    }


def _begin(folder: Path, port: int, processes: Processes) -> None:
    user = pwd.getpwuid(os.getuid()).pw_name
    settings, disk = folder / "etc", folder / "srv" / "d1"
    settings.mkdir(exist_ok=True)
    disk.mkdir(parents=True, exist_ok=True)
    (settings / "swift.conf").write_text(SWIFT_CONF)
    cache_port = free_port()
    common = _common(folder, user)
    memory = ["memcached", "-l", "127.0.0.1", "-p", str(cache_port), "-u", user, "-m", "64"]
    processes.begin(memory, "memcached")
    for kind in KINDS:
        own_port = free_port()
        _build_ring(settings, kind, own_port)
        path = settings / f"{kind}-server.conf"
        path.write_text(_storage_conf(kind, own_port, common))
        processes.begin([f"swift-{kind}-server", str(path)], kind)
    path = settings / "proxy-server.conf"
    path.write_text(_proxy_conf(port, cache_port, common))
    processes.begin(["swift-proxy-server", str(path)], "proxy")
    processes.wait_until(lambda: _answers(port), "Swift answers", START_SECONDS)


def _answers(port: int) -> bool:
    """Whether an object can be put: then all its servers are there."""
    if not listens(port):
        return False
    base = f"http://127.0.0.1:{port}"
    try:
        with httpx.Client(trust_env=False, timeout=20) as client:
            login = client.get(
                f"{base}/auth/v1.0", headers={"X-Auth-User": USER, "X-Auth-Key": KEY}
            )
            if login.status_code != 200:
                return False
            token = {"X-Auth-Token": login.headers["X-Auth-Token"]}
            container = login.headers["X-Storage-Url"] + "/probe"
            return all(
                client.put(url, headers=token, content=b"").is_success
                for url in (container, f"{container}/probe")
            )
    except httpx.TransportError:
        return False


def _build_ring(settings: Path, kind: str, port: int) -> None:
    builder = str(settings / f"{kind}.builder")
    for arguments in (
        ("create", str(PARTITION_POWER), "1", "0"),
        ("add", f"r1z1-127.0.0.1:{port}/d1", "1"),
        ("rebalance",),
    ):
        subprocess.run(
            ("swift-ring-builder", builder, *arguments),
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=settings,
        )


def _common(folder: Path, user: str) -> str:
    return f"""\
bind_ip = 127.0.0.1
workers = 0
user = {user}
swift_dir = {folder / "etc"}
devices = {folder / "srv"}
recon_cache_path = {folder}
mount_check = false
log_level = WARNING
log_address = /dev/null
fallocate_reserve = 0
disable_fallocate = true
"""


def _storage_conf(kind: str, port: int, common: str) -> str:
    return f"""\
[DEFAULT]
bind_port = {port}
{common}
[pipeline:main]
pipeline = {kind}-server
[app:{kind}-server]
use = egg:swift#{kind}
"""


def _proxy_conf(port: int, cache_port: int, common: str) -> str:
    plain = "".join(
        f"[filter:{name}]\nuse = egg:swift#{use}\n" for name, use in PLAIN_FILTERS.items()
    )
    account, user = USER.split(":")
    return f"""\
[DEFAULT]
bind_port = {port}
{common}
[pipeline:main]
pipeline = {PROXY_PIPELINE}
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
node_timeout = 60
recoverable_node_timeout = 60
[filter:tempauth]
use = egg:swift#tempauth
user_{account}_{user} = {KEY} .admin
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:{cache_port}
[filter:slo]
use = egg:swift#slo
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
s3_acl = false
check_bucket_owner = false
{plain}"""


def _need_attributes(folder: Path) -> None:
    with tempfile.NamedTemporaryFile(dir=folder) as probe:
        try:
            os.setxattr(probe.name, "user.probe", b"1")
        except OSError as error:
            raise NotProvided(f"no extended attributes in {folder}, which Swift needs") from error
