from __future__ import annotations

import base64
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from sqlalchemy import select

from longshore.api.app import create_app
from longshore.config import Config, InvalidConfiguration
from longshore.database.connection import reading
from longshore.database.tables.users import api_keys as api_keys_table
from longshore.services import login_memory, users
from longshore.services.context import Context
from longshore.services.tokens import open_token_verifier
from tests.api.client import TestClient
from tests.api.conftest import ADMINISTRATOR, USER, ClientOf

API = "/api/v2"
KEYS = f"{API}/users/me/api_keys"
SECRET = "a secret of more than thirty-two bytes"


class Clock:
    """A clock that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


def client_over(context: Context, authorization: str | None = None) -> TestClient:
    client = TestClient(create_app(context), base_url="http://longshore")
    if authorization is not None:
        client.headers["Authorization"] = authorization
    return client


def new_key(client: TestClient, *scopes: tuple[str, str], name: str = "backup") -> dict[str, Any]:
    pairs = [{"controller": controller, "action": action} for controller, action in scopes]
    answer = client.post(KEYS, json={"name": name, "api_key_scopes": pairs})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


class TestApiKeys:
    def test_a_key_is_shown_once_and_stored_as_a_hash(
        self, user: TestClient, context: Context
    ) -> None:
        made = new_key(user, ("tasks", "index"))
        masked = made | {"key": "*" * 28 + made["key"][-4:]}
        assert user.get(f"{KEYS}/{made['id']}").json() == masked
        del masked["api_key_scopes"]
        assert user.get(KEYS).json() == {"count": 1, "api_keys": [masked]}
        with reading(context.database.state) as connection:
            row = connection.execute(select(api_keys_table)).one()
        assert made["key"].encode() not in row.key_hash
        assert made["key"] not in str(row)

    @pytest.mark.parametrize("form", ["{}", "Bearer {}", "bearer {}"])
    def test_a_key_logs_in_raw_and_as_bearer(
        self, user: TestClient, context: Context, form: str
    ) -> None:
        key = new_key(user)["key"]
        client = client_over(context, form.format(key))
        assert client.get(f"{API}/tasks").status_code == 200
        assert client.post(f"{API}/tasks", json={"name": "t"}).json()["creation_username"] == "ulla"
        assert client_over(context, form.format(key + "x")).get(f"{API}/tasks").status_code == 401

    def test_scopes_limit_a_key_and_never_widen_it(
        self, admin: TestClient, user: TestClient, context: Context
    ) -> None:
        key = new_key(user, ("tasks", "index"), ("pools", "*"))["key"]
        client = client_over(context, key)
        assert client.get(f"{API}/tasks").status_code == 200
        assert client.get(f"{API}/pools").status_code == 200
        refused = client.post(f"{API}/tasks", json={"name": "t"})
        assert refused.status_code == 403
        problem = refused.json()["details"]["base"][0]
        assert (problem["controller"], problem["action"]) == ("tasks", "create")
        body = {"name": "p", "type": "primary", "content": "nas"}
        assert client.post(f"{API}/pools", json=body).status_code == 403
        by_admin = client_over(context, new_key(admin, ("*", "create"))["key"])
        assert by_admin.post(f"{API}/pools", json=body).status_code == 201
        assert by_admin.get(f"{API}/pools").status_code == 403

    def test_a_limited_key_cannot_make_a_mightier_one(
        self, admin: TestClient, context: Context
    ) -> None:
        made = new_key(admin, ("api_keys", "*"))
        client = client_over(context, made["key"])
        for scopes in ([], [{"controller": "pools", "action": "destroy"}],
                       [{"controller": "*", "action": "*"}]):  # fmt: skip
            body = {"name": "mighty", "api_key_scopes": scopes}
            for answer in (client.post(KEYS, json=body),
                           client.put(f"{KEYS}/{made['id']}", json=body)):  # fmt: skip
                assert answer.status_code == 422, answer.text
                assert list(answer.json()["details"]) == ["api_key_scopes"]
        new_key(client, ("api_keys", "show"))
        assert client.put(f"{KEYS}/{made['id']}", json={"name": "same"}).status_code == 200

    def test_the_password_of_a_share_needs_its_own_scope(
        self, admin: TestClient, context: Context
    ) -> None:
        body = {"name": "filer", "host": "h", "type": "nfs_v3"}
        nas_id = admin.post(f"{API}/nas", json=body).json()["id"]
        share = {"name": "s", "path": "/", "password": "pw"}
        admin.post(f"{API}/nas/{nas_id}/nas_shares", json=share)
        for scopes, shown in (
            ([("nas_shares", "show")], False),
            ([("nas_shares", "show"), ("nas_shares", "get_password")], True),
            ([], True),
        ):
            client = client_over(context, new_key(admin, *scopes)["key"])
            answer = client.get(f"{API}/nas_shares/s")
            assert answer.status_code == 200
            assert ("password" in answer.json()) is shown

    def test_keys_belong_to_their_user(self, admin: TestClient, user: TestClient) -> None:
        made = new_key(admin)
        assert user.get(KEYS).json()["count"] == 0
        path = f"{KEYS}/{made['id']}"
        for answer in (user.get(path), user.put(path, json={"name": "x"}), user.delete(path)):
            assert answer.status_code == 404

    def test_a_removed_key_is_worthless(self, user: TestClient, context: Context) -> None:
        made = new_key(user)
        assert user.delete(f"{KEYS}/{made['id']}").status_code == 204
        assert client_over(context, made["key"]).get(f"{API}/tasks").status_code == 401
        assert user.get(f"{KEYS}/not-a-number").status_code == 404

    @pytest.mark.parametrize(
        ("body", "attribute"),
        [
            ({"name": "x" * 256}, "name"),
            ({"name": "x\0"}, "name"),
            ({"name": "x", "api_key_scopes": "all"}, "api_key_scopes"),
            ({"name": "x", "api_key_scopes": [{"controller": "tasks"}]}, "api_key_scopes"),
            (
                {"name": "x", "api_key_scopes": [{"controller": "a b", "action": "c"}]},
                "api_key_scopes",
            ),
            (
                {"name": "x", "api_key_scopes": [{"controller": "a", "action": "b"}] * 501},
                "api_key_scopes",
            ),
        ],
    )
    def test_a_wrong_key_is_refused(
        self, user: TestClient, body: dict[str, object], attribute: str
    ) -> None:
        answer = user.post(KEYS, json=body)
        assert answer.status_code == 422
        assert list(answer.json()["details"]) == [attribute]


class TestPasswords:
    def test_utf8_and_latin1_passwords_both_log_in(self, context: Context) -> None:
        users.add(context.database, "jörg", "geheimnis-ü", administrator=False, now=0)
        for encoding in ("utf-8", "latin-1"):
            encoded = base64.b64encode("jörg:geheimnis-ü".encode(encoding)).decode()
            assert client_over(context, f"Basic {encoded}").get(f"{API}/tasks").status_code == 200

    def test_failures_slow_down_the_user_from_that_address_only(
        self, context: Context, client_of: ClientOf
    ) -> None:
        clock = Clock()
        context = replace(context, monotonic=clock)
        wrong = client_over(context)
        wrong.auth = (USER[0], "wrong-password")
        right = client_over(context)
        right.auth = USER
        for _ in range(login_memory.FREE_FAILURES):
            assert wrong.get(f"{API}/tasks").status_code == 401
        refused = wrong.get(f"{API}/tasks")
        assert refused.status_code == 429
        assert refused.headers["Retry-After"] == "1"
        assert right.get(f"{API}/tasks").status_code == 429
        elsewhere = TestClient(create_app(context), client=("10.0.0.9", 1))
        elsewhere.auth = USER
        assert elsewhere.get(f"{API}/tasks").status_code == 200
        other = client_over(context)
        other.auth = ADMINISTRATOR
        assert other.get(f"{API}/tasks").status_code == 200
        clock.now += 1
        assert wrong.get(f"{API}/tasks").status_code == 401
        assert wrong.get(f"{API}/tasks").headers["Retry-After"] == "2"
        clock.now += 2
        assert right.get(f"{API}/tasks").status_code == 200
        assert wrong.get(f"{API}/tasks").status_code == 401

    def test_a_changed_password_counts_at_once(self, context: Context, user: TestClient) -> None:
        assert user.get(f"{API}/tasks").status_code == 200
        users.set_password(context.database, "ulla", "another-password")
        assert user.get(f"{API}/tasks").status_code == 401
        user.auth = ("ulla", "another-password")
        assert user.get(f"{API}/tasks").status_code == 200

    def test_users_without_a_password_cannot_log_in_with_an_empty_one(
        self, context: Context, client_of: ClientOf
    ) -> None:
        users.add(context.database, "external", None, administrator=True, now=0)
        assert client_of(("external", "")).get(f"{API}/tasks").status_code == 401


class TestTokens:
    def config(self, **more: Any) -> Config:
        return Config(
            **{
                "jwt_issuer": "https://issuer.example",
                "jwt_audience": "longshore",
                "jwt_administrator_group": "archivists",
            }
            | more
        )

    def claims(self, **more: Any) -> dict[str, Any]:
        return {
            "iss": "https://issuer.example",
            "aud": ["longshore", "other"],
            "exp": int(time.time()) + 600,
            "preferred_username": "tina",
            "sub": "b8d6",
        } | more

    def client(self, context: Context, config: Config, token: str) -> TestClient:
        verifier = open_token_verifier(config, context.database, context.clock, context.monotonic)
        return client_over(replace(context, tokens=verifier), f"Bearer {token}")

    def status(self, context: Context, config: Config, token: str) -> int:
        return int(self.client(context, config, token).get(f"{API}/tasks").status_code)

    def test_a_shared_secret_verifies_and_the_user_is_added(self, context: Context) -> None:
        token = jwt.encode(self.claims(), SECRET, "HS256")
        client = self.client(context, self.config(jwt_secret=SECRET), token)
        made = client.post(f"{API}/tasks", json={"name": "t"})
        assert made.json()["creation_username"] == "tina"
        names = [user.name for user in users.everybody(context.database)]
        assert names.count("tina") == 1
        assert client.get(f"{API}/users/-/systems").status_code == 403

    @pytest.mark.parametrize(
        "more",
        [
            {"exp": 1_000_000},
            {"exp": None},
            {"nbf": 9_000_000_000},
            {"iss": "https://other.example"},
            {"aud": "other"},
            {"preferred_username": None, "sub": ""},
            {"preferred_username": "a:b"},
            {"preferred_username": ["tina"]},
            {"preferred_username": "admin"},
        ],
    )
    def test_claims_that_do_not_hold_are_refused(
        self, context: Context, more: dict[str, object]
    ) -> None:
        claims = {k: v for k, v in self.claims(**more).items() if v is not None}
        token = jwt.encode(claims, SECRET, "HS256")
        assert self.status(context, self.config(jwt_secret=SECRET), token) == 401

    def test_tokens_that_cannot_be_read_are_refused(self, context: Context) -> None:
        def part(text: str) -> str:
            return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

        config = self.config(jwt_secret=SECRET)
        deep = '{"alg":' + "[" * 5_000
        for header in ("", "{", "[]", "null", '{"alg":5}', '{"alg":"HS256","kid":5}', deep):
            token = f"{part(header) or 'x'}.{part('{}')}.x"
            assert self.status(context, config, token) == 401
        endless = jwt.encode(self.claims(exp=float("inf")), SECRET, "HS256")
        assert self.status(context, config, endless) == 401

    def test_without_a_preferred_name_the_subject_counts(self, context: Context) -> None:
        claims = self.claims()
        del claims["preferred_username"]
        client = self.client(
            context, self.config(jwt_secret=SECRET), jwt.encode(claims, SECRET, "HS256")
        )
        assert client.post(f"{API}/tasks", json={"name": "t"}).json()["creation_username"] == "b8d6"

    def test_the_group_makes_an_administrator(self, context: Context) -> None:
        config = self.config(jwt_secret=SECRET, jwt_groups_claim="realm_access.roles")
        for groups, status in ((["archivists"], 200), (["others"], 403), ("none", 403)):
            claims = self.claims(realm_access={"roles": groups})
            client = self.client(context, config, jwt.encode(claims, SECRET, "HS256"))
            assert client.get(f"{API}/users/-/systems").status_code == status

    @pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
    def test_public_keys_verify_from_a_file(
        self, context: Context, tmp_path: Path, algorithm: str
    ) -> None:
        private = _private_key(algorithm)
        pem = private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        (tmp_path / "key.pem").write_bytes(pem)
        config = self.config(jwt_public_key=tmp_path / "key.pem")
        assert self.status(context, config, jwt.encode(self.claims(), private, algorithm)) == 200
        other = jwt.encode(self.claims(), _private_key(algorithm), algorithm)
        assert self.status(context, config, other) == 401
        # The public key is public: it must never pass for a shared secret.
        forged = _signed_with_hmac(self.claims(), pem)
        assert self.status(context, config, forged) == 401
        assert self.status(context, config, jwt.encode(self.claims(), "", "none")) == 401

    def test_a_key_set_is_read_again_when_the_issuer_changes_keys(
        self, context: Context, tmp_path: Path
    ) -> None:
        clock = Clock()
        one, two = _private_key("RS256"), _private_key("ES256")
        path = tmp_path / "keys.json"
        _write_key_set(path, {"one": ("RS256", one)})
        verifier = open_token_verifier(
            self.config(jwt_jwks=str(path)), context.database, time.time, clock
        )
        assert verifier is not None
        by_one = jwt.encode(self.claims(), one, "RS256", headers={"kid": "one"})
        by_two = jwt.encode(self.claims(), two, "ES256", headers={"kid": "two"})
        assert verifier.principal(by_one) is not None
        _write_key_set(path, {"two": ("ES256", two)})
        assert verifier.principal(by_two) is None, "read again too soon"
        clock.now += 11
        assert verifier.principal(by_two) is not None
        assert verifier.principal(by_one) is None
        path.unlink()
        clock.now += 301
        assert verifier.principal(by_two) is not None, "a set that is gone locks nobody out"

    def test_unusable_settings_are_refused_at_the_start(
        self, context: Context, tmp_path: Path
    ) -> None:
        (tmp_path / "key.pem").write_text("no key")
        for more in (
            {"jwt_secret": "short"},
            {"jwt_secret": SECRET, "jwt_issuer": ""},
            {"jwt_secret": SECRET, "jwt_audience": ""},
            {"jwt_public_key": tmp_path / "key.pem"},
            {"jwt_public_key": tmp_path / "none.pem"},
        ):
            with pytest.raises(InvalidConfiguration):
                open_token_verifier(
                    self.config(**more), context.database, time.time, time.monotonic
                )
        verifier = open_token_verifier(Config(), context.database, time.time, time.monotonic)
        assert verifier is None


class TestConfigurations:
    PATH = f"{API}/users/me/configurations"

    def test_they_are_kept_per_user_by_id_and_key(
        self, user: TestClient, admin: TestClient
    ) -> None:
        made = user.post(self.PATH, json={"key": "theme", "value": "dark"})
        assert made.status_code == 201
        row = made.json()
        assert user.get(f"{self.PATH}/theme").json() == row
        assert user.get(f"{self.PATH}/{row['id']}").json() == row
        assert user.get(self.PATH).json() == {"count": 1, "configurations": [row]}
        assert admin.get(f"{self.PATH}/theme").status_code == 404
        changed = user.put(f"{self.PATH}/theme", json={"value": ""})
        assert changed.json() == row | {"value": ""}
        again = user.post(self.PATH, json={"key": "theme", "value": "x"})
        assert again.json()["details"]["key"][0]["error"] == "taken"
        wrong = user.post(self.PATH, json={"value": 5})
        assert set(wrong.json()["details"]) == {"key", "value"}
        assert user.delete(f"{self.PATH}/theme").status_code == 204
        assert user.get(self.PATH).json()["count"] == 0


def test_accounts_of_the_system_are_for_administrators(admin: TestClient, user: TestClient) -> None:
    found = admin.get(f"{API}/users/-/systems").json()
    assert found["count"] == len(found["users"])
    assert any(each["uid"] == 0 for each in found["users"])
    groups = admin.get(f"{API}/groups/-/systems").json()
    assert any(each["gid"] == 0 for each in groups["groups"])
    assert user.get(f"{API}/groups/-/systems").status_code == 403


def test_only_configured_origins_get_cors_headers(context: Context) -> None:
    origin = {"Origin": "https://console.example"}
    plain = client_over(context).get(f"{API}/openapi.json", headers=origin)
    assert "Access-Control-Allow-Origin" not in plain.headers
    opened = client_over(replace(context, cors_origins=("https://console.example",)))
    answer = opened.get(f"{API}/openapi.json", headers=origin)
    assert answer.headers["Access-Control-Allow-Origin"] == "https://console.example"
    other = opened.get(f"{API}/openapi.json", headers={"Origin": "https://evil.example"})
    assert "Access-Control-Allow-Origin" not in other.headers


def _private_key(algorithm: str) -> Any:
    if algorithm == "RS256":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return ec.generate_private_key(ec.SECP256R1())


def _signed_with_hmac(claims: dict[str, Any], key: bytes) -> str:
    """What an attacker makes: the public key as the secret, which honest libraries refuse."""
    import hashlib
    import hmac

    def part(value: object) -> bytes:
        raw = value if isinstance(value, bytes) else json.dumps(value).encode()
        return base64.urlsafe_b64encode(raw).rstrip(b"=")

    signed = part({"alg": "HS256", "typ": "JWT"}) + b"." + part(claims)
    return (signed + b"." + part(hmac.digest(key, signed, hashlib.sha256))).decode()


def _write_key_set(path: Path, keys: dict[str, tuple[str, Any]]) -> None:
    described = []
    for key_id, (algorithm, private) in keys.items():
        public = jwt.get_algorithm_by_name(algorithm).to_jwk(private.public_key())
        fields = json.loads(public) if isinstance(public, str) else public
        described.append(fields | {"kid": key_id, "use": "sig", "alg": algorithm})
    path.write_text(json.dumps({"keys": [{"kty": "unknown"}, *described]}))
