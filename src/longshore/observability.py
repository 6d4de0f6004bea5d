"""Logs of every process: one JSON object a line on standard error, readable text on a terminal."""

from __future__ import annotations

import logging
import sys

import structlog


def configure_logging(level: str, *, process: str) -> None:
    """Set up the logs of this process; every line carries the process's name."""
    renderer: structlog.typing.Processor = (
        # The plain form, because the rich one prints local variables, which may be secrets.
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        if sys.stderr.isatty()
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(process=process)


def logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """A logger whose lines carry the name of the part they come from."""
    return structlog.get_logger(part=name)  # type: ignore[no-any-return]
