"""Putting the parts together: the only place that names concrete backends.

    longshore serve ──┬── api         python -m longshore.bootstrap api
     (supervisor)     └── controller  python -m longshore.bootstrap controller
                            └── movers  python -m longshore.bootstrap mover

Each function imports what its process needs and no more, so that movers start fast and stay small.
"""

from __future__ import annotations

import gc
import os
import socket
import sys
import time
from dataclasses import fields
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from longshore import config as configuration
from longshore import faults
from longshore.config import Config

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from concurrent.futures import Future

    from fastapi import FastAPI

    from longshore.callbacks import (
        FilterChain,
        InvalidScript,
        Language,
        Limits,
        SandboxReport,
    )
    from longshore.database.connection import Database
    from longshore.domain.cloud import RemoteBucket
    from longshore.domain.storage import StorageAddress
    from longshore.pipeline.messages.plan import ExecutionPlan
    from longshore.services.context import Context
    from longshore.storage.handler import StorageHandler

LISTENING_DESCRIPTOR = "LONGSHORE_LISTENING_DESCRIPTOR"
"""The environment variable by which the supervisor hands the api its listening socket."""

EXIT_LEASE_LOST = 75  # the supervisor starts another controller, which waits for the lease


def open_storage(
    address: StorageAddress, *, native_loops: bool = True, temporary_folder: Path | None = None
) -> StorageHandler:
    """The handler for a storage. Raises ValueError for a backend that there is not.

    `temporary_folder` is where the names of very big folders may be kept.
    """
    if address.backend == "posix":
        from longshore.storage.backends.posix import PosixStorage

        root = address.settings["root"]
        storage = PosixStorage(
            address.reference,
            os.fsencode(root),
            native=native_loops,
            temporary_folder=None if temporary_folder is None else str(temporary_folder),
        )
        return _with_faults(storage, root)
    if address.backend in _CLOUD_MODULES:
        return _open_bucket(address)
    raise ValueError(f"there is no storage backend {address.backend!r}")


_CLOUD_MODULES = {
    "s3": "longshore.storage.backends.object_store.s3",
    "azure": "longshore.storage.backends.object_store.azure",
    "gcs": "longshore.storage.backends.object_store.gcs",
    "swift": "longshore.storage.backends.object_store.swift",
}
"""Where the clients of providers are: `open_client(settings)` and `list_buckets(settings)`."""


def _open_bucket(address: StorageAddress) -> StorageHandler:
    from random import Random

    from longshore.storage.backends.object_store.storage import open_object_storage

    module = import_module(_CLOUD_MODULES[address.backend])
    return open_object_storage(
        address.reference,
        module.open_client(address.settings),
        address.settings,
        sleep=time.sleep,
        chance=Random(),
    )


def list_buckets(backend: str, settings: Mapping[str, str]) -> list[RemoteBucket]:
    """All buckets that these keys may list. Raises StorageError, ValueError."""
    if backend not in _CLOUD_MODULES:
        raise ValueError(f"there is no storage backend {backend!r}")
    from random import Random

    from longshore.storage.backends.object_store.retrying import patiently

    module = import_module(_CLOUD_MODULES[backend])
    found: list[RemoteBucket] = patiently(
        lambda: module.list_buckets(settings), sleep=time.sleep, chance=Random()
    )
    return found


def _with_faults(storage: StorageHandler, root: str) -> StorageHandler:
    """The storage, or one that fails as a test wants it."""
    planned = faults.storage_faults(root)
    if planned is None:
        return storage
    from longshore.storage.wrappers.faults import FaultPlan, faults_from_json
    from longshore.storage.wrappers.faulty import FaultyStorage

    plan = FaultPlan(faults_from_json(planned))
    return FaultyStorage(storage, plan, hook=lambda *_: faults.slow())


def open_configured_database(
    *, data_dir: Path | None = None, config_file: Path | None = None
) -> Database:
    """The database of the configured server, in the schema of this version."""
    from longshore.database.connection import open_database
    from longshore.database.migrate import migrate

    config = configuration.load(file=config_file, flags={"data_dir": data_dir})
    prepare_data_dir(config)
    database = open_database(config.database_url, config.data_dir)
    migrate(database)
    return database


def callback_limits(config: Config) -> Limits:
    """What callbacks may use. Raises InvalidConfiguration where settings contradict each other."""
    from longshore.callbacks import Limits

    names = [each.name for each in fields(Limits) if each.name != "languages"]
    values = {name: getattr(config, f"callback_{name}") for name in names}
    try:
        return Limits(**values, languages=_languages(config.callback_languages))
    except ValueError as error:
        raise configuration.InvalidConfiguration(f"callback settings: {error}") from error


def _languages(setting: str) -> frozenset[Language]:
    from longshore.callbacks import Language

    return frozenset(Language(name.strip()) for name in setting.split(",") if name.strip())


def begin_callback_test(config: Config) -> Future[SandboxReport]:
    """Whether this machine holds callbacks: tried beside the start of the process, then logged."""
    from longshore.callbacks import begin_self_test
    from longshore.observability import logger

    def log(done: Future[SandboxReport]) -> None:
        report = done.result()
        write = logger("callbacks").info if report.ok else logger("callbacks").warning
        write(
            "self-test passed" if report.ok else "self-test failed: callbacks are off",
            reason=report.reason,
            languages=sorted(each.value for each in report.languages),
            seccomp=report.seccomp,
            landlock=report.landlock,
            uid_dropped=report.uid_dropped,
        )

    report = begin_self_test(callback_limits(config))
    report.add_done_callback(log)
    return report


def prepare_data_dir(config: Config) -> None:
    """Make the server's folders; the data folder is for its user alone."""
    config.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    config.containers_folder.mkdir(mode=0o700, parents=True, exist_ok=True)


# ------------------------------------------------------------------------------------ api


def build_context(config: Config, database: Database) -> Context:
    """What the services of the api work with."""
    from longshore.database.wakeup import waker
    from longshore.services.context import Context
    from longshore.services.secrets import open_secret_box
    from longshore.services.tokens import open_token_verifier

    return Context(
        database=database,
        clock=faults.clock_of(time.time),
        monotonic=time.monotonic,
        wake=waker(database, config.data_dir),
        open_storage=open_storage,
        list_buckets=list_buckets,
        validate_script=_validation(config, begin_callback_test(config)),
        data_dir=config.data_dir,
        containers_folder=config.containers_folder,
        secrets=open_secret_box(config.data_dir),
        callback_limits=callback_limits(config),
        tokens=open_token_verifier(config, database, faults.clock_of(time.time), time.monotonic),
        cors_origins=tuple(
            origin.strip() for origin in config.cors_origins.split(",") if origin.strip()
        ),
    )


def _validation(
    config: Config, tested: Future[SandboxReport]
) -> Callable[[str], InvalidScript | None]:
    """How scripts are checked: none passes on a machine that does not hold callbacks."""
    from longshore.callbacks import InvalidScript, SandboxUnavailable, validate

    limits = callback_limits(config)

    def checked(script: str) -> InvalidScript | None:
        report = tested.result()
        if not report.ok:
            raise SandboxUnavailable(report.reason)
        invalid = validate(script, limits=limits)
        refusal = report.refusal(script)
        return invalid or (InvalidScript(message=refusal) if refusal else None)

    return checked


def build_api(config: Config, database: Database) -> tuple[FastAPI, str | None]:
    """The application, and the administrator's password if one was made up just now."""
    from longshore.api.app import create_app
    from longshore.services.credentials import ensure_administrator

    context = build_context(config, database)
    password = ensure_administrator(context, config.admin_password)
    return create_app(context), password


def run_api(config: Config) -> None:
    """Serve the api on the socket that the supervisor has opened, until SIGTERM."""
    import anyio.to_thread
    import uvicorn
    import uvloop

    from longshore.api.garbage import shorten_pauses
    from longshore.observability import configure_logging

    configure_logging(config.log_level, process="api")
    database = open_configured_database(data_dir=config.data_dir)
    app, password = build_api(config, database)
    if password is not None:
        where = config.data_dir / "admin-password"
        print(f"The user admin has the password {password} (kept in {where})", flush=True)
    listening = socket.socket(fileno=int(os.environ[LISTENING_DESCRIPTOR]))
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            http="httptools",
            timeout_graceful_shutdown=2,  # seconds; the whole server has to end within five
            server_header=False,
        )
    )

    async def serve() -> None:
        anyio.to_thread.current_default_thread_limiter().total_tokens = config.api_threads
        await server.serve(sockets=[listening])

    shorten_pauses()
    gc.enable()
    uvloop.run(serve())
    database.dispose()


# ----------------------------------------------------------------------------- controller


def run_controller(config: Config) -> None:
    """Be the controller, or wait to become it, until SIGTERM."""
    import asyncio

    from longshore.database.leases import LeaseLost
    from longshore.database.wakeup import Listener
    from longshore.engine.controller import Controller
    from longshore.engine.executors.local import LocalExecutor
    from longshore.hooks import installed, load_hooks
    from longshore.native import state
    from longshore.observability import configure_logging, logger

    configure_logging(config.log_level, process="controller")
    if config.native_loops:
        logger("controller").info("native inner loops", state=state())
    database = open_configured_database(data_dir=config.data_dir)
    listener = Listener(database, config.data_dir)
    callbacks_test = begin_callback_test(config)

    def unseal(sealed: bytes) -> str:
        from longshore.services.secrets import open_secret_box

        return open_secret_box(config.data_dir).decrypt(sealed)

    async def control() -> None:
        executor = LocalExecutor(
            command=process_command("mover", str(os.getpid())),
            data_dir=config.data_dir,
            count=config.movers or len(os.sched_getaffinity(0)),
            order_seconds=config.slice_seconds + config.order_timeout_seconds,
        )
        await Controller(
            config=config,
            callbacks_test=callbacks_test,
            hooks=load_hooks(installed()),
            unseal=unseal,
            database=database,
            listener=listener,
            executor=executor,
            clock=faults.clock_of(time.time),
            monotonic=time.monotonic,
            time_ns=faults.nanoseconds_of(time.time_ns),
        ).run()

    gc.enable()
    try:
        asyncio.run(control())
    except LeaseLost as error:
        logger("controller").warning("ending", reason=str(error))
        sys.exit(EXIT_LEASE_LOST)
    finally:
        listener.close()
        database.dispose()


# --------------------------------------------------------------------------------- movers


def open_filter(plan: ExecutionPlan, limits: Limits) -> FilterChain | None:
    """The callbacks of an execution, or None when it has none."""
    if not plan.callbacks:
        return None
    from longshore.callbacks import FilterChain

    callbacks = [(each.id, each.script) for each in plan.callbacks]
    return FilterChain(callbacks, task_id=plan.task_id, limits=limits)


def run_mover(config: Config, controller_pid: int) -> None:
    """Be a mover of the controller with that process id, until it ends."""
    from longshore.engine.executors.mover_process import serve_orders
    from longshore.hooks import installed, load_hooks
    from longshore.observability import configure_logging
    from longshore.pipeline.mover import Mover

    plugins = installed()
    if plugins:
        # Nothing else of a mover writes logs, and the library for it is a third of its start.
        configure_logging(config.log_level, process="mover")
    mover = Mover(
        open_storage=partial(
            open_storage, native_loops=config.native_loops, temporary_folder=config.data_dir
        ),
        open_filter=partial(open_filter, limits=callback_limits(config)),
        hooks=load_hooks(plugins),
        monotonic=time.monotonic,
        time_ns=faults.nanoseconds_of(time.time_ns),
    )
    gc.enable()
    try:
        serve_orders(config.data_dir, controller_pid, mover)
    finally:
        mover.close()


# ------------------------------------------------------------------------------ processes


def process_command(*arguments: str) -> list[str]:
    """The command line of one of this server's own processes; settings come by environment."""
    return [sys.executable, "-m", "longshore.bootstrap", *arguments]


def main(arguments: list[str]) -> None:
    # What is imported and made at the start stays: looking through it for garbage again and again
    # takes a tenth of the start. Each process enables the collector when it begins to work.
    gc.disable()
    config = configuration.load()
    name = arguments[0]
    faults.switch_on(os.environ.get(faults.VARIABLE))
    if name == "api":
        run_api(config)
    elif name == "controller":
        run_controller(config)
    elif name == "mover":
        run_mover(config, int(arguments[1]))
    else:
        raise SystemExit(f"there is no process {name!r}")


if __name__ == "__main__":
    main(sys.argv[1:])
