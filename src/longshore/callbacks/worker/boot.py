"""The worker's first lines, run by path as `python -I -S -B boot.py SETTINGS`.

Moves the two pipe ends to descriptors 3 and 4, closes all others, empties the environment and makes
exactly three things importable by their file: this folder as the package `worker`, msgspec, and the
QuickJS extension. No folder of installed packages ever gets onto the path.
"""

import importlib.util
import json
import os
import struct
import sys
import types
from typing import Any

REFUSED = 12
"""`frames.REFUSED`, needed before `frames` can be imported."""


def main() -> None:
    """Prepare the process, then hand over to `worker.main`; tell the server if that fails."""
    settings = json.loads(sys.argv[1])
    _place_descriptors(settings["request_fd"], settings["answer_fd"])
    os.environ.clear()
    sys.argv[:] = []
    try:
        _provide_package("worker", settings["worker_folder"])
        _provide_module("msgspec", settings["msgspec_file"])
        if settings["engine"] == "javascript":
            _provide_module("_quickjs", settings["quickjs_file"])
        from worker.main import serve  # type: ignore[import-not-found]
    except BaseException as error:  # the top of this process: the reason has to reach the server
        refuse(f"cannot load the worker: {type(error).__name__}: {error}")
    serve(settings)


def refuse(reason: str) -> None:
    """Tell the server why there will be no worker, and leave."""
    body = reason.encode("utf-8", "backslashreplace")
    os.write(4, struct.pack("<IB", len(body), REFUSED) + body)
    os._exit(3)


def _place_descriptors(request_fd: int, answer_fd: int) -> None:
    # The server passes numbers above 4, so neither copy can overwrite the other.
    os.dup2(request_fd, 3, inheritable=False)
    os.dup2(answer_fd, 4, inheritable=False)
    os.closerange(5, os.sysconf("SC_OPEN_MAX"))


def _provide_package(name: str, folder: str) -> None:
    package = types.ModuleType(name)
    package.__path__ = [folder]
    sys.modules[name] = package


def _provide_module(name: str, file: str) -> None:
    is_package = os.path.basename(file).startswith("__init__.")
    folders = [os.path.dirname(file)] if is_package else None
    spec = importlib.util.spec_from_file_location(name, file, submodule_search_locations=folders)
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot load {name}")
    module: Any = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)


if __name__ == "__main__":
    main()
