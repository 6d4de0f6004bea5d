"""Longshore: an archive and data-mover server."""

__version__ = "0.1.0"
