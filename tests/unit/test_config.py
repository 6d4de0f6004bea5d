"""Settings: where they come from, their bounds, and that they survive the way to a process."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from longshore.config import Config, InvalidConfiguration, environment_of, load


def test_defaults_are_in_force_when_nothing_is_said(tmp_path: Path) -> None:
    config = load(environment={})
    assert config.port == 8080
    assert config.host == "127.0.0.1"
    assert config.data_dir == Path("data").absolute()
    assert config.containers_folder == config.data_dir / "containers"


def test_flags_win_over_environment_over_file_over_defaults(tmp_path: Path) -> None:
    file = tmp_path / "longshore.toml"
    file.write_text('port = 1\nhost = "10.0.0.1"\nmovers = 3\n')
    environment = {"LONGSHORE_PORT": "2", "LONGSHORE_HOST": "10.0.0.2", "PORT": "9"}
    config = load(file=file, environment=environment, flags={"port": 4, "host": None})
    assert (config.port, config.host, config.movers) == (4, "10.0.0.2", 3)
    assert config.slice_seconds == Config().slice_seconds


def test_an_unknown_setting_in_the_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "longshore.toml"
    file.write_text("prot = 1\n")
    with pytest.raises(InvalidConfiguration, match="unknown setting 'prot'"):
        load(file=file, environment={})


def test_an_unknown_flag_is_named() -> None:
    with pytest.raises(InvalidConfiguration, match="unknown setting 'prot'"):
        load(environment={}, flags={"prot": 1})


def test_unknown_variables_of_the_environment_are_left_alone() -> None:
    assert load(environment={"LONGSHORE_LISTENING_DESCRIPTOR": "3"}) == load(environment={})


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("port", "65536", "port is 65536, must be at most 65535"),
        ("port", "-1", "port is -1, must be at least 0"),
        ("port", "http", "port is 'http', must be a int"),
        ("movers", "1.5", "movers is '1.5', must be a int"),
        ("slice_seconds", "0", "slice_seconds is 0.0, must be at least 0.05"),
        ("verify_by_reading_back", "perhaps", "verify_by_reading_back is 'perhaps'"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(name: str, value: str, message: str) -> None:
    with pytest.raises(InvalidConfiguration, match=message):
        load(environment={f"LONGSHORE_{name.upper()}": value})


def test_a_true_in_the_file_is_no_number(tmp_path: Path) -> None:
    file = tmp_path / "longshore.toml"
    file.write_text("port = true\n")
    with pytest.raises(InvalidConfiguration, match="port is True, must be a int"):
        load(file=file, environment={})


@pytest.mark.parametrize(("text", "value"), [("1", True), ("Yes", True), ("FALSE", False)])
def test_truth_is_read_in_several_spellings(text: str, value: bool) -> None:
    assert load(environment={"LONGSHORE_RECOVERY_STOPS_TASKS": text}).recovery_stops_tasks is value


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match=r"cannot read .*missing\.toml: No such file"):
        load(file=tmp_path / "missing.toml", environment={})
    (tmp_path / "broken.toml").write_text("port = = 1\n")
    with pytest.raises(InvalidConfiguration, match=r"broken\.toml is not valid TOML"):
        load(file=tmp_path / "broken.toml", environment={})


def test_processes_get_the_same_settings_through_their_environment(tmp_path: Path) -> None:
    flags = {
        "data_dir": tmp_path,
        "port": 0,
        "slice_seconds": 0.25,
        "verify_by_reading_back": False,
        "containers_root": tmp_path / "containers",
        "jwt_issuer": "somebody",
        "task_bandwidth_timetables": {'nightly "x"': "Mon off; 5M"},
    }
    config = load(environment={}, flags=flags)
    assert load(environment=environment_of(config)) == config


def test_folders_become_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    config = load(environment={}, flags={"data_dir": Path("d"), "containers_root": Path("c")})
    assert (config.data_dir, config.containers_folder) == (tmp_path / "d", tmp_path / "c")


def test_a_bandwidth_timetable_that_is_none_is_refused_with_its_entry() -> None:
    with pytest.raises(InvalidConfiguration, match="bandwidth_timetable: entry 'Mo 5M': 'Mo' is"):
        load(environment={"LONGSHORE_BANDWIDTH_TIMETABLE": "Tue 1M; Mo 5M"})


def test_timetables_of_storages_are_a_table_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "longshore.toml"
    file.write_text('[storage_bandwidth_timetables]\n"the archive" = "Mon-Fri 5M"\nb = "off"\n')
    config = load(file=file, environment={})
    entries = (("the archive", "Mon-Fri 5M"), ("b", "off"))
    assert config.storage_bandwidth_timetables.entries == entries


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": "Mo 5M"}', "task_bandwidth_timetables: 'a': entry 'Mo 5M': 'Mo' is no day"),
        ('{"a": 5}', "task_bandwidth_timetables is '{\"a\": 5}', must be a table of texts"),
        ("Mon 5M", "task_bandwidth_timetables is 'Mon 5M', must be a table of texts"),
        ('["a"]', "must be a table of texts"),
    ],
)
def test_what_is_no_table_of_timetables_is_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidConfiguration, match=re.escape(message)):
        load(environment={"LONGSHORE_TASK_BANDWIDTH_TIMETABLES": text})
