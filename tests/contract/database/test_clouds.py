"""Connectors and buckets in both databases."""

from __future__ import annotations

from sqlalchemy import insert

from longshore.database import clouds, rows, runs
from longshore.database.connection import Database, reading, writing
from longshore.database.query import Page
from longshore.database.tables.control import storage_counts
from longshore.database.tables.storages import cloud_connectors, pools
from longshore.domain.cloud import RemoteBucket
from longshore.domain.storage import StorageKind


def add_connector(database: Database, name: str) -> int:
    values = {"name": name, "provider": "generic_s3", "url": "http://x", "access_key": "AK"}
    with writing(database.state) as connection:
        stored = values | {"secret_key_encrypted": b"\x00sealed", "options": "a=1"}
        return rows.add(connection, cloud_connectors, stored)


def add_pool(database: Database) -> int:
    values = {"name": "cold", "type": "offline_archive", "content": "cloud"}
    with writing(database.state) as connection:
        return rows.add(connection, pools, values)


def test_buckets_follow_what_the_provider_lists(database: Database) -> None:
    connector, other, pool = add_connector(database, "a"), add_connector(database, "b"), 0
    pool = add_pool(database)
    with writing(database.state) as connection:
        listed = [RemoteBucket("one", "eu"), RemoteBucket("two"), RemoteBucket("three")]
        assert clouds.put_buckets(connection, connector, listed) == []
        clouds.put_buckets(connection, other, [RemoteBucket("one")])
        one, three, two = clouds.buckets_of_connector(connection, connector)
        clouds.assign_buckets(connection, pool, [two.id])
        gone = clouds.put_buckets(connection, connector, [RemoteBucket("one", "us")])
        assert gone == [three.id], "a bucket in a pool stays"
    with reading(database.state) as connection:
        left = clouds.buckets_of_connector(connection, connector)
        assert [(each.id, each.location) for each in left] == [(one.id, "us"), (two.id, None)]
        assert [each.id for each in clouds.buckets_of_pool(connection, pool)] == [two.id]
        assert clouds.buckets_in_pools(connection, [pool]) == [two.id]
        (named,) = runs.buckets_of_pool(connection, pool)
        assert (named.name, named.provider, named.url) == ("two", "generic_s3", "http://x")
        assert named.connector_options == "a=1"
        page = Page(
            filters=(("name", "><one|two"), ("location", "=us")), sort=(), limit=5, offset=0
        )
        found = clouds.index_buckets(connection, page, connector_id=connector)
        assert (found.count, [each.id for each in found.rows]) == (1, [one.id])


def test_a_bucket_that_holds_files_of_the_catalogue_stays(database: Database) -> None:
    connector = add_connector(database, "a")
    with writing(database.state) as connection:
        clouds.put_buckets(connection, connector, [RemoteBucket("full"), RemoteBucket("empty")])
        empty, full = clouds.buckets_of_connector(connection, connector)
        for bucket, files in ((empty, 0), (full, 1)):
            counted = dict.fromkeys((each.name for each in storage_counts.c), 0)
            where = {"storage_kind": StorageKind.CLOUD_BUCKET.value, "storage_id": bucket.id}
            connection.execute(insert(storage_counts).values(counted | where | {"files": files}))
        assert clouds.put_buckets(connection, connector, []) == [empty.id]
        assert clouds.buckets_of_connector(connection, connector) == [full]
        assert clouds.hold_connector(connection, connector) is not None
        assert clouds.hold_connector(connection, connector + 1) is None


def test_a_secret_stays_the_bytes_that_it_was(database: Database) -> None:
    connector = add_connector(database, "a")
    with reading(database.state) as connection:
        stored = clouds.fetch_connector(connection, connector)
        assert stored is not None
        assert stored.secret_key_encrypted == b"\x00sealed"
        assert clouds.fetch_connector_named(connection, "a") == stored
