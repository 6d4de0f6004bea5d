"""Every cell of the matrix of actions that folders and shares allow, run on a real server.

Below C is a container, P primary and S secondary storage. The table is written once more, so that
a cell which the server forgets is noticed here.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.places import TYPES, Place, Site, Tree, check_run, files_of
from tests.servers import serving
from tests.story import Task
from tests.trees import grow, staged_left

KINDS = ("C", "P", "S")
FLOWS = (
    "active_archive", "offline_archive", "data_exchange", "data_migration", "maintenance",
    "data_enrichment",
)  # fmt: skip
ACTIONS = (
    "copy", "move", "restore", "full_backup", "incremental_backup", "erase", "scan",
    "cache_cleaning", "speedtest",
)  # fmt: skip
TRANSFERS = {
    ("active_archive", "CS"), ("active_archive", "PC"), ("active_archive", "SC"),
    ("offline_archive", "CS"), ("offline_archive", "PS"),
    *(("data_migration", source + destination) for source in KINDS for destination in KINDS),
}  # fmt: skip
RESTORES = {
    ("active_archive", "SC"), ("offline_archive", "SC"), ("offline_archive", "SP"),
    ("data_migration", "SC"), ("data_migration", "SP"),
}  # fmt: skip
BACKUPS = {("offline_archive", "CS"), ("offline_archive", "PS")}
CELLS = {
    "copy": TRANSFERS,
    "move": TRANSFERS,
    # Without a destination files go back to their places.
    "restore": RESTORES | {(flow, "S-") for flow, _ in RESTORES},
    "full_backup": BACKUPS,
    "incremental_backup": BACKUPS,
    "erase": {(flow, f"{kind}-") for flow in FLOWS for kind in KINDS},
    "scan": {("maintenance", "P-"), ("maintenance", "S-")},
    "cache_cleaning": {("maintenance", "C-"), ("active_archive", "C-")},
    "speedtest": {("maintenance", source + end) for source in KINDS for end in (*KINDS, "-")},
}
"""By action: workflow type, kind of source and kind of destination. The server knows the scan of
data_enrichment, too, but refuses to run it."""

POOL_TYPES = {"active_archive": "active_archive"}
MISSING = "in/here"  # a folder at the destination that the run has to make


def cells(*actions: str) -> list[Any]:
    return [
        pytest.param(action, flow, *ends, id=f"{action}-{flow}-{ends}")
        for action in actions
        for flow, ends in sorted(CELLS[action])
    ]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("matrix")
    for server in serving(folder / "data", LONGSHORE_CACHE_RETENTION_SECONDS="0"):
        with server.client() as client:
            yield Site(server.data_dir / "containers", client, folder / "shares")


def plant(folder: Path) -> None:
    """A small tree with one of everything."""
    grow(folder, 4, size=500)
    (folder / "d000" / "nothing").mkdir()
    (folder / "d000" / "empty").touch()
    (folder / "d000" / "link").symlink_to("empty")


def run(task: Task) -> Task:
    task.act("run")
    assert task.wait()["status"] == "done", (task.execution(), task.files())
    return task


def place(site: Site, kind: str, flow: str) -> Place:
    return site.place(kind, POOL_TYPES.get(flow, "offline_archive"))


def filled(site: Site, kind: str, flow: str) -> Place:
    """A place with a tree in it. What lies on secondary storage was archived from elsewhere."""
    if kind != "S":
        found = place(site, kind, flow)
        plant(found.folder)
        return found
    _, archive = archived(site, "P")
    return archive


def archived(site: Site, kind: str, flow: str = "offline_archive") -> tuple[Place, Place]:
    """A place with a tree in it, and the archive that it was copied to."""
    origin, archive = filled(site, kind, flow), place(site, "S", flow)
    run(site.task(flow, "copy", [origin.as_source()], [archive.as_destination()]))
    return origin, archive


def prefix(flow: str, source: Place) -> str:
    """Where the source's tree appears at a destination."""
    return source.name if (flow, source.kind) == ("active_archive", "C") else ""


# ------------------------------------------------------------------------------- copy, move


@pytest.mark.parametrize(("action", "flow", "source_kind", "destination_kind"), cells("copy"))
def test_a_copy_arrives_in_a_folder_that_it_makes(
    site: Site, action: str, flow: str, source_kind: str, destination_kind: str
) -> None:
    source, destination = filled(site, source_kind, flow), place(site, destination_kind, flow)
    before = source.tree()
    task = run(site.task(flow, action, [source.as_source()], [destination.as_destination(MISSING)]))
    inside = f"{MISSING}/{prefix(flow, source)}".rstrip("/")
    assert destination.tree(inside) == before
    assert source.tree() == before
    check_run(task, before, "copied")
    check_types(task, source, destination)
    at_source = [] if source_kind == "P" else [source]
    check_copies(site, task, "live", [*at_source, destination])
    check_target_tree(site, destination, inside, before)


@pytest.mark.parametrize(("action", "flow", "source_kind", "destination_kind"), cells("move"))
def test_a_move_leaves_nothing_but_entries_of_the_catalogue(
    site: Site, action: str, flow: str, source_kind: str, destination_kind: str
) -> None:
    source, destination = filled(site, source_kind, flow), place(site, destination_kind, flow)
    before = source.tree()
    task = run(site.task(flow, action, [source.as_source()], [destination.as_destination()]))
    inside = prefix(flow, source)
    assert destination.tree(inside) == before
    assert source.tree() == {}
    check_run(task, before, "copied")
    check_types(task, source, destination)
    check_copies(site, task, "live" if source_kind == "S" else "stub", [destination])
    check_target_tree(site, destination, inside, before)


def check_types(task: Task, source: Place, destination: Place | None) -> None:
    shown = task.execution()
    types = (source.type, destination.type if destination else None)
    assert (shown["source_type"], shown["destination_type"]) == types


def check_copies(site: Site, task: Task, state: str, places: list[Place]) -> None:
    """Every file of the run is known, with exactly one live copy at each of these places."""
    for record in task.files():
        shown = site.node(record["id"])
        assert shown["state"] == state, shown
        assert site.live_copies(record["id"]) == {each.name: 1 for each in places}, shown


def check_target_tree(site: Site, destination: Place, inside: str, expected: Tree) -> None:
    """What was written into a container or primary pool is in its own tree, too."""
    if destination.kind == "S":
        return
    found = site.catalogued(destination)
    start = f"{inside}/" if inside else ""
    assert set(found) == {start + path.decode() for path in files_of(expected)}
    assert {each["state"] for each in found.values()} == {"live"}
    if destination.kind == "C":
        assert {each["in_cache"] for each in found.values()} == {1}


def test_a_recall_brings_the_files_of_a_container_back_to_their_place(site: Site) -> None:
    container, archive = filled(site, "C", "active_archive"), site.place("S", "active_archive")
    before = container.tree()
    down = [container.as_source()], [archive.as_destination()]
    moved = run(site.task("active_archive", "move", *down))
    assert container.tree() == {}
    recalled = [archive.as_source(f"{container.name}/d000")], [container.as_destination()]
    task = run(site.task("active_archive", "copy", *recalled))
    assert container.tree() == before
    assert {each["id"] for each in task.files()} == {each["id"] for each in moved.files()}
    check_copies(site, task, "live", [container, archive])


# ------------------------------------------------------------------------------- restore


@pytest.mark.parametrize(("action", "flow", "source_kind", "destination_kind"), cells("restore"))
def test_a_restore_brings_files_to_a_folder_or_back_to_their_places(
    site: Site, action: str, flow: str, source_kind: str, destination_kind: str
) -> None:
    origin, archive = archived(site, "C" if flow == "active_archive" else "P", flow)
    before = origin.tree()
    if destination_kind == "-":
        for path in origin.folder.rglob("*"):
            if not path.is_dir():
                path.unlink()
        task = run(site.task(flow, action, [archive.as_source()]))
        assert files_of(origin.tree()) == files_of(before)
        check_copies(site, task, "live", [*([origin] if origin.kind == "C" else []), archive])
    else:
        destination = place(site, destination_kind, flow)
        ends = [archive.as_source()], [destination.as_destination(MISSING)]
        task = run(site.task(flow, action, *ends))
        inside = f"{MISSING}/{prefix(flow, origin)}".rstrip("/")
        assert destination.tree(inside) == before
        assert origin.tree() == before
        check_target_tree(site, destination, inside, before)
    check_run(task, archive.tree(), "copied")


# ------------------------------------------------------------------------------- backups


@pytest.mark.parametrize(
    ("action", "flow", "source_kind", "destination_kind"), cells("full_backup")
)
def test_a_full_backup_writes_everything_into_a_folder_of_its_own(
    site: Site, action: str, flow: str, source_kind: str, destination_kind: str
) -> None:
    source, destination = filled(site, source_kind, flow), place(site, destination_kind, flow)
    before = source.tree()
    ends = [source.as_source()], [destination.as_destination(MISSING)]
    task = site.task(flow, action, *ends, name="nightly")
    for _ in range(2):
        run(task)
        check_run(task, before, "copied")
        check_types(task, source, destination)
        assert destination.tree(f"{MISSING}/nightly/{task.execution()['id']}") == before
    backups = {destination.name: 2}
    for record in task.files():
        cached = {source.name: 1} if source_kind == "C" else {}
        assert site.live_copies(record["id"]) == backups | cached


@pytest.mark.parametrize(
    ("action", "flow", "source_kind", "destination_kind"), cells("incremental_backup")
)
def test_an_incremental_backup_writes_what_is_new(
    site: Site, action: str, flow: str, source_kind: str, destination_kind: str
) -> None:
    source, destination = filled(site, source_kind, flow), place(site, destination_kind, flow)
    task = site.task(
        flow, action, [source.as_source()], [destination.as_destination()], name="nightly"
    )
    run(task)
    check_run(task, source.tree(), "copied")
    assert destination.tree(f"nightly/{task.execution()['id']}") == source.tree()
    run(task)
    check_run(task, source.tree(), "identical")
    (source.folder / "new").write_text("of today")
    run(task)
    outcomes = {each["name"]: each["outcome"] for each in task.files()}
    assert {name for name, outcome in outcomes.items() if outcome == "copied"} == {"new"}
    assert len(outcomes) == len(files_of(source.tree()))
    backup = destination.tree(f"nightly/{task.execution()['id']}")
    assert set(files_of(backup)) == {b"new"}


# ------------------------------------------------------------------------------- no destination


@pytest.mark.parametrize(("action", "flow", "source_kind", "_"), cells("erase"))
def test_an_erase_removes_what_it_finds(
    site: Site, action: str, flow: str, source_kind: str, _: str
) -> None:
    source = filled(site, source_kind, flow)
    before = source.tree()
    task = run(site.task(flow, action, [source.as_source()]))
    assert source.tree() == {}
    check_erased(site, task, source, before)


@pytest.mark.parametrize("source_kind", KINDS)
def test_a_soft_erase_only_marks_what_it_finds(site: Site, source_kind: str) -> None:
    source = filled(site, source_kind, "offline_archive")
    before = source.tree()
    options = {"soft_erase": "1"}
    task = run(site.task("data_migration", "erase", [source.as_source()], options=options))
    assert source.tree() == before
    check_erased(site, task, source, before)


def check_erased(site: Site, task: Task, source: Place, before: Tree) -> None:
    """The files are deleted, except archived ones: their originals are on primary storage."""
    check_run(task, before, "erased")
    check_types(task, source, None)
    check_copies(site, task, "live" if source.kind == "S" else "deleted", [])


@pytest.mark.parametrize(("action", "flow", "source_kind", "_"), cells("scan"))
def test_a_scan_changes_nothing(
    site: Site, action: str, flow: str, source_kind: str, _: str
) -> None:
    source = filled(site, source_kind, flow)
    before = source.tree()
    task = run(site.task(flow, action, [source.as_source()]))
    assert source.tree() == before
    check_run(task, before, "found")
    check_types(task, source, None)
    check_copies(site, task, "live", [source] if source_kind == "S" else [])


@pytest.mark.parametrize(("action", "flow", "_", "__"), cells("cache_cleaning"))
def test_cache_cleaning_frees_what_is_archived(
    site: Site, action: str, flow: str, _: str, __: str
) -> None:
    container, archive = archived(site, "C", "active_archive")
    files = files_of(container.tree())
    task = run(site.task(flow, action, [container.as_source()]))
    assert files_of(container.tree()) == {}
    check_run(task, files, "freed")
    check_types(task, container, None)
    check_copies(site, task, "stub", [archive])


@pytest.mark.parametrize(("action", "flow", "source_kind", "destination_kind"), cells("speedtest"))
def test_a_speed_test_measures_both_ends_and_leaves_nothing(
    site: Site, action: str, flow: str, source_kind: str, destination_kind: str
) -> None:
    ends = [site.place(kind) for kind in (source_kind, destination_kind) if kind != "-"]
    source, *destinations = ends
    to = [each.as_destination() for each in destinations]
    task = run(site.task(flow, action, [source.as_source()], to))
    execution = task.execution()
    assert execution["bandwidth"] > 1_000_000
    assert execution["processed_files"] == execution["to_process_files"] == len(ends)
    assert [each.tree() for each in ends] == [{}] * len(ends)
    assert [staged_left(each.folder) for each in ends] == [[]] * len(ends)


# ------------------------------------------------------------------------------- mixed


@pytest.mark.parametrize("action", ["copy", "move"])
def test_ends_of_several_types_take_part_where_every_pair_is_allowed(
    site: Site, action: str
) -> None:
    sources = [filled(site, "C", "data_migration"), site.place("P")]
    (sources[1].folder / "other").write_text("of the second source")
    before = [each.tree() for each in sources]
    destinations = [site.place(kind) for kind in "SPC"]
    ends = [[e.as_source() for e in sources], [e.as_destination() for e in destinations]]
    task = run(site.task("data_migration", action, *ends))
    everything = before[0] | before[1]
    assert [each.tree() for each in destinations] == [everything] * len(destinations)
    assert [each.tree() for each in sources] == ([{}, {}] if action == "move" else before)
    records = task.files()
    assert len(records) == len(files_of(everything)) * len(destinations)
    assert {each["outcome"] for each in records} == {"copied"}
    assert task.execution()["to_process_files"] == task.execution()["processed_files"]
    check_types(task, sources[0], destinations[0])
    for each in records:
        cached = [sources[0].name] if each["name"] != "other" and action == "copy" else []
        copies = [*cached, *(place.name for place in destinations)]
        assert site.live_copies(each["id"]) == dict.fromkeys(copies, 1)


@pytest.mark.parametrize(
    ("sources", "destinations", "declared", "reason"),
    [
        ("CS", "S", {}, "source_type secondary_nas"),
        ("CP", "SP", {}, "destination_type primary_nas"),
        ("CP", "S", {"source_type": "container"}, "source_type is container"),
        ("P", "SS", {"destination_type": "secondary_tape"}, "destination_type is secondary_tape"),
    ],
)
def test_one_end_that_does_not_fit_is_one_too_many(
    site: Site, sources: str, destinations: str, declared: dict[str, Any], reason: str
) -> None:
    at = [site.place(kind).as_source() for kind in sources]
    to = [site.place(kind).as_destination() for kind in destinations]
    job = site.task("offline_archive", "copy", at, to, **declared).request("run")
    assert (job["status"], reason in job["reason"]) == ("failed", True), job


# ------------------------------------------------------------------------------- refused

ON_TAPE = {
    "copy": {("data_exchange", each) for each in ("CT", "PT", "TC", "TP")},
    "move": {("data_exchange", each) for each in ("CT", "PT", "TC", "TP")},
    "restore": {("data_exchange", each) for each in ("TC", "TP")},
    "scan": {("data_exchange", "T-"), *(("data_enrichment", f"{kind}-") for kind in KINDS)},
}
"""What the server accepts, but does not run on folders and shares."""


def refused_field(action: str, flow: str, source_kind: str, destination_kind: str) -> str | None:
    """The first field that fits no cell; None where one is there."""
    known = [ends for each, ends in CELLS[action] | ON_TAPE.get(action, set()) if each == flow]
    if not known:
        return "workflow_action"
    fitting = [ends for ends in known if ends[0] == source_kind]
    if not fitting:
        return "source_type"
    if source_kind + destination_kind in fitting:
        return None
    return "destination_type" if destination_kind != "-" else "destination"


@pytest.mark.parametrize("ends", [a + b for a in KINDS for b in (*KINDS, "-")])
def test_everything_else_is_refused_and_the_refusal_names_the_field(site: Site, ends: str) -> None:
    source, destinations = site.place(ends[0]), [site.place(kind) for kind in ends[1:].strip("-")]
    to = [each.as_destination() for each in destinations]
    task = site.task("data_migration", "erase", [source.as_source()], to)
    types = {"source_type": TYPES[ends[0]], "destination_type": TYPES.get(ends[1])}
    unknown = dict.fromkeys(types)
    for action, flow in itertools.product(ACTIONS, FLOWS):
        field = refused_field(action, flow, *ends)
        workflow = {"workflow_type": flow, "workflow_action": action}
        answer = site.client.put(f"/tasks/{task.id}", json=workflow | types)
        if field is None or field == "destination":  # which may still come
            assert answer.status_code == 200, answer.text
        else:
            assert answer.status_code == 422
            assert list(answer.json()["details"]) == [field]
        if field in {None, "workflow_action"} or (flow, action) == ("data_enrichment", "scan"):
            continue
        site.client.put(f"/tasks/{task.id}", json=workflow | unknown).raise_for_status()
        job = task.request("run")
        assert (job["status"], field in job["reason"]) == ("failed", True), job
    assert task.show()["status"] == "not_activated"
    assert [each.tree() for each in (source, *destinations)] == [{}] * (1 + len(destinations))
