"""/tasks/{task_id}/task_callbacks/…/test: what a script would decide (an extension)"""

from __future__ import annotations

from starlette.responses import Response

from longshore.api.parameters import Query
from longshore.api.rendering import date_of_nanoseconds, json_response
from longshore.api.routing import Call, Parameter, Routes
from longshore.callbacks import Bounds, Sample
from longshore.domain import paths
from longshore.services import callback_tests
from longshore.services.callback_tests import CallbackTest, FileSource
from longshore.services.errors import Kind, Problems

DIGITS_MAXIMUM = 18  # of a number in a query; longer ones are far beyond every bound

routes = Routes()

_PATH = "/tasks/{task_id}/task_callbacks"
_PARAMETERS = (
    Parameter(
        name="source",
        default=FileSource.CATALOGUE.value,
        enum=tuple(each.value for each in FileSource),
        description="the catalogue's entries of the task's sources, or what lies in them now",
    ),
    Parameter(
        name="files",
        type="integer",
        default=callback_tests.FILES_DEFAULT,
        description=f"files to ask about, at most {callback_tests.FILES_MAXIMUM}",
    ),
    Parameter(
        name="seconds",
        type="integer",
        default=callback_tests.SECONDS_DEFAULT,
        description=f"seconds to work, at most {callback_tests.SECONDS_MAXIMUM}",
    ),
    Parameter(
        name="samples",
        type="integer",
        default=callback_tests.SAMPLES_DEFAULT,
        description=f"samples of each kind, at most {callback_tests.SAMPLES_MAXIMUM}",
    ),
)


# Before the one with an id: `-` stands where the id would be.
@routes.add(
    "POST",
    f"{_PATH}/-/test",
    operation_id="test_new_task_callback",
    tag="task_callbacks",
    scope="task_callbacks/test",
    summary="Try a script that is not saved over the files of a task",
    responses={200: "task_callback_test", 422: "error", 429: "error"},
    body="task_callback_script",
    parameters=_PARAMETERS,
)
def try_new(call: Call) -> Response:
    given, problems = call.read(callback_tests.ScriptInput)
    source, bounds = _wanted(call.query, problems)
    done = callback_tests.try_new(
        call.context, call.principal, call.path("task_id"), given, problems, source, bounds
    )
    return json_response(_rendered(done))


@routes.add(
    "POST",
    f"{_PATH}/{{task_callback_id}}/test",
    operation_id="test_task_callback",
    tag="task_callbacks",
    scope="task_callbacks/test",
    summary="Try one of the callbacks of a task over its files",
    responses={200: "task_callback_test", 422: "error", 429: "error"},
    parameters=_PARAMETERS,
)
def try_saved(call: Call) -> Response:
    problems = Problems()
    source, bounds = _wanted(call.query, problems)
    problems.raise_if_any()
    task, identifier = call.path("task_id"), call.path("task_callback_id")
    done = callback_tests.try_saved(call.context, call.principal, task, identifier, source, bounds)
    return json_response(_rendered(done))


def _wanted(query: Query, problems: Problems) -> tuple[FileSource, Bounds]:
    """What the parameters say; what is wrong with them is added to the problems."""
    name = query.text("source") or FileSource.CATALOGUE.value
    if name not in set(FileSource):
        problems.add("source", Kind.INVALID, value=name)
        name = FileSource.CATALOGUE.value
    tests = callback_tests
    return FileSource(name), Bounds(
        files=_number(query, "files", tests.FILES_DEFAULT, tests.FILES_MAXIMUM, problems),
        seconds=_number(query, "seconds", tests.SECONDS_DEFAULT, tests.SECONDS_MAXIMUM, problems),
        samples=_number(query, "samples", tests.SAMPLES_DEFAULT, tests.SAMPLES_MAXIMUM, problems),
    )


def _number(query: Query, name: str, default: int, maximum: int, problems: Problems) -> int:
    raw = query.text(name)
    if raw is None or raw == "":
        return default
    if not (raw.isascii() and raw.isdigit() and len(raw) <= DIGITS_MAXIMUM):
        problems.add(name, Kind.INVALID, value=raw)
    elif int(raw) < 1:
        problems.add(name, Kind.GREATER_THAN_OR_EQUAL_TO, count=1, value=int(raw))
    elif int(raw) > maximum:
        problems.add(name, Kind.LESS_THAN_OR_EQUAL_TO, count=maximum, value=int(raw))
    else:
        return int(raw)
    return default


def _rendered(done: CallbackTest) -> dict[str, object]:
    trial = done.trial
    per_file = trial.seconds_per_file
    return {
        "source": done.source.value,
        "language": trial.language.value,
        "files": trial.files,
        "accepted": trial.accepted,
        "accepted_size": trial.accepted_bytes,
        "refused": trial.refused,
        "failed": trial.failed,
        "timed_out": trial.timed_out,
        "complete": trial.stopped is None and not done.warnings,
        "stopped": None if trial.stopped is None else trial.stopped.value,
        "reason": trial.reason,
        "seconds": round(trial.seconds, 3),
        "microseconds_per_file": None if per_file is None else round(per_file * 1e6, 3),
        "samples": {
            "accepted": [_sample(each) for each in trial.accepted_samples],
            "refused": [_sample(each) for each in trial.refused_samples],
            "failed": [_failure(each) for each in trial.failed_samples],
        },
        "output": trial.output,
        "output_truncated": trial.output_truncated,
        "warnings": done.warnings,
    }


def _sample(sample: Sample) -> dict[str, object]:
    file = sample.file
    return {
        "path": paths.to_text(file.path),
        "size": file.size,
        "modification_date": date_of_nanoseconds(file.mtime_ns),
    }


def _failure(sample: Sample) -> dict[str, object]:
    assert sample.failure is not None
    return {
        **_sample(sample),
        "error": sample.failure.text,
        "line": sample.failure.line,
        "timed_out": sample.timed_out,
    }
