"""`python -m tests.object_servers NAME [FOLDER]`: one server until it is interrupted."""

from __future__ import annotations

import argparse
import json
import signal
from pathlib import Path

from tests.object_servers.catalogue import SERVERS, start
from tests.object_servers.keeper import keep
from tests.object_servers.processes import NotProvided


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.object_servers", description=__doc__)
    parser.add_argument("name", choices=SERVERS)
    parser.add_argument("folder", type=Path, nargs="?", help="where it keeps its data")
    parser.add_argument("--until-end-of", type=int, metavar="PID", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.until_end_of:
        keep(arguments.name, arguments.until_end_of)
    elif arguments.folder is None:
        parser.error("a folder is needed")
    else:
        _run(arguments.name, arguments.folder)


def _run(name: str, folder: Path) -> None:
    try:
        running = start(name, folder)
    except NotProvided as reason:
        raise SystemExit(f"{name}: {reason}") from None
    try:
        print(json.dumps(running.server.apis, indent=2), flush=True)
        signal.sigwait({signal.SIGINT, signal.SIGTERM})
    finally:
        running.stop()


if __name__ == "__main__":
    main()
