"""The command line: `longshore serve`, `user`, `callback`, `demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from longshore import __version__
from longshore.cli import callbacks, manifest, users
from longshore.domain.errors import LongshoreError

app = typer.Typer(
    help="An archive and data-mover server.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(users.app, name="user")
app.command()(manifest.verify_manifest)
app.add_typer(callbacks.app, name="callback")

EXIT_CANNOT = 1  # what was asked for is not possible; the message says why


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"longshore {__version__}")
        raise typer.Exit


@app.callback()
def longshore(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """An archive and data-mover server."""


@app.command()
def serve(
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder of database, keys and sockets.")
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 = a free one.")] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file with settings.")] = None,
) -> None:
    """Run a complete server: api, controller and movers."""
    from longshore import bootstrap
    from longshore import config as configuration
    from longshore.cli import supervisor

    try:
        settings = configuration.load(
            file=config, flags={"data_dir": data_dir, "host": host, "port": port}
        )
        bootstrap.callback_limits(settings)  # refused here, before any process is started
        status = supervisor.serve(settings, announce=lambda line: print(line, flush=True))
    except LongshoreError as error:
        typer.echo(f"longshore serve: {error}", err=True)
        raise typer.Exit(EXIT_CANNOT) from error
    raise typer.Exit(status)


@app.command()
def demo() -> None:
    """Archive a real folder with a temporary server, and check every file."""
    from longshore.cli import demo as demonstration

    raise typer.Exit(demonstration.main())


def main() -> None:
    """The entry point of the `longshore` command."""
    app(prog_name="longshore")
