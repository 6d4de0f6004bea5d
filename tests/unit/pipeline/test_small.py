"""Small files of a store that takes many at once: what comes of them is what comes of each."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
import pytest

from longshore.domain.checksum import ChecksumKind
from longshore.domain.errors import ErrorKind, RetryClass, StorageError, StorageUnavailable
from longshore.domain.outcome import Outcome
from longshore.domain.record import Record
from longshore.domain.task import ConflictResolution
from longshore.native import can_copy
from longshore.pipeline.messages.orders import WorkOrder
from longshore.pipeline.messages.plan import ExecutionPlan, WorkKind
from longshore.pipeline.messages.replies import CopyReply
from longshore.pipeline.messages.work import encode
from longshore.storage.backends.object_store.client import (
    PLAIN,
    SMALL_OBJECT_BYTES,
    Abilities,
    Data,
    Get,
    ObjectStat,
    Put,
    PutOptions,
    Throttled,
)
from longshore.storage.backends.object_store.retrying import ATTEMPTS_MAXIMUM
from tests.trees import describe, staged_left
from tests.unit.pipeline.driving import Driver, plan_for
from tests.unit.storage.backends.object_store.memory import MemoryClient, open_memory

pytestmark = pytest.mark.skipif(not can_copy, reason="without native loops each is copied alone")

USUAL = 30
FOLDERS = 3
BROKEN = StorageError(ErrorKind.INPUT_OUTPUT, RetryClass.NOW, "do", b"", "broken")
GONE = StorageUnavailable(ErrorKind.INPUT_OUTPUT, RetryClass.LATER, "do", b"", "gone")


class Store(MemoryClient):
    """Notes what volleys ask for, and fails them with what stands in `failing`, once each."""

    def __init__(self, *, volleys: bool = True, conditional: bool = True) -> None:
        super().__init__(abilities=Abilities(conditional_create=conditional, volleys=volleys))
        self.volleys: list[str] = []
        self.failing: dict[str, StorageError] = {}
        self.lost: set[str] = set()  # carried out all the same
        self.silent = 0  # so many answers to further attempts of these get lost, too

    def put_many(
        self, puts: Iterable[Put], width: int
    ) -> Iterator[tuple[Put, ObjectStat | StorageError]]:
        for each in puts:
            self.volleys.append(each.key)
            if each.key in self.lost and each.key not in self.kept:
                self.put(each.key, each.data, each.options)
            error = self.failing.pop(each.key, None)
            yield from super().put_many([each], width) if error is None else [(each, error)]

    def put(self, key: str, data: Data, options: PutOptions = PLAIN) -> ObjectStat:
        if key in self.kept and key in self.lost and self.silent:
            self.silent -= 1
            raise BROKEN
        return super().put(key, data, options)

    def get_many(
        self, wanted: Iterable[Get], width: int
    ) -> Iterator[tuple[Get, tuple[ObjectStat, Data] | StorageError]]:
        for each in wanted:
            self.volleys.append(each.key)
            error = self.failing.pop(each.key, None)
            yield from super().get_many([each], width) if error is None else [(each, error)]


def usual(number: int) -> str:
    return f"d{number % FOLDERS}/f{number:03}"


def grow(root: Path) -> None:
    """Usual files in a few folders, and in each of them whatever is not usual."""
    for number in range(USUAL):
        path = root / usual(number)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"%d" % number * number)
        path.chmod(0o600 + number % 64)
        os.utime(path, ns=(10**18 + number, 10**18 + 7 * number))
    (root / "d0" / "big").write_bytes(bytes(SMALL_OBJECT_BYTES + 1))
    (root / "d0" / "limit").write_bytes(bytes(SMALL_OBJECT_BYTES))
    (root / "d1" / "link").symlink_to("some/where")
    (root / "d1" / "one").write_bytes(b"two names")
    (root / "d1" / "two").hardlink_to(root / "d1" / "one")
    (root / "d1" / "attributed").write_bytes(b"with an attribute")
    os.setxattr(root / "d1" / "attributed", "user.note", b"value")
    with (root / "d2" / "holes").open("wb") as file:
        file.truncate(200_000)
    (root / "d2" / "f\u00e4\u00df").write_bytes(b"text")
    (root / "d2" / "empty").write_bytes(b"")
    (root / "d2" / "a!folder!").write_bytes(b"a marked name")
    (root / os.fsdecode(b"d2/bytes\xff")).write_bytes(b"no text")
    (root / "d3").mkdir()
    (root / "d3" / "alone").write_bytes(b"the only one of its folder")


UNUSUAL_SOURCES = {"d0/big", "d1/link", "d1/one", "d1/two", "d1/attributed", "d2/holes"}


def into(
    store: Store, source: Path, conflict: ConflictResolution = ConflictResolution.OVERWRITE
) -> Driver:
    plan = plan_for(source, source, conflict=conflict, checksum=ChecksumKind.NONE)
    return Driver(plan, wrap_destination=lambda _: open_memory(store)).run()


def out_of(
    store: Store, folder: Path, conflict: ConflictResolution = ConflictResolution.OVERWRITE
) -> Driver:
    plan = plan_for(folder, folder, conflict=conflict, checksum=ChecksumKind.NONE)
    return Driver(plan, wrap_source=lambda _: open_memory(store)).run()


def between(store: Store, plan: ExecutionPlan, direction: str) -> Driver:
    """Into the store or out of it, whatever the plan has for that end."""
    if direction == "into":
        return Driver(plan, wrap_destination=lambda _: open_memory(store))
    return Driver(plan, wrap_source=lambda _: open_memory(store))


def outcomes(records: list[Record]) -> Counter[Outcome]:
    return Counter(record.outcome for record in records)


def told(driver: Driver) -> tuple[object, ...]:
    """All that a run has to say, without when it was done and in whatever order."""
    records = [msgspec.structs.replace(each, finished_ns=0) for each in driver.records]
    ordered = sorted(records, key=lambda each: (each.folder, each.entry.name))
    return ordered, sorted(driver.warnings), driver.bytes_copied


def contents(store: Store) -> dict[str, tuple[bytes, object]]:
    """All files. Folders are left out: reading one changes when it was read last."""
    return {
        key: (kept.data, kept.stat.metadata)
        for key, kept in store.kept.items()
        if not key.endswith("/")
    }


@pytest.fixture
def source(tmp_path: Path) -> Path:
    root = tmp_path / "source"
    grow(root)
    return root


@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize("conflict", ConflictResolution)
def test_a_store_holds_and_tells_the_same_after_volleys(
    source: Path, conflict: ConflictResolution, conditional: bool
) -> None:
    one, many = (Store(volleys=volleys, conditional=conditional) for volleys in (False, True))
    assert told(into(many, source, conflict)) == told(into(one, source, conflict))
    assert contents(many) == contents(one)
    assert not one.volleys


@pytest.mark.parametrize("conflict", ConflictResolution)
def test_a_folder_holds_and_tells_the_same_after_volleys(
    source: Path, tmp_path: Path, conflict: ConflictResolution
) -> None:
    one, many = (Store(volleys=volleys) for volleys in (False, True))
    for store in (one, many):
        into(store, source)
    many.volleys.clear()
    folders = [tmp_path / name for name in ("one", "many")]
    for folder in folders:
        folder.mkdir()
    assert told(out_of(many, folders[1], conflict)) == told(out_of(one, folders[0], conflict))
    files = [
        {path: what for path, what in describe(folder).items() if what[0] != "folder"}
        for folder in folders
    ]
    assert files[0] == files[1]
    assert len(many.volleys) > USUAL
    assert staged_left(folders[1]) == []


def test_what_is_usual_goes_in_volleys_and_nothing_else(source: Path, tmp_path: Path) -> None:
    store = Store()
    into(store, source)
    sent = set(store.volleys)
    assert {usual(number) for number in range(USUAL)} < sent
    assert sent.isdisjoint(UNUSUAL_SOURCES)
    assert "d0/limit" in sent
    store.volleys.clear()
    (tmp_path / "back").mkdir()
    out_of(store, tmp_path / "back")
    assert {usual(number) for number in range(USUAL)} < set(store.volleys)
    assert "d0/big" not in store.volleys


def test_files_that_are_replaced_go_in_volleys_too(source: Path, tmp_path: Path) -> None:
    store = Store()
    into(store, source)
    (tmp_path / "back").mkdir()
    out_of(store, tmp_path / "back")
    for root in (source, tmp_path / "back"):
        (root / usual(5)).write_bytes(b"changed in " + root.name.encode())
    store.volleys.clear()
    assert outcomes(into(store, source).records)[Outcome.OVERWRITTEN] == 1
    assert store.volleys == [usual(5)]
    assert outcomes(out_of(store, tmp_path / "back").records)[Outcome.OVERWRITTEN] == 1
    assert (tmp_path / "back" / usual(5)).read_bytes() == b"changed in source"


@pytest.mark.parametrize("error", [BROKEN, Throttled("do", b"", "slow down")])
@pytest.mark.parametrize("failing", [1, USUAL])
def test_what_fails_in_a_volley_is_copied_all_the_same(
    source: Path, tmp_path: Path, error: StorageError, failing: int
) -> None:
    store = Store()
    store.failing = {usual(number): error for number in range(failing)}
    assert outcomes(into(store, source).records).keys() == {Outcome.COPIED}
    store.failing = {usual(number): error for number in range(failing)}
    (tmp_path / "back").mkdir()
    assert outcomes(out_of(store, tmp_path / "back").records).keys() == {Outcome.COPIED}
    for number in range(USUAL):
        assert (tmp_path / "back" / usual(number)).read_bytes() == b"%d" % number * number


@pytest.mark.parametrize("slice_seconds", [60.0, 0.0], ids=["this slice", "the next slice"])
@pytest.mark.parametrize("silent", [0, ATTEMPTS_MAXIMUM - 1], ids=["one answer", "all answers"])
def test_a_file_whose_answer_got_lost_is_copied_and_not_found_in_the_way(
    source: Path, silent: int, slice_seconds: float
) -> None:
    store = Store()
    store.failing = {usual(3): BROKEN}
    store.lost = {usual(3)}
    store.silent = silent
    plan = plan_for(
        source,
        source,
        conflict=ConflictResolution.RENAME,
        checksum=ChecksumKind.NONE,
        slice_seconds=slice_seconds,
    )
    driver = between(store, plan, "into").run()
    assert driver.record_of(b"f003").outcome is Outcome.COPIED
    assert driver.record_of(b"f003").target_path == usual(3).encode()
    assert not [key for key in store.kept if "(1)" in key]


def test_what_appears_meanwhile_is_treated_as_the_task_says(source: Path) -> None:
    found = {}
    for conflict in ConflictResolution:
        store = Store()
        store.put(usual(3), b"theirs")
        store.unlisted = {usual(3)}  # until it is written to
        driver = into(store, source, conflict)
        found[conflict] = driver.record_of(b"f003").outcome
        ours = b"333"
        kept = ours if conflict is ConflictResolution.OVERWRITE else b"theirs"
        assert store.kept[usual(3)].data == kept
    assert found == {
        ConflictResolution.RENAME: Outcome.RENAMED,
        ConflictResolution.OVERWRITE: Outcome.OVERWRITTEN,
        ConflictResolution.IGNORE: Outcome.KEPT,
    }


def test_a_folder_in_the_way_is_told_in_the_ordinary_words(source: Path) -> None:
    failures = []
    for volleys in (False, True):
        store = Store(volleys=volleys)
        store.put(usual(3) + "/x", b"in a folder of the name")
        driver = into(store, source)
        failures.append(driver.record_of(b"f003").failure)
        assert outcomes(driver.records)[Outcome.FAILED] == 1
    assert failures[0] == failures[1]
    assert failures[0] is not None


@pytest.mark.parametrize("direction", ["into", "out of"])
def test_a_store_that_goes_in_a_volley_leaves_the_rest_for_later(
    source: Path, tmp_path: Path, direction: str
) -> None:
    store = Store()
    back = tmp_path / "back"
    back.mkdir()
    plan = plan_for(source, back, checksum=ChecksumKind.NONE)
    if direction == "out of":
        into(store, source)
    driver = between(store, plan, direction)
    driver.start()
    while driver.todo[0][0] is WorkKind.SCAN:
        driver.step()
    store.failing = {usual(4): GONE}
    kind, work_id, payload = driver.todo[0]
    reply = driver.movers[0](WorkOrder(work_id, kind, encode(plan), payload, True))
    assert isinstance(reply, CopyReply)
    assert reply.lost is not None
    assert reply.remaining is not None
    driver.fresh = False
    driver.records += reply.records
    driver.todo[0] = (kind, work_id, reply.remaining.payload)
    while driver.step():
        pass
    driver.close()
    assert outcomes(driver.records).keys() == {Outcome.COPIED}
    names = Counter((record.folder, record.entry.name) for record in driver.records)
    assert set(names.values()) == {1}


def test_a_slice_ends_between_files_and_the_rest_follows(source: Path, tmp_path: Path) -> None:
    store = Store()
    back = tmp_path / "back"
    back.mkdir()
    for wrap in ("into", "out of"):
        plan = plan_for(source, back, checksum=ChecksumKind.NONE, slice_seconds=0.0)
        driver = between(store, plan, wrap).run()
        assert outcomes(driver.records).keys() == {Outcome.COPIED}
        assert driver.orders > FOLDERS


@pytest.mark.parametrize("crashes", [1, 2])
def test_files_of_a_volley_are_recognised_after_a_crash(
    source: Path, tmp_path: Path, crashes: int
) -> None:
    store = Store()
    back = tmp_path / "back"
    back.mkdir()
    for wrap in ("into", "out of"):
        plan = plan_for(source, back, checksum=ChecksumKind.NONE)
        driver = between(store, plan, wrap)
        driver.start()
        while driver.todo[0][0] is WorkKind.SCAN:
            driver.step()
        for _ in range(crashes):
            driver.crash()
        while driver.step():
            pass
        driver.close()
        assert outcomes(driver.records).keys() == {Outcome.COPIED}
        assert staged_left(back) == []


def test_an_object_that_is_not_what_it_was_is_read_as_it_is(source: Path, tmp_path: Path) -> None:
    store = Store()
    into(store, source)
    back = tmp_path / "back"
    back.mkdir()
    driver = Driver(
        plan_for(source, back, checksum=ChecksumKind.NONE),
        wrap_source=lambda _: open_memory(store),
    )
    driver.start()
    while driver.todo[0][0] is WorkKind.SCAN:
        driver.step()
    store.put(usual(3), b"longer than before", PutOptions(metadata={"mode": "100640"}))
    store.put(usual(6), b"some/where", PutOptions(metadata={"mode": "120777"}))
    del store.kept[usual(9)]
    while driver.step():
        pass
    driver.close()
    assert (back / usual(3)).read_bytes() == b"longer than before"
    assert (back / usual(6)).readlink() == Path("some/where")
    assert outcomes(driver.records)[Outcome.FAILED] == 1
