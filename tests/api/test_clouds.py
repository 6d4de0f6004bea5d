"""Cloud connectors and buckets, over a provider that is a folder: its folders are the buckets."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from longshore import bootstrap
from longshore.api.app import create_app
from longshore.database.connection import reading, writing
from longshore.database.tables.storages import cloud_buckets, cloud_connectors
from longshore.domain.cloud import RemoteBucket
from longshore.domain.errors import ErrorKind, RetryClass, StorageUnavailable
from longshore.domain.storage import StorageAddress
from longshore.services.context import Context
from longshore.services.secrets import SecretBox
from longshore.storage.backends.posix import PosixStorage
from longshore.storage.handler import StorageHandler
from tests.api.client import TestClient
from tests.api.conftest import ADMINISTRATOR, USER
from tests.servers import wait_until

SECRET = "not-to-be-seen"
CONNECTOR = {
    "name": "archive",
    "provider": "generic_s3",
    "url": "http://127.0.0.1:9/",
    "region": "eu-1",
    "access_key": "AK",
    "secret_key": SECRET,
}


@dataclass
class Provider:
    """A folder of buckets, and what it was asked with."""

    folder: Path
    asked: list[Mapping[str, str]] = field(default_factory=list)
    opened: list[StorageAddress] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.gate.set()

    def add(self, *names: str) -> None:
        for name in names:
            (self.folder / name).mkdir(parents=True)

    def list_buckets(self, backend: str, settings: Mapping[str, str]) -> list[RemoteBucket]:
        self.asked.append({"backend": backend, **settings})
        assert self.gate.wait(30)
        if settings.get("secret_key") != SECRET:
            raise StorageUnavailable(
                ErrorKind.PERMISSION, RetryClass.LATER, "list buckets", b"", "wrong keys"
            )
        return [RemoteBucket(each.name, "eu-1") for each in self.folder.iterdir()]

    def open_storage(self, address: StorageAddress) -> StorageHandler:
        bootstrap.open_storage(address).close()  # which refuses settings that mean nothing
        self.opened.append(address)
        root = address.settings.get("root") or str(self.folder / address.settings["bucket"])
        return PosixStorage(address.reference, root.encode())


@pytest.fixture
def provider(tmp_path: Path) -> Provider:
    made = Provider(tmp_path / "provider")
    made.add("blue", "green")
    return made


@pytest.fixture
def context(context: Context, provider: Provider) -> Context:
    return replace(context, list_buckets=provider.list_buckets, open_storage=provider.open_storage)


@pytest.fixture
def connector(admin: TestClient) -> dict[str, Any]:
    answer = admin.post("/api/v2/cloud_connectors", json=CONNECTOR)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def finished(client: TestClient, path: str, **body: Any) -> dict[str, Any]:
    """Begin the job at the path and wait for its end."""
    started = client.put(path, **body)
    assert started.status_code == 202, started.text
    job_id = started.json()["job_id"]

    def end() -> dict[str, Any] | None:
        answer = client.get(path, params={"job_id": job_id})
        assert answer.status_code in {200, 202}, answer.text
        found: dict[str, Any] = answer.json()
        assert (answer.status_code == 200) == (found["status"] in {"completed", "failed"})
        return found if answer.status_code == 200 else None

    found: dict[str, Any] = wait_until(end, path)
    return found


@pytest.fixture
def buckets(admin: TestClient, connector: dict[str, Any]) -> dict[str, Any]:
    """The buckets of the connector by name, once they were brought in."""
    synced = finished(admin, f"/api/v2/cloud_connectors/{connector['id']}/cloud_buckets/-/sync")
    assert synced["status"] == "completed"
    return {each["name"]: each for each in synced["cloud_buckets"]}


# ----------------------------------------------------------------------------- connectors


def test_a_connector_comes_back_as_it_was_made_but_for_an_ordinary_user_without_secret(
    admin: TestClient, user: TestClient, connector: dict[str, Any]
) -> None:
    assert {name: connector[name] for name in CONNECTOR} == CONNECTOR
    seen = user.get("/api/v2/cloud_connectors/archive").json()
    assert "secret_key" not in seen
    assert seen == {name: value for name, value in connector.items() if name != "secret_key"}
    listed = user.get("/api/v2/cloud_connectors?provider=><generic_s3|azure&sort_by=name:desc")
    assert listed.json() == {"count": 1, "cloud_connectors": [seen]}


def test_the_login_at_a_proxy_is_kept_and_never_shown(
    admin: TestClient, context: Context, provider: Provider
) -> None:
    url_proxy, bare = "http://me:pr%40xy-pass@proxy:3128", "http://proxy:3128"
    path = "/api/v2/cloud_connectors"
    made = admin.post(path, json=CONNECTOR | {"url_proxy": url_proxy}).json()
    assert made["url_proxy"] == bare
    assert admin.get(f"{path}?url_proxy={bare}").json()["cloud_connectors"] == [made]
    files = [each for each in context.data_dir.rglob("*") if each.is_file()]
    assert not any(b"xy-pass" in each.read_bytes() for each in files)

    one = f"{path}/{made['id']}"

    def asked_through(**changed: Any) -> str | None:
        assert admin.put(one, json=made | changed).status_code == 200
        assert finished(admin, f"{one}/cloud_buckets/-/sync")["status"] == "completed"
        return provider.asked[-1].get("proxy")

    assert asked_through(region="eu-2") == url_proxy
    tried = admin.get(one).json()
    assert finished(admin, f"{path}/-/test", json=tried)["status"] == "completed"
    assert provider.asked[-1]["proxy"] == url_proxy
    assert asked_through(url_proxy="http://other:3128") == "http://other:3128"
    assert asked_through() == bare, "the login was for the address that went"
    assert asked_through(url_proxy="http://you@proxy:3128") == "http://you@proxy:3128"
    assert asked_through(url_proxy=None) is None
    assert finished(admin, f"{path}/-/test", json=CONNECTOR | {"url_proxy": url_proxy})
    assert provider.asked[-1]["proxy"] == url_proxy


def test_the_secret_needs_its_scope_and_stands_nowhere_in_clear(
    admin: TestClient, client_of: Any, context: Context, connector: dict[str, Any]
) -> None:
    made = {}
    for action in ("show", "*"):
        scope = [{"controller": "cloud_connectors", "action": action}]
        body = {"name": action, "api_key_scopes": scope}
        key = admin.post("/api/v2/users/me/api_keys", json=body).json()["key"]
        client = client_of(ADMINISTRATOR)
        client.auth = None
        client.headers["Authorization"] = f"Bearer {key}"
        made[action] = client.get("/api/v2/cloud_connectors/archive").json()
    assert "secret_key" not in made["show"]
    assert made["*"]["secret_key"] == SECRET
    files = [path for path in context.data_dir.rglob("*") if path.is_file()]
    assert files
    assert not any(SECRET.encode() in path.read_bytes() for path in files)


def test_only_administrators_change_connectors(user: TestClient, connector: dict[str, Any]) -> None:
    one = f"/api/v2/cloud_connectors/{connector['id']}"
    assert user.post("/api/v2/cloud_connectors", json=CONNECTOR).status_code == 403
    assert user.put(one, json={"region": "x"}).status_code == 403
    assert user.delete(one).status_code == 403
    assert user.put("/api/v2/cloud_connectors/-/test", json=CONNECTOR).status_code == 403
    assert user.put(f"{one}/cloud_buckets/-/sync").status_code == 403


@pytest.mark.parametrize(
    ("changed", "attribute", "kind"),
    [
        ({"name": " "}, "name", "blank"),
        ({"provider": None}, "provider", "blank"),
        ({"provider": "tape"}, "provider", "invalid"),
        ({"url": None}, "url", "blank"),
        ({"url": "ftp://host"}, "url", "invalid"),
        ({"url": "http://user:password@host"}, "url", "invalid"),
        ({"url_proxy": "http://host:99999"}, "url_proxy", "invalid"),
        ({"secret_key": "x" * 20_000}, "secret_key", "too_long"),
        ({"region": 5}, "region", "invalid"),
        ({"region": "eu.example.com/#"}, "region", "invalid"),
        ({"url": "http://host/?sv=1&sig=secret"}, "url", "invalid"),
        ({"url": "http://host#secret"}, "url", "invalid"),
        ({"url": "http://ho st"}, "url", "invalid"),
        ({"url": "http://host\n.example"}, "url", "invalid"),
        ({"url": "http://b\u00fccher.example"}, "url", "invalid"),
        ({"url": "http://store..example"}, "url", "invalid"),
        ({"url": "http://host:0"}, "url", "invalid"),
        ({"url": "http://host/bucket"}, "url", "invalid"),
        ({"url": "file:///etc/passwd"}, "url", "invalid"),
        ({"url_proxy": "https://proxy:3128"}, "url_proxy", "invalid"),
        ({"url_proxy": "http://proxy:3128/path"}, "url_proxy", "invalid"),
        ({"access_key": "AK\n"}, "access_key", "invalid"),
        ({"access_key": "\u20ac"}, "access_key", "invalid"),
        ({"secret_key": "pasted\n"}, "secret_key", "invalid"),
        ({"options": "secret_key=abc"}, "options", "invalid"),
        ({"options": "proxy=http://user:password@host"}, "options", "invalid"),
        ({"options": "requests_maximum=many"}, "options", "invalid"),
        ({"options": "prefix=../other"}, "options", "invalid"),
        ({"options": "read_seconds=0"}, "options", "invalid"),
        (
            {"provider": "openstack_swift", "options": "conditional_create=yes"},
            "options",
            "invalid",
        ),
    ],
)
def test_what_is_wrong_with_a_connector_is_said(
    admin: TestClient, changed: dict[str, Any], attribute: str, kind: str
) -> None:
    answer = admin.post("/api/v2/cloud_connectors", json=CONNECTOR | changed)
    assert answer.status_code == 422
    assert answer.json()["details"][attribute][0]["error"] == kind
    tried = admin.put("/api/v2/cloud_connectors/-/test", json=CONNECTOR | changed)
    assert (tried.status_code == 422) is (attribute != "name")


@pytest.mark.parametrize(
    "usable",
    [
        {"url": "http://[::1]:9000"},
        {"url": "https://store_1.example.com.:9000/"},
        {"url": "http://127.0.0.1:10000/account", "provider": "azure"},
        {"url": "http://keystone:5000/v3", "provider": "openstack_swift", "access_key": "\u20ac"},
        {"url_proxy": "http://proxy.example:3128/"},
        {"secret_key": '{\n "type": "service_account"}\n', "provider": "google_cloud_storage"},
        {"options": "read_seconds=5, requests_maximum=3,something=else"},
    ],
)
def test_what_a_store_may_be_reached_by_is_taken(admin: TestClient, usable: dict[str, Any]) -> None:
    answer = admin.post("/api/v2/cloud_connectors", json=CONNECTOR | usable)
    assert answer.status_code == 201, answer.text


def test_what_was_stored_before_there_was_a_rule_does_not_stop_other_changes(
    admin: TestClient, connector: dict[str, Any], context: Context
) -> None:
    old = {"url": "http://host/bucket", "options": "secret_key=abc,requests_maximum=many"}
    with writing(context.database.state) as connection:
        connection.execute(cloud_connectors.update().values(old))
    one = f"/api/v2/cloud_connectors/{connector['id']}"
    shown = admin.get(one).json()
    assert admin.put(one, json=shown | {"access_key": "AK2"}).status_code == 200
    refused = admin.put(one, json={"options": "requests_maximum=some"})
    assert refused.json()["details"].keys() == {"options"}
    assert "requests_maximum" in refused.json()["messages"][0]


def test_a_secret_of_another_key_file_is_left_out_and_may_be_entered_again(
    connector: dict[str, Any], context: Context
) -> None:
    other = SecretBox([Fernet.generate_key()])
    client = TestClient(create_app(replace(context, secrets=other)), base_url="http://longshore")
    client.auth = ADMINISTRATOR
    listed = client.get("/api/v2/cloud_connectors")
    assert listed.status_code == 200
    assert "secret_key" not in listed.json()["cloud_connectors"][0]
    sync = f"/api/v2/cloud_connectors/{connector['id']}/cloud_buckets/-/sync"
    failed = finished(client, sync)
    assert (failed["status"], "secret.key" in failed["message"]) == ("failed", True)
    again = client.put("/api/v2/cloud_connectors/archive", json={"secret_key": SECRET}).json()
    assert again["secret_key"] == SECRET
    assert finished(client, sync)["status"] == "completed"


def test_a_provider_with_an_address_of_its_own_needs_no_url(admin: TestClient) -> None:
    body = CONNECTOR | {"provider": "amazon_aws_s3", "url": None}
    assert admin.post("/api/v2/cloud_connectors", json=body).status_code == 201


def test_a_name_is_taken_once(admin: TestClient, connector: dict[str, Any]) -> None:
    answer = admin.post("/api/v2/cloud_connectors", json=CONNECTOR)
    assert answer.json()["details"]["name"][0]["error"] == "taken"


def test_changing_a_connector_leaves_its_secret_unless_it_is_given(
    admin: TestClient, connector: dict[str, Any]
) -> None:
    one = f"/api/v2/cloud_connectors/{connector['id']}"
    changed = admin.put(one, json={"region": "eu-2", "url_proxy": "http://proxy:3128"}).json()
    assert (changed["region"], changed["secret_key"]) == ("eu-2", SECRET)
    assert "secret_key" not in admin.put(one, json={"secret_key": None}).json()


# ------------------------------------------------------------------------------- trials


def test_a_trial_lists_the_buckets_and_stores_nothing(
    admin: TestClient, context: Context, provider: Provider
) -> None:
    found = finished(admin, "/api/v2/cloud_connectors/-/test", json=CONNECTOR)
    assert [each["name"] for each in found["cloud_buckets"]] == ["blue", "green"]
    assert [each["id"] for each in found["cloud_buckets"]] == [None, None]
    assert provider.asked[0]["endpoint"] == CONNECTOR["url"]
    with reading(context.database.state) as connection:
        assert connection.execute(cloud_connectors.select()).all() == []
        assert connection.execute(cloud_buckets.select()).all() == []


def test_a_trial_that_fails_says_why(admin: TestClient) -> None:
    body = CONNECTOR | {"secret_key": "wrong"}
    found = finished(admin, "/api/v2/cloud_connectors/-/test", json=body)
    assert found["status"] == "failed"
    assert "wrong keys" in found["message"]
    assert "cloud_buckets" not in found


def test_a_trial_with_a_key_that_cannot_be_one_says_so(admin: TestClient) -> None:
    body = CONNECTOR | {"provider": "azure", "secret_key": "#" * 9, "options": "buckets=blue"}
    found = finished(admin, "/api/v2/cloud_connectors/-/test", json=body)
    assert found["status"] == "failed"
    assert "base 64" in found["message"]


def test_a_trial_of_a_stored_connector_uses_its_secret_for_the_same_place_only(
    admin: TestClient, connector: dict[str, Any]
) -> None:
    shown = {name: value for name, value in connector.items() if name != "secret_key"}
    path = "/api/v2/cloud_connectors/-/test"
    assert finished(admin, path, json=shown)["status"] == "completed"
    for elsewhere in ({"url": "http://127.0.0.1:10/"}, {"options": "storage_url=http://other"}):
        assert finished(admin, path, json=shown | elsewhere)["status"] == "failed"


def test_a_trial_under_way_is_shown_as_such_and_to_nobody_else(
    admin: TestClient, client_of: Any, provider: Provider
) -> None:
    provider.gate.clear()
    path = "/api/v2/cloud_connectors/-/test"
    job_id = admin.put(path, json=CONNECTOR).json()["job_id"]
    wait_until(lambda: provider.asked, "the provider to be asked")
    answer = admin.get(path, params={"job_id": job_id})
    assert (answer.status_code, answer.json()["status"]) == (202, "working")
    assert client_of(USER).get(path, params={"job_id": job_id}).status_code == 404
    assert admin.get(path).json()["details"]["job_id"][0]["error"] == "blank"
    assert admin.get(path, params={"job_id": "nobody"}).status_code == 404
    provider.gate.set()
    wait_until(
        lambda: admin.get(path, params={"job_id": job_id}).status_code == 200, "the job's end"
    )


def test_a_job_that_its_api_did_not_live_to_finish_is_shown_as_failed(
    context: Context, provider: Provider
) -> None:
    late = 0.0
    app = create_app(replace(context, clock=lambda: 1_700_000_000.0 + late))
    client = TestClient(app, base_url="http://longshore")
    client.auth = ADMINISTRATOR
    provider.gate.clear()
    path = "/api/v2/cloud_connectors/-/test"
    job_id = client.put(path, json=CONNECTOR).json()["job_id"]
    late = 3600.0
    answer = client.get(path, params={"job_id": job_id})
    assert (answer.status_code, answer.json()["status"]) == (200, "failed")
    provider.gate.set()


# ------------------------------------------------------------------------------- buckets


def test_synchronizing_brings_in_new_buckets_and_drops_those_that_are_gone(
    admin: TestClient, connector: dict[str, Any], buckets: dict[str, Any], provider: Provider
) -> None:
    assert set(buckets) == {"blue", "green"}
    admin.put(f"/api/v2/cloud_buckets/{buckets['blue']['id']}", json={"price": "2.50"})
    body = {"name": "cold", "type": "offline_archive", "content": "cloud"}
    pool = admin.post("/api/v2/pools", json=body | {"cloud_bucket_ids": [buckets["blue"]["id"]]})
    assert pool.status_code == 201, pool.text
    for name in ("blue", "green"):
        (provider.folder / name).rmdir()
    provider.add("red")
    path = f"/api/v2/cloud_connectors/{connector['id']}/cloud_buckets/-/sync"
    now = {each["name"]: each for each in finished(admin, path)["cloud_buckets"]}
    assert set(now) == {"blue", "red"}, "one that is in a pool stays"
    assert (now["blue"]["id"], now["blue"]["price"]) == (buckets["blue"]["id"], "2.50")


def test_a_connector_that_changes_while_it_is_asked_keeps_its_buckets(
    admin: TestClient, connector: dict[str, Any], buckets: dict[str, Any], provider: Provider
) -> None:
    (provider.folder / "green").rmdir()
    provider.gate.clear()
    one = f"/api/v2/cloud_connectors/{connector['id']}"
    asked = len(provider.asked)
    job_id = admin.put(f"{one}/cloud_buckets/-/sync").json()["job_id"]
    wait_until(lambda: len(provider.asked) > asked, "the provider to be asked")
    admin.put(one, json={"url": "http://127.0.0.1:10"})
    provider.gate.set()

    def end() -> Any:
        answer = admin.get(f"{one}/cloud_buckets/-/sync", params={"job_id": job_id})
        return answer.json() if answer.status_code == 200 else None

    job = wait_until(end, "the job's end")
    assert (job["status"], "changed" in job["message"]) == ("failed", True)
    assert admin.get(f"{one}/cloud_buckets").json()["count"] == len(buckets)


def test_buckets_that_keys_may_not_list_are_named_in_the_options(
    admin: TestClient, provider: Provider
) -> None:
    body = CONNECTOR | {"options": "buckets=green|missing"}
    connector = admin.post("/api/v2/cloud_connectors", json=body).json()
    path = f"/api/v2/cloud_connectors/{connector['id']}/cloud_buckets/-/sync"
    assert finished(admin, path)["status"] == "failed", "one of them is not there"
    provider.add("missing")
    found = finished(admin, path)["cloud_buckets"]
    assert [each["name"] for each in found] == ["green", "missing"]
    assert provider.asked == []


def test_a_bucket_is_found_by_itself_by_connector_and_by_pool(
    admin: TestClient, connector: dict[str, Any], buckets: dict[str, Any]
) -> None:
    body = {"name": "cold", "type": "offline_archive", "content": "cloud"}
    ids = [buckets["blue"]["id"]]
    pool = admin.post("/api/v2/pools", json=body | {"cloud_bucket_ids": ids}).json()
    blue = buckets["blue"] | {"pool_id": pool["id"]}
    bases = (
        "/cloud_buckets",
        "/cloud_connectors/archive/cloud_buckets",
        "/pools/cold/cloud_buckets",
    )
    for base in bases:
        assert admin.get(f"/api/v2{base}/blue").json() == blue
        listed = admin.get(f"/api/v2{base}?name=~b%25&location=eu-1").json()
        assert listed == {"count": 1, "cloud_buckets": [blue]}
        assert admin.put(f"/api/v2{base}/blue", json={"price": "1"}).json()["price"] == "1"
        admin.put(f"/api/v2{base}/blue", json={"price": None})
    assert admin.get("/api/v2/pools/cold/cloud_buckets/green").status_code == 404


def test_only_price_and_options_of_a_bucket_change(
    admin: TestClient, user: TestClient, buckets: dict[str, Any]
) -> None:
    one = f"/api/v2/cloud_buckets/{buckets['blue']['id']}"
    given = {"name": "other", "location": "x", "price": "4.5", "options": "prefix=a"}
    changed = admin.put(one, json=given).json()
    assert changed == buckets["blue"] | {"price": "4.5", "options": "prefix=a"}
    assert (
        admin.put(one, json={"price": "dear"}).json()["details"]["price"][0]["error"] == "invalid"
    )
    assert user.put(one, json={"price": "1"}).status_code == 403


def test_a_bucket_is_reached_with_the_keys_of_its_connector(
    admin: TestClient, buckets: dict[str, Any], provider: Provider
) -> None:
    one = f"/api/v2/cloud_buckets/{buckets['blue']['id']}"
    for refused in ("secret_key=mine", "requests_maximum=0"):
        assert admin.put(one, json={"options": refused}).status_code == 422
    admin.put(one, json={"options": "prefix=deep,account=mine,bucket=other"})
    admin.put(f"{one}/config_file", files={"config_file": ("c.json", b'{"a": 1}\r\n')})
    status = admin.get(f"{one}/mount").json()
    assert status["mounted"] is True
    assert status["status"]["cloud_bucket_name"] == "blue"
    settings = provider.opened[-1].settings
    assert settings == {
        "provider": "generic_s3",
        "endpoint": CONNECTOR["url"],
        "region": "eu-1",
        "bucket": "blue",
        "prefix": "deep",
        "access_key": "AK",
        "secret_key": SECRET,
        "config_file": '{"a": 1}\r\n',
    }
    (provider.folder / "blue").rmdir()
    status = admin.get(f"{one}/mount").json()
    assert status["mounted"] is False
    assert "blue" in status["message"]


def test_a_config_file_is_text_of_a_limited_size_in_a_form(
    admin: TestClient, user: TestClient, buckets: dict[str, Any], context: Context
) -> None:
    path = f"/api/v2/cloud_buckets/{buckets['blue']['id']}/config_file"

    def sent(content: bytes, field: str = "config_file") -> Any:
        return admin.put(path, files={field: ("name", content)})

    answer = sent(b"key-of-a-service")
    assert (answer.status_code, answer.json().startswith("longshore:")) == (200, True)
    with reading(context.database.state) as connection:
        stored = connection.execute(cloud_buckets.select()).mappings().first()
    assert b"key-of-a-service" not in bytes(stored["config_file_encrypted"])  # type: ignore[index]
    assert sent(b"\xff\xfe").status_code == 422
    assert sent(b"x" * 70_000).json()["details"]["config_file"][0]["error"] == "too_long"
    assert sent(b"x", field="other").json()["details"]["config_file"][0]["error"] == "blank"
    assert admin.put(path, json={"config_file": "x"}).status_code == 415
    nothing = {"Content-Type": "multipart/form-data"}
    assert admin.put(path, content=b"x", headers=nothing).status_code == 400
    assert user.put(path, files={"config_file": ("n", b"x")}).status_code == 403


# --------------------------------------------------------------------------------- pools


def test_a_pool_of_buckets_takes_buckets_only_and_each_once(
    admin: TestClient, buckets: dict[str, Any]
) -> None:
    blue = buckets["blue"]["id"]

    def made(name: str, content: str = "cloud", kind: str = "primary", **ids: Any) -> Any:
        body = {"name": name, "type": kind, "content": content, **ids}
        return admin.post("/api/v2/pools", json=body)

    pool = made("one", cloud_bucket_ids=[blue])
    assert pool.status_code == 201
    assert pool.json()["primary_id"] is not None
    taken = made("two", cloud_bucket_ids=[blue])
    assert taken.json()["details"]["cloud_bucket_ids"] == [{"error": "taken", "value": blue}]
    for wrong in (made("two", cloud_bucket_ids=[99]), made("two", nas_share_ids=[1])):
        assert wrong.status_code == 422
    assert made("two", content="nas", cloud_bucket_ids=[blue]).status_code == 422
    assert admin.get(f"/api/v2/pools/{pool.json()['id']}/mount").json()["mounted"] is True
    assert admin.delete("/api/v2/cloud_connectors/archive").status_code == 422
    assert admin.delete("/api/v2/pools/one").status_code == 204
    assert admin.delete("/api/v2/cloud_connectors/archive").status_code == 204
    assert admin.get("/api/v2/cloud_buckets").json()["count"] == 0


def test_a_path_in_a_primary_pool_of_buckets_is_looked_up_there(
    admin: TestClient, buckets: dict[str, Any], provider: Provider
) -> None:
    ids = [buckets["blue"]["id"]]
    body = {"name": "live", "type": "primary", "content": "cloud", "cloud_bucket_ids": ids}
    assert admin.post("/api/v2/pools", json=body).status_code == 201
    (provider.folder / "blue" / "film.mov").write_bytes(b"x")
    task = admin.post("/api/v2/tasks", json={"name": "t"}).json()["id"]
    added = admin.post(f"/api/v2/tasks/{task}/task_sources", json={"file_path": "/live/film.mov"})
    assert added.status_code == 201, added.text
    assert added.json()["file"]["name"] == "film.mov"
    missing = admin.post(f"/api/v2/tasks/{task}/task_sources", json={"file_path": "/live/no"})
    assert missing.status_code == 422


def test_limits_of_a_bucket(admin: TestClient, buckets: dict[str, Any]) -> None:
    path = f"/api/v2/cloud_buckets/{buckets['green']['id']}/limits"
    assert admin.put(path, json={"bandwidth": 5_000_000, "slots": 2}).status_code == 200
    assert admin.get(path).json() == {"bandwidth": 5_000_000, "slots": 2}
