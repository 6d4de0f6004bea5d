"""Secrets at rest: encrypted with a key that lies beside the database, readable for the owner only.

The key file holds one Fernet key per line. The first one encrypts; all of them decrypt, so that a
new key can be put in front without touching what is stored.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from longshore.domain.errors import LongshoreError

KEY_FILE = "secret.key"


class SecretUnreadable(LongshoreError):
    """The key file is unusable, or a stored secret was encrypted with another key."""


class SecretBox:
    """Encrypts and decrypts short secrets. Safe to use from several threads."""

    def __init__(self, keys: list[bytes]) -> None:
        try:
            self._fernet = MultiFernet([Fernet(key) for key in keys])
        except ValueError as error:
            raise SecretUnreadable(f"the key file {KEY_FILE} is not usable: {error}") from error

    def encrypt(self, secret: str) -> bytes:
        """What may be stored. The same secret gives another text every time."""
        return self._fernet.encrypt(secret.encode("utf-8"))

    def decrypt(self, stored: bytes) -> str:
        """The secret. Raises SecretUnreadable when it belongs to another key."""
        try:
            return self._fernet.decrypt(stored).decode("utf-8")
        except InvalidToken as error:
            raise SecretUnreadable(
                f"a stored secret cannot be decrypted with the key in {KEY_FILE}"
            ) from error


def open_secret_box(data_dir: Path) -> SecretBox:
    """The box of this data directory; its key file is made when missing, with mode 0600."""
    path = data_dir / KEY_FILE
    if not path.exists():
        write_private_file(path, Fernet.generate_key() + b"\n", replace=False)
    return SecretBox(path.read_bytes().split())


def write_private_file(path: Path, content: bytes, *, replace: bool) -> None:
    """A file of mode 0600 that is whole and durable once it has its name.

    Without `replace` a file that somebody else made meanwhile stays as it is.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    if replace:
        os.replace(temporary, path)
    else:
        with suppress(FileExistsError):
            os.link(temporary, path)
        os.unlink(temporary)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
