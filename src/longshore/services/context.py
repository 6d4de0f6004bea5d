"""Everything that use cases need from outside, passed in as one value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from longshore.callbacks import DEFAULT_LIMITS, Limits
from longshore.database.connection import Database
from longshore.database.task_pages import Totals
from longshore.domain.cloud import RemoteBucket
from longshore.domain.errors import ErrorKind, RetryClass, StorageUnavailable
from longshore.domain.storage import StorageAddress
from longshore.services.errands import Errands
from longshore.services.folder_memory import FolderMemory
from longshore.services.login_memory import LoginMemory
from longshore.services.places import Places
from longshore.services.principal import Principal
from longshore.storage.handler import StorageHandler

CALLBACK_TESTS_MAXIMUM = 2
"""Tests of callbacks at the same time: each keeps a processor and one of the api's threads busy."""


class ScriptFault(Protocol):
    """Why a callback script cannot be used; line and column count from 1."""

    @property
    def message(self) -> str: ...
    @property
    def line(self) -> int | None: ...
    @property
    def column(self) -> int | None: ...


class SecretBox(Protocol):
    """Encrypts what is stored, with a key that is not in the database."""

    def encrypt(self, plain: str) -> bytes: ...
    def decrypt(self, encrypted: bytes) -> str: ...


class TokenVerifier(Protocol):
    """Turns a signed token (JWT) into its user, or None where it does not verify."""

    def principal(self, token: str) -> Principal | None: ...


def no_clouds(backend: str, settings: Mapping[str, str]) -> list[RemoteBucket]:
    """For servers without object stores."""
    raise StorageUnavailable(
        ErrorKind.UNSUPPORTED, RetryClass.NEVER, "list buckets", b"", f"no backend {backend}"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The world as services see it.

    `clock` gives seconds since 1970, which may jump; `monotonic` is what durations are taken from.
    """

    database: Database
    clock: Callable[[], float]
    monotonic: Callable[[], float]
    wake: Callable[[], None]
    open_storage: Callable[[StorageAddress], StorageHandler]
    validate_script: Callable[[str], ScriptFault | None]
    data_dir: Path
    containers_folder: Path
    list_buckets: Callable[[str, Mapping[str, str]], list[RemoteBucket]] = no_clouds
    secrets: SecretBox | None = None
    tokens: TokenVerifier | None = None
    cors_origins: tuple[str, ...] = ()
    logins: LoginMemory = field(default_factory=LoginMemory)
    folders: FolderMemory = field(default_factory=FolderMemory)
    task_totals: Totals = field(default_factory=Totals)
    errands: Errands = field(default_factory=Errands)
    callback_limits: Limits = DEFAULT_LIMITS
    callback_tests: Places = field(default_factory=lambda: Places(CALLBACK_TESTS_MAXIMUM))

    def now(self) -> int:
        """Whole seconds since 1970."""
        return int(self.clock())
