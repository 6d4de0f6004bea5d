"""A user's API keys: shown once, stored as hashes, limited to scopes."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict
from sqlalchemy import Connection, select

from longshore.database import rows
from longshore.database import users as user_rows
from longshore.database.connection import reading, writing
from longshore.database.query import Page, count
from longshore.database.rows import Listed
from longshore.database.tables.users import api_keys
from longshore.database.users import ApiKey
from longshore.services.attributes import check_text, parse_id
from longshore.services.context import Context
from longshore.services.errors import BASE, Kind, NotFound, Problems
from longshore.services.input import Input, Words
from longshore.services.principal import Principal, Scopes

KEY_PREFIX = "longshore_"  # so that people and secret scanners recognise a key
KEY_BYTES = 32
KEYS_MAXIMUM = 1_000  # of one user
SCOPES_MAXIMUM = 500  # of one key; the whole api has about 200 actions

_SCOPE_PART = re.compile(r"[a-z0-9_-]{1,64}|\*")


class ScopeInput(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)

    controller: Words
    action: Words


class ApiKeyInput(Input):
    """The released SDK's model of a new key cannot carry a name, so a key may have none."""

    name: Words | None = None
    api_key_scopes: list[ScopeInput] | None = None


@dataclass(frozen=True, slots=True)
class NewApiKey:
    """A key that was just made, with the text that nobody can see again."""

    row: ApiKey
    key: str


def index(context: Context, principal: Principal, page: Page) -> Listed[ApiKey]:
    statement = select(api_keys).where(api_keys.c.user_id == principal.user_id)
    with reading(context.database.state) as connection:
        return rows.listed(connection, statement, page, {}, identity=api_keys.c.id, kind=ApiKey)


def show(context: Context, principal: Principal, identifier: str) -> ApiKey:
    with reading(context.database.state) as connection:
        return _resolve(connection, principal, identifier)


def create(context: Context, principal: Principal, body: Mapping[str, Any]) -> NewApiKey:
    problems = Problems()
    given = ApiKeyInput.read(body, problems)
    name = given.name or ""
    _check(problems, principal, name, given.api_key_scopes or [])
    key = KEY_PREFIX + secrets.token_urlsafe(KEY_BYTES)
    stored: dict[str, Any] = {
        "user_id": principal.user_id,
        "name": name,
        "key_hash": hash_key(key),
        "key_end": key[-4:],
        "scopes": _stored_scopes(given.api_key_scopes or []),
        "creation_date": context.now(),
    }
    with writing(context.database.state) as connection:
        _check_room(connection, principal)
        return NewApiKey(ApiKey(id=rows.add(connection, api_keys, stored), **stored), key)


def update(
    context: Context, principal: Principal, identifier: str, body: Mapping[str, Any]
) -> ApiKey:
    problems = Problems()
    given = ApiKeyInput.read(body, problems)
    with writing(context.database.state) as connection:
        current = _resolve(connection, principal, identifier)
        name = (given.name or "") if given.has("name") else current.name
        changed: dict[str, Any] = {"name": name}
        if given.has("api_key_scopes"):
            _check(problems, principal, name, given.api_key_scopes or [])
            changed["scopes"] = _stored_scopes(given.api_key_scopes or [])
        check_text(problems, "name", name)
        problems.raise_if_any()
        rows.change(connection, api_keys, current.id, changed)
        return _resolve(connection, principal, identifier)


def destroy(context: Context, principal: Principal, identifier: str) -> None:
    with writing(context.database.state) as connection:
        rows.remove(connection, api_keys, _resolve(connection, principal, identifier).id)


def hash_key(key: str) -> bytes:
    """What is stored instead of the key. Nobody guesses 256 bits, so it need not be slow."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


def scopes_of(key: ApiKey) -> Scopes:
    """The pairs of controller and action that the key is limited to; none = everything."""
    return frozenset((each["controller"], each["action"]) for each in json.loads(key.scopes))


def _resolve(connection: Connection, principal: Principal, identifier: str) -> ApiKey:
    key_id = parse_id(identifier)
    found = None if key_id is None else user_rows.fetch_key(connection, principal.user_id, key_id)
    if found is None:
        raise NotFound("api_key")
    return found


def _check(problems: Problems, principal: Principal, name: str, scopes: list[ScopeInput]) -> None:
    check_text(problems, "name", name)
    if "api_key_scopes" not in problems:
        _check_scopes(problems, principal, scopes)
    problems.raise_if_any()


def _check_scopes(problems: Problems, principal: Principal, scopes: list[ScopeInput]) -> None:
    if len(scopes) > SCOPES_MAXIMUM:
        problems.add(
            "api_key_scopes",
            Kind.OCCURRENCE_LESS_THAN_OR_EQUAL_TO,
            count=SCOPES_MAXIMUM,
            value=len(scopes),
        )
        return
    for scope in scopes:
        if not (_SCOPE_PART.fullmatch(scope.controller) and _SCOPE_PART.fullmatch(scope.action)):
            value = f"{scope.controller}/{scope.action}"
            problems.add("api_key_scopes", Kind.INVALID, value=value)
            return
    # Whoever came with a limited key must not make, or turn one into, a key that may do more.
    if not _covered(principal, scopes):
        note = "a key cannot allow more than the key that was used"
        problems.add("api_key_scopes", Kind.INVALID, note=note)


def _covered(principal: Principal, scopes: list[ScopeInput]) -> bool:
    if principal.scopes is None:
        return True
    return bool(scopes) and all(principal.has_scope(s.controller, s.action) for s in scopes)


def _check_room(connection: Connection, principal: Principal) -> None:
    held = count(connection, select(api_keys).where(api_keys.c.user_id == principal.user_id))
    problems = Problems()
    if held >= KEYS_MAXIMUM:
        problems.add(BASE, Kind.OCCURRENCE_LESS_THAN_OR_EQUAL_TO, count=KEYS_MAXIMUM, value=held)
    problems.raise_if_any()


def _stored_scopes(scopes: list[ScopeInput]) -> str:
    return json.dumps([{"controller": each.controller, "action": each.action} for each in scopes])
