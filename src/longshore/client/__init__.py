"""A small typed client of the REST API.

with Client("http://127.0.0.1:8080", "admin", password) as client:
    task = client.add_task(name="archive", workflow_type="offline_archive", ...)
"""

from longshore.client.connection import Client
from longshore.client.errors import (
    ActionFailed,
    ClientError,
    NoProgress,
    Refused,
    UnexpectedAnswer,
    Unreachable,
)
from longshore.client.values import (
    CatalogueFile,
    Execution,
    ExecutionFile,
    FileError,
    Job,
    Nas,
    NasShare,
    Part,
    Pool,
    Task,
)

__all__ = [
    "ActionFailed", "CatalogueFile", "Client", "ClientError", "Execution", "ExecutionFile",
    "FileError", "Job", "Nas", "NasShare", "NoProgress", "Part", "Pool", "Refused", "Task",
    "UnexpectedAnswer", "Unreachable",
]  # fmt: skip
