"""`longshore callback`: trying scripts where they are written, without a server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from longshore.callbacks import FileInfo, Limits, Sample, Trial

app = typer.Typer(
    help="Try scripts that decide which files a task processes.", no_args_is_help=True
)

EXIT_FAILED = 1  # the script failed on some files, or was given up
EXIT_INVALID = 2  # the script cannot be used at all
EXIT_CANNOT = 3  # it cannot be tried: an unreadable file, or a machine that holds no scripts

FILES_DEFAULT = 100_000
SECONDS_DEFAULT = 60.0
SAMPLES_DEFAULT = 5


@app.callback()
def callback() -> None:
    """Try scripts that decide which files a task processes."""


@app.command("test")
def try_file(
    script: Annotated[Path, typer.Argument(help="File with the script.")],
    path: Annotated[Path, typer.Argument(help="Folder (or file) to try it on.")],
    files: Annotated[int, typer.Option(help="Files to ask about.", min=1)] = FILES_DEFAULT,
    seconds: Annotated[float, typer.Option(help="Seconds to work.", min=0.1)] = SECONDS_DEFAULT,
    samples: Annotated[
        int, typer.Option(help="Files to show of each kind.", min=0)
    ] = SAMPLES_DEFAULT,
    config: Annotated[Path | None, typer.Option(help="TOML file with settings.")] = None,
) -> None:
    """Show what a script would decide about the files below a folder; nothing is moved.

    Paths are shown to the script from PATH on. Ends with 0, with 1 when the script failed on some
    files, with 2 when it is invalid, and with 3 when it could not be tried.
    """
    from longshore import bootstrap
    from longshore import config as configuration
    from longshore.callbacks import Bounds, SandboxUnavailable, try_script, validate
    from longshore.domain.errors import LongshoreError

    try:
        limits = bootstrap.callback_limits(configuration.load(file=config))
        text = script.read_text("utf-8")
        _require(limits, text)
        invalid = validate(text, limits=limits)
        if invalid is not None:
            typer.echo(f"{script}: {invalid}", err=True)
            raise typer.Exit(EXIT_INVALID)
        bounds = Bounds(files=files, seconds=seconds, samples=samples)
        trial = try_script(text, _files_below(path), limits=limits, bounds=bounds)
    except UnicodeDecodeError as error:
        typer.echo(f"{script}: the script is not UTF-8: {error.reason}", err=True)
        raise typer.Exit(EXIT_INVALID) from error
    except (OSError, LongshoreError, SandboxUnavailable) as error:
        typer.echo(f"longshore callback test: {error}", err=True)
        raise typer.Exit(EXIT_CANNOT) from error
    _show(trial)
    failed = trial.failed or trial.timed_out or trial.reason
    raise typer.Exit(EXIT_FAILED if failed else 0)


def _require(limits: Limits, text: str) -> None:
    """Return if this machine may run the script. Raises SandboxUnavailable."""
    from longshore.callbacks import SandboxUnavailable, self_test

    report = self_test(limits=limits)
    if not report.ok:
        raise SandboxUnavailable(report.refusal(text))


def _files_below(path: Path) -> Iterator[FileInfo | None]:
    """Files and symbolic links at the path and below; None for everything else.

    Raises StorageError when the path cannot be looked at.
    """
    from longshore import bootstrap
    from longshore.callbacks import file_info
    from longshore.domain.entry import EntryKind
    from longshore.domain.storage import StorageKind, StorageReference, folder_address
    from longshore.storage.walking import walk

    path = path.absolute()
    root, name = (
        (path, b"") if path.is_dir() else (path.parent, bytes(path)[len(bytes(path.parent)) :])
    )
    address = folder_address(StorageReference(StorageKind.NAS_SHARE, 0), str(root))
    with bootstrap.open_storage(address) as storage:
        for folder, entry in walk(
            storage, name.strip(b"/"), tell=lambda text: typer.echo(f"left out: {text}", err=True)
        ):
            movable = entry.kind in {EntryKind.FILE, EntryKind.SYMLINK}
            yield file_info(folder, entry) if movable else None


def _show(trial: Trial) -> None:
    for line in trial.output:
        typer.echo(f"printed: {line}")
    if trial.output_truncated:
        typer.echo("printed: … (more)")
    for word, samples in (
        ("accepted", trial.accepted_samples),
        ("refused", trial.refused_samples),
        ("failed", trial.failed_samples),
    ):
        for sample in samples:
            typer.echo(f"{word}: {_in_words(sample)}")
    counts = (
        f"{trial.accepted:,} accepted ({trial.accepted_bytes:,} bytes), {trial.refused:,} refused"
    )
    typer.echo(
        f"{trial.files:,} files: {counts}, {trial.failed:,} failed, {trial.timed_out:,} timed out"
    )
    if trial.seconds_per_file is not None:
        typer.echo(f"{trial.seconds_per_file * 1e6:,.2f} µs per file ({trial.language.value})")
    if trial.stopped is not None:
        typer.echo(_end_in_words(trial))


def _in_words(sample: Sample) -> str:
    from longshore.domain import paths

    text = f"{_printable(paths.to_text(sample.file.path))} ({sample.file.size:,} bytes)"
    if sample.failure is None:
        return text
    line = f" (line {sample.failure.line})" if sample.failure.line else ""
    return f"{text}: {sample.failure.text}{line}"


def _printable(text: str) -> str:
    """A name may hold anything, a terminal's commands included."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _end_in_words(trial: Trial) -> str:
    from longshore.callbacks import Stop

    if trial.stopped is Stop.CALLBACK:
        return f"given up: {trial.reason}"
    limit = "files" if trial.stopped is Stop.FILES else "seconds"
    return f"not all files were looked at: --{limit} is reached"
