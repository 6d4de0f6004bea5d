"""Trying again: what may pass, how often, and what an answer that got lost means."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator

import pytest

from longshore.domain.errors import ErrorKind, RetryClass, StorageError, StorageUnavailable
from longshore.storage.backends.object_store.client import (
    PLAIN,
    Data,
    Get,
    ObjectStat,
    Page,
    Part,
    Put,
    PutOptions,
    Throttled,
    Upload,
)
from longshore.storage.backends.object_store.retrying import (
    ATTEMPTS_MAXIMUM,
    FAILURES_MAXIMUM,
    PAUSE_SECONDS,
    PAUSE_SECONDS_MAXIMUM,
    RetryingClient,
    patiently,
)
from tests.unit.storage.backends.object_store.memory import MemoryClient

BROKEN = StorageError(ErrorKind.INPUT_OUTPUT, RetryClass.NOW, "write", b"key", "broken")
DENIED = StorageError(ErrorKind.PERMISSION, RetryClass.NEVER, "write", b"key", "denied")
GONE = StorageUnavailable(ErrorKind.INPUT_OUTPUT, RetryClass.LATER, "write", b"key", "refused")


class Faulty(MemoryClient):
    """Raises what stands in `before` instead of a deed, and in `after` once it is done."""

    def __init__(self) -> None:
        super().__init__(page_keys=2)
        self.before: list[StorageError] = []
        self.after: list[StorageError] = []
        self.widths: list[int] = []

    def put_many(
        self, puts: Iterable[Put], width: int
    ) -> Iterator[tuple[Put, ObjectStat | StorageError]]:
        self.widths.append(width)
        return super().put_many(puts, width)

    def put(self, key: str, data: Data, options: PutOptions = PLAIN) -> ObjectStat:
        return self._faulty(lambda: super(Faulty, self).put(key, data, options))

    def complete_upload(
        self, upload: Upload, parts: list[Part], options: PutOptions = PLAIN
    ) -> ObjectStat:
        return self._faulty(lambda: super(Faulty, self).complete_upload(upload, parts, options))

    def pages(
        self, prefix: str = "", *, delimiter: str = "", after: str = "", limit: int = 0
    ) -> Iterator[Page]:
        for page in super().pages(prefix, delimiter=delimiter, after=after, limit=limit):
            yield page
            if self.after:
                raise self.after.pop()

    def _faulty(self, deed: Callable[[], ObjectStat]) -> ObjectStat:
        if self.before:
            raise self.before.pop()
        stat = deed()
        if self.after:
            raise self.after.pop()
        return stat


@pytest.fixture
def faulty() -> Faulty:
    return Faulty()


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def client(faulty: Faulty, pauses: list[float]) -> RetryingClient:
    return RetryingClient(faulty, sleep=pauses.append, chance=random.Random(1))


def test_what_may_pass_is_tried_again_after_a_pause(
    client: RetryingClient, faulty: Faulty, pauses: list[float]
) -> None:
    faulty.before = [BROKEN, Throttled("write", b"key", "slow down")]
    client.put("key", b"1")
    assert faulty.kept["key"].data == b"1"
    assert len(pauses) == 2


def test_attempts_and_pauses_have_limits(
    client: RetryingClient, faulty: Faulty, pauses: list[float]
) -> None:
    faulty.before = [BROKEN] * 100
    with pytest.raises(StorageError) as caught:
        client.put("key", b"1")
    assert caught.value is BROKEN
    assert len(faulty.before) == 100 - ATTEMPTS_MAXIMUM
    assert len(pauses) == ATTEMPTS_MAXIMUM - 1
    assert all(0 <= pause <= PAUSE_SECONDS_MAXIMUM for pause in pauses)
    assert len(set(pauses)) == len(pauses)


@pytest.mark.parametrize("final", [DENIED, GONE])
def test_what_will_not_pass_is_raised_at_once(
    client: RetryingClient, faulty: Faulty, pauses: list[float], final: StorageError
) -> None:
    faulty.before = [BROKEN, final]
    with pytest.raises(StorageError) as caught:
        client.put("key", b"1")
    assert caught.value is final
    assert pauses == []
    assert faulty.before == [BROKEN]


def test_an_objection_halves_the_requests_in_flight(client: RetryingClient, faulty: Faulty) -> None:
    before = client.flow.allowed
    faulty.before = [Throttled("write", b"key", "slow down")]
    client.put("key", b"1")
    assert client.flow.allowed == before // 2


def asking_for(seconds: float) -> Throttled:
    error = Throttled("write", b"key", "slow down")
    error.after_seconds = seconds
    return error


def test_a_pause_is_as_long_as_the_store_asks_for_and_has_a_limit(
    client: RetryingClient, faulty: Faulty, pauses: list[float]
) -> None:
    faulty.before = [asking_for(3600), asking_for(2)]
    client.put("key", b"1")
    first, second = pauses
    assert 2 <= first <= 2 + PAUSE_SECONDS
    assert second == PAUSE_SECONDS_MAXIMUM


def test_an_objection_to_a_listing_halves_the_requests_in_flight(
    client: RetryingClient, faulty: Faulty, pauses: list[float]
) -> None:
    before = client.flow.allowed
    for key in ("a", "b", "c"):
        faulty.put(key, b"")
    faulty.after = [asking_for(1)]
    assert [stat.key for page in client.pages() for stat in page.objects] == ["a", "b", "c"]
    assert client.flow.allowed == before // 2
    assert pauses[0] >= 1


def test_a_request_that_belongs_to_no_bucket_is_tried_again_as_well(pauses: list[float]) -> None:
    left = [asking_for(1), BROKEN]

    def ask() -> str:
        if left:
            raise left.pop()
        return "answer"

    chance = random.Random(1)
    assert patiently(ask, sleep=pauses.append, chance=chance) == "answer"
    assert len(pauses) == 2
    late = StorageError(ErrorKind.TIMEOUT, RetryClass.NOW, "list", b"", "no answer in time")
    for final in (DENIED, GONE, late):
        left.append(final)
        with pytest.raises(StorageError) as caught:
            patiently(ask, sleep=pauses.append, chance=chance)
        assert caught.value is final
    left.extend([BROKEN] * 100)
    with pytest.raises(StorageError):
        patiently(ask, sleep=pauses.append, chance=chance)
    assert len(left) == 100 - ATTEMPTS_MAXIMUM


def test_a_new_object_whose_answer_got_lost_is_ours(client: RetryingClient, faulty: Faulty) -> None:
    options = PutOptions(metadata={"mode": "100644"}, only_if_absent=True)
    faulty.after = [BROKEN]
    assert client.put("key", b"ours", options).size == 4
    faulty.after = [BROKEN]
    with pytest.raises(StorageError) as caught:
        client.put("key", b"others", PutOptions(only_if_absent=True))
    assert caught.value.kind is ErrorKind.EXISTS
    assert faulty.kept["key"].data == b"ours"


def test_an_upload_that_was_completed_without_an_answer_is_complete(
    client: RetryingClient, faulty: Faulty
) -> None:
    options = PutOptions(metadata={"mode": "100644"})
    upload = client.begin_upload("key", options)
    part = client.put_part(upload, 1, b"content")
    faulty.after = [BROKEN]
    assert client.complete_upload(upload, [part], options).size == 7
    with pytest.raises(StorageError) as caught:
        client.complete_upload(upload, [part], options)
    assert caught.value.kind is ErrorKind.NOT_FOUND


def test_a_listing_that_breaks_goes_on_where_it_was(client: RetryingClient, faulty: Faulty) -> None:
    keys = ["a", "b/1", "b/2", "b/3", "c", "d/1", "e"]
    for key in keys:
        faulty.put(key, b"")
    faulty.after = [BROKEN, BROKEN]
    pages = list(client.pages())
    assert [stat.key for page in pages for stat in page.objects] == keys
    faulty.after = [BROKEN, BROKEN]
    pages = list(client.pages(delimiter="/"))
    assert [stat.key for page in pages for stat in page.objects] == ["a", "c", "e"]
    assert [prefix for page in pages for prefix in page.prefixes] == ["b/", "d/"]


def puts(count: int, options: PutOptions = PLAIN) -> list[Put]:
    return [Put(f"key{number}", b"%d" % number, options, number) for number in range(count)]


def test_a_volley_goes_on_after_what_may_pass(
    client: RetryingClient, faulty: Faulty, pauses: list[float]
) -> None:
    faulty.before = [BROKEN, BROKEN]
    results = list(client.put_many(puts(10)))
    assert all(isinstance(result, ObjectStat) for _, result in results)
    assert sorted(faulty.kept) == [f"key{number}" for number in range(10)]
    assert len(pauses) == 2
    assert [put.tag for put, _ in results] == [*range(2, 10), 0, 1]


def test_a_new_object_of_a_volley_whose_answer_got_lost_is_ours(
    client: RetryingClient, faulty: Faulty
) -> None:
    options = PutOptions(metadata={"mode": "100644"}, only_if_absent=True)
    faulty.after = [BROKEN]
    results = [result for _, result in client.put_many(puts(2, options))]
    assert all(isinstance(result, ObjectStat) for result in results)
    faulty.after = [BROKEN]
    others = [Put("key0", b"others", options, 0)]
    ((_, result),) = client.put_many(others)
    assert isinstance(result, StorageError)
    assert result.kind is ErrorKind.EXISTS


def test_too_many_failures_end_a_volley(client: RetryingClient, faulty: Faulty) -> None:
    faulty.before = [DENIED] * 100
    results = list(client.put_many(puts(50)))
    assert [result for _, result in results] == [DENIED] * FAILURES_MAXIMUM


def test_an_objection_ends_a_volley_and_halves_the_next(
    client: RetryingClient, faulty: Faulty
) -> None:
    before = client.flow.allowed
    faulty.before = [Throttled("write", b"key", "slow down")]
    assert len(list(client.put_many(puts(50)))) == 1
    assert client.flow.allowed == before // 2
    faulty.widths.clear()
    assert len(list(client.put_many(puts(3)))) == 3
    assert faulty.widths == [before // 2]


def test_a_lost_store_ends_a_volley(client: RetryingClient, faulty: Faulty) -> None:
    faulty.before = [GONE]
    with pytest.raises(StorageUnavailable):
        list(client.put_many(puts(1)))


def test_a_volley_leaves_no_room_taken(client: RetryingClient, faulty: Faulty) -> None:
    everything = client.put_many(puts(10))
    next(everything)
    everything.close()  # type: ignore[attr-defined]
    assert client.put("alone", b"x").size == 1
    assert len(list(client.get_many([Get("alone", 0)]))) == 1


def test_what_cannot_be_read_in_a_volley_is_not_tried_again(
    client: RetryingClient, faulty: Faulty, pauses: list[float]
) -> None:
    faulty.kept.clear()
    ((get, result),) = client.get_many([Get("nothing", "tag")])
    assert get.tag == "tag"
    assert isinstance(result, StorageError)
    assert result.kind is ErrorKind.NOT_FOUND
    assert pauses == []
