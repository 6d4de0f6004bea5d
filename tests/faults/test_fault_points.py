"""Every process is killed at every named point in turn, and nothing is lost or doubled."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from longshore import faults
from tests.exactness import check_exact
from tests.plants import Plant, planted
from tests.servers import Server, wait_until
from tests.story import Task, add_copy_task, add_share_pool
from tests.trees import describe, grow, staged_left

FILES = 200
AT_THE_START = {"controller.leading", "controller.recovered"}
OF_THE_API = {"api.job_created"}
OF_THE_SUPERVISOR = ["supervisor.listening", "supervisor.started"]
OF_CALLBACKS = ["mover.question", "mover.answer"]
OF_BIG_FILES = {"mover.segment"}  # see test_big_files.py
AROUND_NATIVE_LOOPS = ["mover.before_durable", "mover.before_publish", "mover.after_publish"]
ELSEWHERE = OF_THE_API | OF_BIG_FILES | {*OF_THE_SUPERVISOR, *OF_CALLBACKS}
POINTS = [point for point in faults.POINTS if point not in ELSEWHERE]  # a new one is tried here
SOURCES = Path(faults.__file__).parent


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    with planted(tmp_path_factory.mktemp("plant") / "plant") as plant:
        plant.lead()
        yield plant


def add_task(plant: Plant, source: Path, destination: Path, script: str | None = None) -> Task:
    return add_copy_task(
        plant.client,
        add_share_pool(plant.client, "live", "primary", source),
        add_share_pool(plant.client, "archive", "offline_archive", destination),
        options={"file_checksum": "xxhash64"},
        script=script,
    )


@pytest.mark.parametrize("point", POINTS)
def test_a_process_killed_at_a_point_loses_and_doubles_nothing(
    plant: Plant, source: Path, destination: Path, point: str
) -> None:
    grow(source, FILES)
    task = add_task(plant, source, destination)
    plant.keep()
    plant.begin(task)
    plant.wait_for_more(task, 1)
    armed = plant.arm(point)
    if point in AT_THE_START:
        plant.controllers[-1].kill()
        plant.controllers[-1].wait()
    plant.wait_for_death(armed)
    execution_id = plant.finish(task)
    check_exact(plant.database, execution_id, source, destination)


@pytest.mark.parametrize("point", OF_CALLBACKS)
def test_a_mover_killed_around_a_question_loses_and_doubles_nothing(
    plant: Plant, source: Path, destination: Path, point: str
) -> None:
    grow(source, FILES)
    task = add_task(plant, source, destination, "def run(req):\n    return True\n")
    armed = plant.arm(point)
    plant.keep()
    plant.begin(task)
    plant.wait_for_death(armed)
    check_exact(plant.database, plant.finish(task), source, destination)


@pytest.mark.parametrize("point", AROUND_NATIVE_LOOPS)
def test_a_mover_killed_around_the_native_loops_loses_and_doubles_nothing(
    tmp_path: Path, source: Path, destination: Path, point: str
) -> None:
    grow(source, FILES)
    with planted(tmp_path / "plant", deadly=AROUND_NATIVE_LOOPS) as plant:
        plant.lead()
        task = add_copy_task(
            plant.client,
            add_share_pool(plant.client, "live", "primary", source),
            add_share_pool(plant.client, "archive", "offline_archive", destination),
        )
        plant.begin(task)
        plant.wait_for_more(task, 1)
        plant.wait_for_death(plant.arm(point))
        check_exact(plant.database, plant.finish(task), source, destination)


def test_an_api_killed_before_its_answer_leaves_one_execution(
    tmp_path: Path, source: Path, destination: Path
) -> None:
    grow(source, FILES)
    claim = tmp_path / "claim"
    server = Server(tmp_path / "data", deadly("api.job_created", claim))
    server.start()
    try:
        with server.client() as client:
            task = add_copy_task(
                client,
                add_share_pool(client, "live", "primary", source),
                add_share_pool(client, "archive", "offline_archive", destination),
            )
            claim.touch()
            with pytest.raises(httpx.TransportError):
                client.put(f"/tasks/{task.id}/action/run")
        assert not claim.exists()
        wait_until(server.is_healthy, "the api to be back")
        with server.client() as client:
            again = Task(client, task.id)
            assert again.wait()["status"] == "done"
            answer = client.get(f"/tasks/{task.id}/task_executions").json()
        assert answer["count"] == 1
        assert describe(destination) == describe(source)
        assert staged_left(destination) == []
    finally:
        server.close()


@pytest.mark.parametrize("point", OF_THE_SUPERVISOR)
def test_a_supervisor_killed_at_its_start_leaves_nobody_behind_and_the_next_goes_on(
    tmp_path: Path, source: Path, destination: Path, point: str
) -> None:
    grow(source, FILES)
    claim = tmp_path / "claim"
    server = Server(tmp_path / "data", deadly(point, claim))
    server.start()
    assert processes_with(server.data_dir) != []
    try:
        with server.client() as client:
            task = add_copy_task(
                client,
                add_share_pool(client, "live", "primary", source),
                add_share_pool(client, "archive", "offline_archive", destination),
            )
            task.limit(FILES * 100)  # so that it lasts longer than this server
            task.act("run")
        server.kill_group()
        claim.touch()
        with pytest.raises(AssertionError, match="the server has ended"):
            server.start()
        assert not claim.exists()
        wait_until(lambda: processes_with(server.data_dir) == [], "all processes to end")
        server.start()
        with server.client() as client:
            again = Task(client, task.id)
            again.limit(None)
            assert again.wait()["status"] == "done"
            assert len(again.files()) == FILES
        assert describe(destination) == describe(source)
        assert staged_left(destination) == []
    finally:
        server.close()


def deadly(point: str, claim: Path) -> dict[str, str]:
    """The environment of a server in which the point kills whoever finds the claim."""
    points = [{"point": point, "act": "kill", "claim": str(claim)}]
    return {faults.VARIABLE: json.dumps({"points": points})}


def processes_with(data_dir: Path) -> list[psutil.Process]:
    """All processes, of whatever parent, that serve this data folder."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if process.environ().get("LONGSHORE_DATA_DIR") == str(data_dir):
                found.append(process)
    return found


def test_the_named_points_are_those_of_the_program() -> None:
    """A point that is not named here has no kill test, and one that is not there cannot kill."""
    pattern = re.compile(r"""faults\.at\(\s*"([^"]+)\"""")
    texts = [file.read_text() for file in SOURCES.rglob("*.py")]
    used = {point for text in texts for point in pattern.findall(text)}
    assert used == set(faults.POINTS)
    assert sum(text.count("faults.at(") for text in texts) == sum(
        len(pattern.findall(text)) for text in texts
    )
