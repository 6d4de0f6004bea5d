"""Requests that a client may send again without doing twice what they ask.

A client that got no answer does not know whether its request was carried out. With a key of its
own choice it may simply ask again: what was carried out is answered as before, from a row that was
committed together with what it tells of. A refused request has changed nothing, so nothing is
remembered of it: the same key may be used for another try.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from longshore.database import answers
from longshore.database.answers import RequestTaken
from longshore.database.connection import LargerTransaction, looking
from longshore.services.context import Context
from longshore.services.errors import BadRequest, Busy, Invalid, Kind, Problem
from longshore.services.principal import Principal

KEY_CHARACTERS_MAXIMUM = 255
ATTEMPTS_MAXIMUM = 3  # whoever was faster may have been refused; then it is our turn
RETRY_AFTER_SECONDS = 1
ATTRIBUTE = "idempotency_key"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request is answered with."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """What makes two requests the same: who asks, for what, under which key, with which body."""

    principal: Principal
    path: str
    key: str
    body: bytes

    def identity(self) -> bytes:
        """The request without its body, as a digest."""
        facts = json.dumps([self.principal.user_id, self.path, self.key])
        return hashlib.sha256(facts.encode()).digest()

    def content(self) -> bytes:
        return hashlib.sha256(self.body).digest()


def read_key(header: str) -> str:
    """The key of the header, with or without quotes. Raises BadRequest."""
    key = header.strip()
    if len(key) >= 2 and key[0] == key[-1] == '"':
        key = key[1:-1]
    if not (0 < len(key) <= KEY_CHARACTERS_MAXIMUM and key.isascii() and key.isprintable()):
        raise BadRequest(
            f"an Idempotency-Key has 1 to {KEY_CHARACTERS_MAXIMUM} printable ASCII characters"
        )
    return key


def answer_once(
    context: Context, request: Request, carry_out: Callable[[Context], Answer]
) -> Answer:
    """The answer of the first such request, or of this one if it is the first.

    Of several at the same time one is carried out and the others wait for it. Raises Invalid where
    the key came with another body, and what `carry_out` raises.
    """
    for _ in range(ATTEMPTS_MAXIMUM):
        known = _known(context, request)
        if known is not None:
            return known
        try:
            return _first(context, request, carry_out)
        except RequestTaken:
            continue
    raise Busy("the same request is under way", RETRY_AFTER_SECONDS)


def _known(context: Context, request: Request) -> Answer | None:
    with looking(context.database.state) as connection:
        row = answers.find(connection, request.identity(), context.now())
    if row is None:
        return None
    if row.content != request.content():
        note = "it came with another body before"
        raise Invalid(Problem(ATTRIBUTE, Kind.TAKEN, value=request.key, note=note))
    return Answer(row.status, json.loads(row.headers), row.body, repeated=True)


def _first(context: Context, request: Request, carry_out: Callable[[Context], Answer]) -> Answer:
    wakes: list[None] = []
    rows: list[int] = []
    transaction = LargerTransaction(
        context.database.state,
        begin=lambda connection: rows.append(
            answers.begin(connection, request.identity(), request.content(), context.now())
        ),
    )
    inside = replace(
        context,
        database=context.database.within(transaction),
        wake=lambda: wakes.append(None),  # once it is committed
    )
    with transaction as larger:
        answer = carry_out(inside)
        if larger.connection is not None:
            headers = json.dumps(dict(answer.headers))
            answers.finish(larger.connection, rows[0], answer.status, headers, answer.body)
    if wakes:
        context.wake()
    return answer
