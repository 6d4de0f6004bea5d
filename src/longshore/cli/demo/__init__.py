"""`longshore demo`: a temporary server archives a real folder, and every file is compared.

    start a server ─> declare storages ─> run a task ─> read report and catalogue ─> compare

Everything between start and comparison goes through the REST API, as any client would do it.
"""

from __future__ import annotations

import os
import signal
import sys
import sysconfig
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from longshore.cli.demo import story
from longshore.cli.demo.comparison import Comparison, compare
from longshore.cli.demo.server import TemporaryServer
from longshore.cli.demo.story import DemoFailed
from longshore.domain.errors import LongshoreError

SOURCE = "DEMO_SOURCE"
KEEP = "DEMO_KEEP"

DIFFERENCES_SHOWN = 20  # of a comparison; the rest is counted
EXIT_FAILED = 1
EXIT_SIGNAL = 128  # and the number of the signal, as shells have it


class _Ended(BaseException):
    """A signal asked the demo to end."""

    def __init__(self, number: int) -> None:
        self.number = number


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wishes:
    source: str
    keep: bool


def main() -> int:
    """Run the demo as the environment asks for; its exit status."""
    try:
        with _signals_as_exceptions():
            return _demo(_wishes(os.environ))
    except _Ended as ended:
        print(f"demo: ended by {signal.Signals(ended.number).name}", file=sys.stderr)
        return EXIT_SIGNAL + ended.number
    except (LongshoreError, OSError) as error:
        print(f"demo: failed: {error}", file=sys.stderr)
        return EXIT_FAILED


def _wishes(environment: Mapping[str, str]) -> _Wishes:
    """What the environment asks for. Raises DemoFailed."""
    source = os.path.abspath(environment.get(SOURCE) or sysconfig.get_path("stdlib"))
    if not os.path.isdir(source):
        raise DemoFailed(f"{SOURCE} is {story.shown(source)}, which is not a folder")
    if not story.is_text(source):
        raise DemoFailed(f"{SOURCE} is {story.shown(source)}, which is not valid UTF-8")
    return _Wishes(source=source, keep=environment.get(KEEP, "") not in {"", "0"})


def _demo(wishes: _Wishes) -> int:
    say(f"Archiving {wishes.source} with a temporary server.")
    server = TemporaryServer.make()
    keep = False
    try:
        server.start()
        say(f"server: {server.url} is process {server.pid}, everything of it in {server.folder}")
        keep = wishes.keep
        status, last_line = _archive(wishes.source, server)
    except (LongshoreError, OSError) as error:
        status, last_line = EXIT_FAILED, f"demo: failed: {error}"
    except _Ended:
        keep = False
        raise
    finally:
        if not keep:
            with _undisturbed():
                server.remove()
    if keep:
        say(f"kept: {server.url}/api/v2, user {server.USER}, password {server.password}")
        say(f"      to end it: kill {server.pid}; to remove it: rm -rf {server.folder}")
    print(last_line, file=sys.stderr if status else sys.stdout, flush=True)
    return status


def _archive(source: str, server: TemporaryServer) -> tuple[int, str]:
    """The whole story on a running server: the exit status and the last line."""
    begun = time.monotonic()
    with server.client() as client:
        archived = story.archive(client, source, os.fspath(server.archive), say)
        comparison = compare(
            os.fsencode(source),
            os.fsencode(server.archive),
            story.read_report(client, archived, say),
            story.read_catalogue(client, archived, say),
            left_out=story.is_left_out,
        )
    _show(comparison)
    seconds = time.monotonic() - begun
    if not comparison.matches:
        return EXIT_FAILED, f"demo: failed: {comparison.problems:,} problems, see above"
    what = f"{comparison.files} files, {comparison.bytes} bytes"
    return 0, f"demo: {what} archived and verified in {seconds:.1f} s"


def _show(comparison: Comparison) -> None:
    say(
        f"compared: {comparison.files:,} files in {comparison.folders:,} folders, "
        f"{comparison.absent:,} rightly absent"
    )
    for title, lines in (
        ("failed", comparison.failures),
        ("differs", comparison.differences),
    ):
        for line in lines[:DIFFERENCES_SHOWN]:
            say(f"  {title}: {line}")
        if len(lines) > DIFFERENCES_SHOWN:
            say(f"  {title}: and {len(lines) - DIFFERENCES_SHOWN:,} more")


def say(line: str) -> None:
    print(line, flush=True)


@contextmanager
def _signals_as_exceptions() -> Iterator[None]:
    """Inside, a signal that would end the process unwinds it instead, so that it tidies up."""

    def end(number: int, _: FrameType | None) -> None:
        raise _Ended(number)

    with _handlers(end):
        yield


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Inside, further signals wait for nothing and change nothing: tidying up takes seconds."""
    with _handlers(signal.SIG_IGN):
        yield


@contextmanager
def _handlers(handler: signal._HANDLER) -> Iterator[None]:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
