"""The documentation against the things it speaks of."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import typer.main

from longshore.cli.main import app
from longshore.engine import admission, task_ends
from tests import settings_table

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])

_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_COMMAND = re.compile(r"(?:^|[\s`/])longshore ((?:[a-z-]+ ?)+)", re.MULTILINE)
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def code(page: Path) -> str:
    """Everything of the page that is marked as code."""
    text = page.read_text()
    fenced = re.findall(r"^```\w*\n(.*?)^```", text, re.M | re.S)
    rest = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    return "\n".join([*fenced, *re.findall(r"`[^`\n]+`", rest)])


def anchors(page: Path) -> set[str]:
    """The names that the page's headings can be linked by."""
    headings = _HEADING.findall(page.read_text())
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    links = [link for link in _LINK.findall(page.read_text()) if "://" not in link]
    broken = []
    for link in links:
        target, _, anchor = link.partition("#")
        file = (page.parent / target).resolve() if target else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(link)
    assert not broken


def test_the_pages_that_readers_are_sent_to_are_there() -> None:
    wanted = {"quickstart", "architecture", "glossary", "configuration", "operations"}
    assert wanted <= {page.stem for page in PAGES}


@pytest.mark.parametrize("setting", settings_table.rows())
def test_every_setting_is_documented_as_it_is(setting: str) -> None:
    """Write the table anew with `python -m tests.settings_table` when this fails."""
    lines = (ROOT / "docs" / "configuration.md").read_text().splitlines()
    assert settings_table.rows()[setting] in lines


def test_no_setting_is_documented_that_there_is_not() -> None:
    text = (ROOT / "docs" / "configuration.md").read_text()
    assert set(re.findall(r"^\| `(\w+)`", text, re.M)) == set(settings_table.rows())


@pytest.mark.parametrize(
    ("row", "supported"),
    [("Actions", task_ends.SUPPORTED_ACTIONS), ("Options", admission.SUPPORTED_OPTIONS)],
)
def test_the_readme_says_what_the_engine_can_run(row: str, supported: frozenset[str]) -> None:
    line = re.search(rf"^\| {row} \| ([^|]*) \|", (ROOT / "README.md").read_text(), re.M)
    assert line is not None
    assert set(re.findall(r"`(\w+)`", line.group(1))) == {str(each) for each in supported}


def commands() -> set[str]:
    """Every command of the command line, with those above it."""
    found: set[str] = set()

    def collect(command: Any, words: tuple[str, ...]) -> None:
        found.add(" ".join(words))
        for each, below in getattr(command, "commands", {}).items():
            collect(below, (*words, each))

    collect(typer.main.get_command(app), ())
    return found


def is_known(words: str, known: set[str]) -> bool:
    """Whether the words are a command, or one with arguments that is no group of commands."""
    parts = words.split()
    longest = max(n for n in range(len(parts) + 1) if " ".join(parts[:n]) in known)
    is_group = any(each.startswith(" ".join(parts[:longest]) + " ") for each in known)
    return longest > 0 and (longest == len(parts) or not is_group)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_command_in_the_docs_exists(page: Path) -> None:
    known = commands()
    named = {match.strip() for match in _COMMAND.findall(code(page))}
    assert {words for words in named if not is_known(words, known)} == set()


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_target_of_make_in_the_docs_exists(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.M))
    named = {
        word for line in re.findall(r"\bmake ((?:[a-z-]+ ?)+)", code(page)) for word in line.split()
    }
    assert named <= targets


def test_a_command_that_there_is_not_would_be_noticed() -> None:
    known = commands()
    assert is_known("serve", known)
    assert is_known("user add alice", known)
    assert not is_known("user rename alice", known)
    assert not is_known("server", known)
