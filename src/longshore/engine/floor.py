"""What the parts of the controller share: configuration, clocks, the database, the present runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random

from sqlalchemy import Connection

from longshore import faults
from longshore.callbacks import SandboxReport
from longshore.config import Config
from longshore.database import leases
from longshore.database.connection import Database, looking, writing
from longshore.database.leases import Lease, LeaseLost
from longshore.engine.folder_ids import FolderIds
from longshore.engine.run import Run
from longshore.hooks import NO_HOOKS, Hooks


@dataclass(slots=True, kw_only=True)
class Floor:
    """One per controller. `clock` and `time_ns` count since 1970, `monotonic` since some start."""

    config: Config
    database: Database
    lease: Lease
    callbacks_test: Future[SandboxReport]  # done before the first request is carried out
    hooks: Hooks = NO_HOOKS
    clock: Callable[[], float]
    monotonic: Callable[[], float]
    time_ns: Callable[[], int]
    unseal: Callable[[bytes], str] | None = None  # makes stored secrets readable
    runs: dict[int, Run] = field(default_factory=dict)  # by execution id
    settled: int = 0  # replies on record since the start
    folder_ids: FolderIds = field(default_factory=FolderIds)
    random: Random = field(default_factory=Random)  # spreads attempts that would coincide

    def now(self) -> int:
        """Whole seconds since 1970."""
        return int(self.clock())

    @contextmanager
    def journal(self) -> Iterator[Connection]:
        """A transaction on the journal that only the holder of the lease can commit."""
        try:
            with writing(self.database.journal) as connection:
                leases.confirm(connection, self.lease, self.clock() + self.config.lease_seconds)
                yield connection
                faults.at("journal.commit")
        except BaseException:
            self.folder_ids.forget()  # they may name rows that were rolled back
            raise
        faults.at("journal.committed")

    @contextmanager
    def state(self) -> Iterator[Connection]:
        """A transaction on the state that only the holder of the lease can commit."""
        self._require_lease()
        with writing(self.database.state) as connection:
            leases.pass_fence(connection, self.lease)
            yield connection
            faults.at("state.commit")
        faults.at("state.committed")

    @contextmanager
    def look(self) -> Iterator[Connection]:
        """The state for single questions, while the lease is held: the cheapest way to ask."""
        self._require_lease()
        with looking(self.database.state) as connection:
            yield connection

    def _require_lease(self) -> None:
        with looking(self.database.journal) as connection:
            held = leases.read(connection)
        if held is None or held.epoch != self.lease.epoch:
            raise LeaseLost("another controller has taken the lease")
