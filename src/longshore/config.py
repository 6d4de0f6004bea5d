"""The settings, read once at start: defaults < TOML file < environment < command-line flags.

Every field is a setting. In the file it is a key of the same name; in the environment it is
`LONGSHORE_` and the name in capitals (`LONGSHORE_PORT`).
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from longshore.domain.bandwidth import BANDWIDTH_MAXIMUM, parse_timetable
from longshore.domain.errors import LongshoreError
from longshore.domain.segments import SEGMENT_BYTES
from longshore.domain.storage import SLOTS_MAXIMUM

LOG_LEVELS = ("debug", "info", "warning", "error")
ENVIRONMENT_PREFIX = "LONGSHORE_"


class InvalidConfiguration(LongshoreError):
    """A setting is unknown, of the wrong type or out of its bounds; the text names it."""


def _setting(
    default: Any,
    help_text: str,
    *,
    low: float | None = None,
    high: float | None = None,
    check: Callable[[Any], object] | None = None,
) -> Any:
    """A field; `check` raises a LongshoreError that says what is wrong with a value."""
    metadata = {"help": help_text, "low": low, "high": high, "check": check}
    return field(default=default, metadata=metadata)


def _check_log_level(level: str) -> None:
    if level not in LOG_LEVELS:
        raise InvalidConfiguration(f"{level!r} is none of {', '.join(LOG_LEVELS)}")


@dataclass(frozen=True, slots=True)
class TextsByName:
    """Texts, each for what has a certain name: a table of the file, JSON in the environment."""

    entries: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, value: object) -> TextsByName:
        """Raises ValueError for anything but names with texts."""
        if isinstance(value, TextsByName):
            return value
        found = json.loads(value or "{}") if isinstance(value, str) else value
        if not isinstance(found, dict) or not all(isinstance(text, str) for text in found.values()):
            raise ValueError
        return cls(tuple(found.items()))

    def __str__(self) -> str:
        return json.dumps(dict(self.entries))


def _check_timetables(timetables: TextsByName) -> None:
    for name, text in timetables.entries:
        try:
            parse_timetable(text)
        except LongshoreError as error:
            raise InvalidConfiguration(f"{name!r}: {error}") from error


def _check_segment_bytes(size: int) -> None:
    if size & (size - 1):
        raise InvalidConfiguration(f"{size} is no power of two")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All settings with their units; `docs/configuration.md` lists them."""

    data_dir: Path = _setting(
        Path("data"), "Folder of the database, keys and sockets; only for the server."
    )
    host: str = _setting("127.0.0.1", "Address the api listens on.")
    port: int = _setting(8080, "TCP port of the api; 0 takes a free one.", low=0, high=65535)
    database_url: str = _setting(
        "", "PostgreSQL as postgresql+psycopg://user:password@host/name; empty = SQLite."
    )
    containers_root: Path | None = _setting(
        None, "Folder in which containers live; default: `containers` in the data folder."
    )
    log_level: str = _setting("info", "debug, info, warning or error.", check=_check_log_level)
    admin_password: str = _setting(
        "", "Password of the user admin at the first start; empty = a random one."
    )
    movers: int = _setting(
        0, "Mover processes on this machine; 0 = one per processor.", low=0, high=256
    )
    active_tasks_maximum: int = _setting(
        20, "Tasks that run at the same time; others wait in the queue.", low=1, high=10_000
    )
    memory_use_percent_maximum: int = _setting(
        80, "No task starts while the machine uses more memory than this.", low=1, high=100
    )
    parallel_processing_default: int = _setting(
        64, "Batches of one task at work at once, where the task does not say.", low=1, high=64
    )
    slice_seconds: float = _setting(
        2.0, "Longest time a mover works before it reports.", low=0.05, high=60
    )
    order_timeout_seconds: float = _setting(
        600.0,
        "How long beyond its slice a mover may be at work before it counts as hung and is ended: "
        "longer than a slow storage ever takes for one file or segment.",
        low=1,
        high=86_400,
    )
    batch_files_maximum: int = _setting(1000, "Files in one batch.", low=1, high=4000)
    batch_bytes_maximum: int = _setting(
        256 * 1024 * 1024, "Bytes in one batch of several files.", low=1
    )
    segment_bytes: int = _setting(
        SEGMENT_BYTES,
        "A larger file is moved in segments of this size, so that it can be interrupted, and "
        "shared by several movers; a power of two. Files of more than 10,000 have longer ones.",
        low=64 * 1024,
        high=1024 * 1024 * 1024,
        check=_check_segment_bytes,
    )
    verify_by_reading_back: bool = _setting(
        True,
        "Read every written file back and compare its checksum before publishing it. A move, which "
        "deletes its sources, always does so.",
    )
    verify_from_medium: bool = _setting(
        False,
        "Write each file to its medium before it is read back: true, and slow for small ones.",
    )
    native_loops: bool = _setting(
        True, "List folders and copy small files in compiled code, where it could be built."
    )
    bandwidth_bytes_per_second: int = _setting(
        0,
        "Bytes that all tasks together read from their sources per second; 0 = no limit.",
        low=0,
        high=BANDWIDTH_MAXIMUM,
    )
    bandwidth_timetable: str = _setting(
        "",
        "The same by the hours of the week, as `Mon-Fri 08:00-18:00 50M; Sat,Sun off`.",
        check=parse_timetable,
    )
    storage_bandwidth_timetables: TextsByName = _setting(
        TextsByName(),
        "Timetables of single storages, by their names; in the environment as a JSON object.",
        check=_check_timetables,
    )
    task_bandwidth_timetables: TextsByName = _setting(
        TextsByName(),
        "Timetables of single tasks, by their names; in the environment as a JSON object.",
        check=_check_timetables,
    )
    storage_slots_default: int = _setting(
        0,
        "Work orders of all tasks at one storage at once, where it has no slots of its own; "
        "0 = no limit.",
        low=0,
        high=SLOTS_MAXIMUM,
    )
    storage_retry_seconds: float = _setting(
        300.0,
        "How long a task waits for a storage that is gone or full before it is stopped_by_system.",
        low=0,
        high=7 * 86_400,
    )
    cache_retention_seconds: float = _setting(
        900.0,
        "How long a file of a container has to be at rest before its cache may be freed.",
        low=0,
        high=10 * 365 * 86_400,
    )
    recovery_stops_tasks: bool = _setting(
        False, "After a crash running tasks become stopped_by_system instead of going on."
    )
    lease_seconds: float = _setting(
        10.0, "How long a controller that went silent keeps others waiting.", low=1, high=600
    )
    keep_outcomes_days: int = _setting(
        0,
        "Days after its end for which an execution's per-file records are kept; 0 = for ever.",
        low=0,
        high=36_500,
    )
    keep_executions_days: int = _setting(
        0,
        "Days after its end for which an execution is kept in the history; 0 = for ever.",
        low=0,
        high=36_500,
    )
    cors_origins: str = _setting(
        "", "Web origins that browsers may call the api from, separated by commas; empty = none."
    )
    jwt_secret: str = _setting(
        "", "Shared secret of tokens signed with HS256, 32 bytes or more; empty = not accepted."
    )
    jwt_public_key: Path | None = _setting(
        None, "PEM file with the public key of tokens signed with RS256 or ES256."
    )
    jwt_jwks: str = _setting(
        "", "File or URL of a JSON Web Key Set with the public keys of tokens; empty = none."
    )
    jwt_jwks_cache_seconds: float = _setting(
        300.0, "How long keys of the key set are used before it is read again.", low=1, high=86_400
    )
    jwt_issuer: str = _setting("", "The issuer (iss) that tokens have to name; needed for tokens.")
    jwt_audience: str = _setting(
        "", "The audience (aud) that tokens have to name; needed for tokens."
    )
    jwt_leeway_seconds: float = _setting(
        30.0, "How far the clock of the tokens' issuer may be off.", low=0, high=600
    )
    jwt_groups_claim: str = _setting(
        "groups", "Claim with the list of a user's groups; dots lead into nested claims."
    )
    jwt_administrator_group: str = _setting(
        "", "Users in this group of the groups claim are administrators; empty = nobody."
    )
    api_threads: int = _setting(16, "Requests answered at the same time.", low=1, high=256)
    callback_languages: str = _setting(
        "python,javascript", "Languages that callbacks may be written in; empty = no callbacks."
    )
    callback_soft_timeout_seconds: float = _setting(
        1.0, "Computing time of a callback for one file; then that file fails.", low=0.01, high=600
    )
    callback_hard_timeout_seconds: float = _setting(
        3.0,
        "Silence of a callback after which its process is killed; at least 2.5 soft time-outs.",
        low=0.1,
        high=3600,
    )
    callback_start_timeout_seconds: float = _setting(
        10.0, "How long the locked process of a callback may take to start.", low=0.1, high=600
    )
    callback_max_deaths: int = _setting(
        5,
        "Time-outs and deaths of one callback in one mover that end the execution.",
        low=1,
        high=1_000_000,
    )
    callback_budget_slack_seconds: float = _setting(
        60.0, "Time a callback may use in one mover, besides that for each file.", low=0.1
    )
    callback_budget_seconds_per_file: float = _setting(
        0.005, "Time a callback may use for each file, on average.", low=0.000_001
    )
    callback_memory_bytes: int = _setting(
        256 * 1024 * 1024,
        "Address space of a callback's process, its interpreter included.",
        low=96 * 1024 * 1024,
    )
    callback_javascript_memory_bytes: int = _setting(
        128 * 1024 * 1024, "Memory of a JavaScript callback inside its process.", low=1024 * 1024
    )
    callback_javascript_stack_bytes: int = _setting(
        512 * 1024, "Stack of a JavaScript callback: how deep it may recurse.", low=16 * 1024
    )
    callback_script_bytes: int = _setting(
        64 * 1024, "Longest script of a callback, in UTF-8.", low=1, high=64 * 1024
    )
    callback_request_frame_files: int = _setting(
        1000, "Files put to a callback in one question.", low=1, high=100_000
    )
    callback_request_frame_bytes: int = _setting(
        4 * 1024 * 1024,
        "Size of one question to a callback.",
        low=64 * 1024,
        high=256 * 1024 * 1024,
    )
    callback_answer_frame_files: int = _setting(
        512, "Files answered by a callback in one reply.", low=1, high=100_000
    )
    callback_answer_frame_bytes: int = _setting(
        4 * 1024 * 1024, "Longest reply of a callback's process.", low=1, high=256 * 1024 * 1024
    )
    callback_error_text_characters: int = _setting(
        300, "Where the text of a callback's error is cut.", low=1, high=2000
    )
    callback_log_lines: int = _setting(
        100, "Lines a callback may print for one group of files.", low=1, high=10_000
    )
    callback_log_line_characters: int = _setting(
        300, "Where a line that a callback prints is cut.", low=1, high=2000
    )
    callback_uid: int = _setting(
        65534, "User that a callback's process becomes where the server is root.", low=1
    )
    callback_gid: int = _setting(
        65534, "Group that a callback's process becomes where the server is root.", low=1
    )
    callback_landlock: str = _setting(
        "prefer", "prefer, require or off: Landlock as the second lock around a callback."
    )

    @property
    def containers_folder(self) -> Path:
        return self.containers_root or self.data_dir / "containers"


def load(
    *,
    file: Path | None = None,
    environment: Mapping[str, str] | None = None,
    flags: Mapping[str, object] | None = None,
) -> Config:
    """The settings in force. Raises InvalidConfiguration.

    A flag whose value is None was not given. The data folder comes back absolute.
    """
    values: dict[str, Any] = {}
    if file is not None:
        values |= _from_file(file)
    values |= _from_environment(os.environ if environment is None else environment)
    values |= {name: value for name, value in (flags or {}).items() if value is not None}
    checked: dict[str, Any] = {name: _checked(name, value) for name, value in values.items()}
    config = Config(**checked)
    return _with_absolute_folders(config)


def environment_of(config: Config) -> dict[str, str]:
    """The settings as environment variables, for the processes that a server starts."""
    values = {each.name: getattr(config, each.name) for each in fields(Config)}
    return {
        ENVIRONMENT_PREFIX + name.upper(): str(value)
        for name, value in values.items()
        if value is not None
    }


def _with_absolute_folders(config: Config) -> Config:
    root = config.containers_root
    return replace(
        config,
        data_dir=config.data_dir.absolute(),
        containers_root=None if root is None else root.absolute(),
    )


def _from_file(file: Path) -> dict[str, Any]:
    try:
        values = tomllib.loads(file.read_text())
    except OSError as error:
        raise InvalidConfiguration(f"cannot read {file}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidConfiguration(f"{file} is not valid TOML: {error}") from error
    unknown = set(values) - _names()
    if unknown:
        raise InvalidConfiguration(f"{file}: unknown setting {sorted(unknown)[0]!r}")
    return values


def _from_environment(environment: Mapping[str, str]) -> dict[str, str]:
    given = {
        name.removeprefix(ENVIRONMENT_PREFIX).lower(): value
        for name, value in environment.items()
        if name.startswith(ENVIRONMENT_PREFIX)
    }
    return {name: value for name, value in given.items() if name in _names()}


def _names() -> set[str]:
    return {each.name for each in fields(Config)}


def _checked(name: str, value: object) -> object:
    """The value in the setting's type and bounds."""
    if name not in _names():
        raise InvalidConfiguration(f"unknown setting {name!r}")
    parsed = _parsed(name, value, _type_of(name))
    metadata = next(each.metadata for each in fields(Config) if each.name == name)
    low, high = metadata["low"], metadata["high"]
    if low is not None and parsed < low:
        raise InvalidConfiguration(f"{name} is {parsed}, must be at least {low}")
    if high is not None and parsed > high:
        raise InvalidConfiguration(f"{name} is {parsed}, must be at most {high}")
    if metadata["check"] is not None:
        try:
            metadata["check"](parsed)
        except LongshoreError as error:
            raise InvalidConfiguration(f"{name}: {error}") from error
    return parsed


def _type_of(name: str) -> type:
    hint = get_type_hints(Config)[name]
    plain = [each for each in get_args(hint) if each is not type(None)]
    return plain[0] if get_origin(hint) is not None and plain else hint  # type: ignore[no-any-return]


def _parsed(name: str, value: object, kind: type) -> Any:
    try:
        if kind is bool:
            return _boolean(value)
        if kind is TextsByName:
            return TextsByName.parse(value)
        return kind(value if not isinstance(value, bool) else None)
    except (TypeError, ValueError):
        wanted = "table of texts" if kind is TextsByName else kind.__name__
        raise InvalidConfiguration(f"{name} is {value!r}, must be a {wanted}") from None


def _boolean(value: object) -> bool:
    known = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in known:
        return known[value.lower()]
    raise ValueError
