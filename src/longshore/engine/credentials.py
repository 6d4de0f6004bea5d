"""The keys of object stores, handed to movers with each order.

A plan names its buckets without keys, because it stands in the database for as long as the
execution is kept. The keys are read when work is given out: what an administrator has changed
meanwhile counts from the next order on, also for an execution that waits for better keys.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from longshore.database import clouds
from longshore.database.connection import reading
from longshore.domain import cloud
from longshore.domain.errors import LongshoreError
from longshore.domain.storage import StorageKind, StorageReference
from longshore.engine.floor import Floor
from longshore.observability import logger
from longshore.pipeline.messages.orders import StorageCredentials
from longshore.pipeline.messages.plan import ExecutionPlan

CREDENTIALS_SECONDS = 5.0  # how old keys may be: decrypting them for each order would cost more

Unseal = Callable[[bytes], str]

_log = logger("controller")


@dataclass(slots=True)
class Credentials:
    """Keys of the present executions, as the database had them a moment ago."""

    floor: Floor
    _known: dict[tuple[StorageReference, ...], list[StorageCredentials]] = field(
        default_factory=dict
    )
    _read_at: float = float("-inf")

    def of(self, plan: ExecutionPlan) -> list[StorageCredentials]:
        """What the movers need for the plan's buckets; nothing where it has none."""
        buckets = buckets_of(plan)
        if not buckets:
            return []
        now = self.floor.monotonic()
        if now - self._read_at >= CREDENTIALS_SECONDS:
            self._known.clear()
            self._read_at = now
        if buckets not in self._known:
            self._known[buckets] = self._read(buckets)
        return self._known[buckets]

    def _read(self, buckets: tuple[StorageReference, ...]) -> list[StorageCredentials]:
        with reading(self.floor.database.state) as connection:
            rows = clouds.buckets_by_id(connection, [each.id for each in buckets])
            owners = {
                row.id: clouds.fetch_connector(connection, row.cloud_connector_id) for row in rows
            }
        found = []
        for row in rows:
            connector = owners[row.id]
            assert connector is not None, "a bucket goes with its connector"
            found.append(
                StorageCredentials(
                    StorageReference(StorageKind.CLOUD_BUCKET, row.id),
                    cloud.credentials(
                        access_key=connector.access_key,
                        secret_key=self._clear(connector.secret_key_encrypted, connector.name),
                        proxy=cloud.with_login(
                            connector.url_proxy,
                            self._clear(connector.proxy_login_encrypted, connector.name),
                        ),
                        config_file=self._clear(row.config_file_encrypted, row.name),
                    ),
                )
            )
        return found

    def _clear(self, sealed: bytes | None, of: str) -> str | None:
        """The secret; None when it cannot be read, so that the provider refuses the request."""
        if sealed is None or self.floor.unseal is None:
            return None
        try:
            return self.floor.unseal(sealed)
        except LongshoreError as error:
            _log.error("a stored secret cannot be read", of=of, error=str(error))
            return None


def buckets_of(plan: ExecutionPlan) -> tuple[StorageReference, ...]:
    """The buckets among the plan's storages, each once."""
    references = [source.storage.reference for source in plan.sources]
    for destination in plan.destinations:
        references += [storage.reference for storage in destination.shares()]
    buckets = {each for each in references if each.kind is StorageKind.CLOUD_BUCKET}
    return tuple(sorted(buckets, key=lambda each: each.id))
