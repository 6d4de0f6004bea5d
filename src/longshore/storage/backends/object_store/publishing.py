"""Giving staged files of one folder their final names: what may stand there, and what not."""

from __future__ import annotations

import threading
from typing import Final

from longshore.domain import paths
from longshore.domain.errors import ErrorKind, RetryClass, StorageError
from longshore.storage.backends.object_store.keys import SEPARATOR
from longshore.storage.backends.object_store.store import Store
from longshore.storage.backends.posix_names import check_name
from longshore.storage.handler import StagedFile

NAMES_LOOKED_AT: Final = 1000
"""Of a folder, to know its sub-folders: one request. In a bigger one each new name is looked up."""


class Publishing:
    """What a folder knows for its staged files."""

    def __init__(self, store: Store, folder_key: str, path: bytes) -> None:
        self._store = store
        self.folder_key = folder_key
        self.path = path
        self._folders: set[str] | None = None  # all there are; None: not known, or too many
        self._has_asked = False
        self._names_prepared = 0
        self._looking = threading.Lock()

    def learn(self) -> bool:
        """Ask for all sub-folders; whether they are known now. Raises StorageError."""
        with self._looking:
            if not self._has_asked:
                self._has_asked = True
                self._folders = self._sub_folders()
            return self._folders is not None

    def free_key(self, name: bytes) -> str | None:
        """The key for a name, if it is known without asking that no folder has it."""
        try:
            key = self.key(name, "publish")
        except StorageError:
            return None
        folders = self._folders
        return None if folders is None or key + SEPARATOR in folders else key

    def key(self, name: bytes, deed: str) -> str:
        """The key for a name. Raises kind `name_invalid`."""
        check_name(name, deed)
        if len(name) > self._store.name_bytes_maximum:
            cause = f"a name has at most {self._store.name_bytes_maximum} bytes"
            raise self._refusal(ErrorKind.NAME_INVALID, deed, name, cause)
        return self._store.key(self.folder_key, name, deed)

    def prepare(self, name: bytes, *, replace: bool, looks: bool) -> str:
        """The key for a name that may be published now. Raises `exists`, `is_a_folder`.

        With `looks` this is where an existing object is found that is not to be replaced; one that
        appears between this look and the writing is.
        """
        key = self.key(name, "publish")
        if self._is_folder(key + SEPARATOR):
            kind = ErrorKind.IS_A_FOLDER if replace else ErrorKind.EXISTS
            raise self._refusal(kind, "publish", name, "a folder has this name")
        if looks and not replace and self._store.is_object(key):
            raise self._refusal(ErrorKind.EXISTS, "publish", name, "it exists")
        return key

    def hold(self, name: bytes, staged: StagedFile) -> None:
        """The staged file bears the name now; an earlier one has lost it."""
        self.drop(name)
        self._store.held[self.folder_key, name] = staged

    def held(self, name: bytes) -> StagedFile | None:
        """The staged file of that name that is in memory."""
        return self._store.held.get((self.folder_key, name))

    def held_names(self) -> list[bytes]:
        """The names of all staged files in memory."""
        return [
            name for folder_key, name in list(self._store.held) if folder_key == self.folder_key
        ]

    def forget(self, name: bytes, staged: StagedFile) -> None:
        """The staged file has ended, whoever has its name by now."""
        if self.held(name) is staged:
            del self._store.held[self.folder_key, name]

    def drop(self, name: bytes) -> bool:
        """End the staged file of that name in memory, if there is one."""
        staged = self.held(name)
        if staged is not None:
            staged.abort()
        return staged is not None

    def note_folder(self, folder_key: str) -> None:
        """A sub-folder was made."""
        if self._folders is not None:
            self._folders.add(folder_key)

    def _is_folder(self, folder_key: str) -> bool:
        with self._looking:
            self._names_prepared += 1
            # A single file asks for its own name: a listing may cost the store more.
            if self._names_prepared == 2 and not self._has_asked:
                self._has_asked = True
                self._folders = self._sub_folders()
        if self._folders is not None:
            return folder_key in self._folders
        return self._store.shows_folder(folder_key)

    def _sub_folders(self) -> set[str] | None:
        """All sub-folders, if the folder is small enough to say so with one answer."""
        pages = list(
            self._store.client.pages(self.folder_key, delimiter=SEPARATOR, limit=NAMES_LOOKED_AT)
        )
        names = sum(len(page.objects) + len(page.prefixes) for page in pages)
        if names >= NAMES_LOOKED_AT:
            return None
        return {prefix for page in pages for prefix in page.prefixes}

    def _refusal(self, kind: ErrorKind, deed: str, name: bytes, cause: str) -> StorageError:
        return StorageError(kind, RetryClass.NEVER, deed, paths.join(self.path, name), cause)
