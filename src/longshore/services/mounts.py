"""What is mounted now: the folders of NAS shares, alone, by pool and all together.

The server mounts nothing itself. A share is reached through a folder that the system mounts, a
bucket by requests; mounting and unmounting a pool therefore only report what is so.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from longshore.database import clouds
from longshore.database import nas as nas_rows
from longshore.database import pools as pool_rows
from longshore.database.clouds import CloudBucket, CloudConnector
from longshore.database.connection import reading
from longshore.database.nas import NasShare
from longshore.domain.errors import LongshoreError
from longshore.domain.storage import PoolContent
from longshore.services import cloud_buckets, mount_points, nas_shares, pool_lookup
from longshore.services.cloud_buckets import Parent as BucketParent
from longshore.services.context import Context
from longshore.services.errands import TooBusy
from longshore.services.mount_points import Mount
from longshore.services.nas_shares import Parent

REACH_SECONDS = 15.0  # for one request to a provider, attempts after errors included


@dataclass(frozen=True, slots=True)
class ShareMount:
    """A share's folder and the names of what it belongs to. `mount` is None where it has none."""

    share: NasShare
    nas_name: str
    pool_name: str | None
    folder: str | None
    reason: str | None  # why it cannot be used
    mount: Mount | None

    @property
    def mounted(self) -> bool:
        return self.folder is not None and self.reason is None


@dataclass(frozen=True, slots=True)
class BucketMount:
    """A bucket and the names of what it belongs to."""

    bucket: CloudBucket
    connector: CloudConnector
    pool_name: str | None
    reason: str | None  # why it cannot be used

    @property
    def mounted(self) -> bool:
        return self.reason is None


@dataclass(frozen=True, slots=True)
class MountStatus:
    """Whether a storage can be used, in words, and through which mount."""

    mounted: bool
    message: str
    mount: ShareMount | BucketMount | None = None


def of_bucket(context: Context, parent: BucketParent, identifier: str) -> MountStatus:
    with reading(context.database.state) as connection:
        bucket = cloud_buckets.resolve(connection, parent, identifier)
        named = _NamedBucket.read(connection, bucket)
    return _bucket_status(_look_at_bucket(context, named))


def of_share(context: Context, parent: Parent, identifier: str) -> MountStatus:
    with reading(context.database.state) as connection:
        share = nas_shares.resolve(connection, parent, identifier)
        named = _Named.read(connection, share)
    return _status(_look(context, named))


def of_pool(context: Context, identifier: str) -> MountStatus:
    """A pool is mounted when every share or bucket of it can be used."""
    with reading(context.database.state) as connection:
        pool = pool_lookup.resolve(connection, identifier)
        shares = nas_rows.shares_of_pool(connection, pool.id)
        named = [_Named.read(connection, share) for share in shares]
        members = clouds.buckets_of_pool(connection, pool.id)
        buckets = [_NamedBucket.read(connection, bucket) for bucket in members]
    if pool.content == PoolContent.CLOUD:
        return _status_of_buckets(context, buckets)
    if pool.content != PoolContent.NAS:
        return MountStatus(False, f"Pools of content {pool.content} are not mounted")
    if not named:
        return MountStatus(False, "The pool has no NAS shares")
    looked = [_look(context, each) for each in named]
    return _status(next((each for each in looked if not each.mounted), looked[0]))


def index(context: Context) -> list[ShareMount]:
    """Every share that can be used now, by id."""
    with reading(context.database.state) as connection:
        named = [_Named.read(connection, each) for each in nas_rows.all_shares(connection)]
    return [each for each in (_look(context, share) for share in named) if each.mounted]


@dataclass(frozen=True, slots=True)
class _Named:
    share: NasShare
    nas_name: str
    pool_name: str | None

    @classmethod
    def read(cls, connection: Connection, share: NasShare) -> _Named:
        owner = nas_rows.fetch(connection, share.nas_id)
        pool = None if share.pool_id is None else pool_rows.fetch(connection, share.pool_id)
        return cls(share, owner.name if owner else "", pool.name if pool else None)


def _look(context: Context, named: _Named) -> ShareMount:
    """The folder as it is now. Done without a transaction: a dead server may answer late."""
    folder = mount_points.mount_point_of(named.share.options)
    reason = "the share has no mount_point in its options" if folder is None else None
    mount = None
    if folder is not None:
        private = (context.data_dir, context.containers_folder)
        reason = mount_points.unusable(folder, private)
        mount = mount_points.mount_of(folder) if reason is None else None
    return ShareMount(named.share, named.nas_name, named.pool_name, folder, reason, mount)


def _status(looked: ShareMount) -> MountStatus:
    if looked.mounted:
        return MountStatus(True, f"Share {looked.share.name} is reached at {looked.folder}", looked)
    return MountStatus(False, f"Share {looked.share.name}: {looked.reason}", looked)


# -------------------------------------------------------------------------------- buckets


@dataclass(frozen=True, slots=True)
class _NamedBucket:
    bucket: CloudBucket
    connector: CloudConnector
    pool_name: str | None

    @classmethod
    def read(cls, connection: Connection, bucket: CloudBucket) -> _NamedBucket:
        connector = clouds.fetch_connector(connection, bucket.cloud_connector_id)
        assert connector is not None, "a bucket goes with its connector"
        pool = None if bucket.pool_id is None else pool_rows.fetch(connection, bucket.pool_id)
        return cls(bucket, connector, pool.name if pool else None)


def _status_of_buckets(context: Context, named: list[_NamedBucket]) -> MountStatus:
    """The first bucket that cannot be used, or the first one."""
    first: BucketMount | None = None
    for each in named:
        looked = _look_at_bucket(context, each)
        first = first or looked
        if not looked.mounted:
            return _bucket_status(looked)
    return MountStatus(False, "The pool has no buckets") if first is None else _bucket_status(first)


def _look_at_bucket(context: Context, named: _NamedBucket) -> BucketMount:
    """Whether the bucket answers now."""

    def check() -> None:
        address = cloud_buckets.address(context, named.bucket, named.connector)
        with context.open_storage(address) as storage:
            storage.check(writable=False)

    reason = None
    try:
        context.errands.ask(check, seconds=REACH_SECONDS)
    except (LongshoreError, ValueError) as error:
        reason = str(error)
    except TimeoutError:
        reason = f"it does not answer in {REACH_SECONDS:g} s"
    except TooBusy:
        reason = "too many requests to providers wait already"
    return BucketMount(named.bucket, named.connector, named.pool_name, reason)


def _bucket_status(looked: BucketMount) -> MountStatus:
    if looked.mounted:
        place = looked.connector.url or looked.connector.provider
        return MountStatus(True, f"Bucket {looked.bucket.name} is reached at {place}", looked)
    return MountStatus(False, f"Bucket {looked.bucket.name}: {looked.reason}", looked)
