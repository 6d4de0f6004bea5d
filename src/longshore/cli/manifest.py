"""`longshore verify-manifest`: is the manifest whole, and is the destination as it says?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

EXIT_DIFFERENT = 1
EXIT_UNREADABLE = 2


def verify_manifest(
    file: Annotated[Path, typer.Argument(help="The report of an execution, in any format.")],
    root: Annotated[
        Path | None, typer.Option(help="Read the files below this folder, the destination's root.")
    ] = None,
    destination: Annotated[
        int | None, typer.Option(help="Which destination lies there, where there are several.")
    ] = None,
    sha256: Annotated[
        str | None, typer.Option(help="The seal that the manifest has to have, kept elsewhere.")
    ] = None,
) -> None:
    """Check a manifest offline: exit status 0 if all is as written, 1 if not, 2 if unreadable."""
    from longshore.cli.manifest_check import Check
    from longshore.domain.manifest import InvalidManifest

    if root is not None and not root.is_dir():
        _refuse(f"{root} is no folder")
    check, problems = Check(file, root, destination), 0
    try:
        for problem in check.run():
            problems += 1
            _say(problem)
    except (InvalidManifest, OSError) as error:
        _refuse(f"{file}: {error}")
    assert check.summary is not None
    assert check.header is not None
    if sha256 is not None and check.summary.sha256 != sha256.lower():
        problems += 1
        _say(f"the seal is {check.summary.sha256 or 'missing'} instead of {sha256}")
    read = f", {check.files_read} files read" if root is not None else ""
    open_end = "" if check.header.final else ", of an execution that was not over"
    verdict = "all as written" if not problems else f"{problems} problems"
    _say(f"{file}: {check.summary.records} records{read}{open_end}: {verdict}")
    if not problems:
        _say(f"seal {check.summary.sha256}")
    raise typer.Exit(EXIT_DIFFERENT if problems else 0)


def _say(text: str) -> None:
    """Print, whatever a changed manifest may hold."""
    typer.echo("".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text))


def _refuse(text: str) -> None:
    typer.echo(f"longshore verify-manifest: {text}", err=True)
    raise typer.Exit(EXIT_UNREADABLE)
