"""Looking at the names in a pool or container, through its storages."""

from __future__ import annotations

from dataclasses import dataclass

from longshore.database.containers import Container
from longshore.database.nas import NasShare
from longshore.domain.entry import Entry
from longshore.domain.errors import ErrorKind, StorageError, StorageUnavailable
from longshore.domain.storage import (
    MOUNT_POINT_OPTION,
    POSIX_BACKEND,
    StorageAddress,
    StorageKind,
    StorageReference,
    folder_address,
    parse_share_options,
)
from longshore.services.context import Context
from longshore.services.errands import TooBusy

NETWORK_SECONDS = 10.0  # for a look at an object store: one request for each folder of the path


@dataclass(frozen=True, slots=True)
class Looked:
    """What is at a path: the entries from the root down to it, or why nobody knows."""

    chain: list[Entry] | None
    reason: str = ""


def share_addresses(shares: list[NasShare]) -> list[StorageAddress]:
    """How to reach the shares that have a mount point."""
    found = []
    for share in shares:
        folder = parse_share_options(share.options).get(MOUNT_POINT_OPTION)
        if folder:
            found.append(folder_address(StorageReference(StorageKind.NAS_SHARE, share.id), folder))
    return found


def container_address(context: Context, container: Container) -> StorageAddress:
    """How to reach the container's folder."""
    folder = context.containers_folder / container.folder
    return folder_address(StorageReference(StorageKind.CONTAINER, container.id), str(folder))


def look(context: Context, addresses: list[StorageAddress], names: list[bytes]) -> Looked:
    """What the first storage that has the path says about it; symbolic links are not followed."""
    reason = "no storage of it can be reached"
    for address in addresses:
        try:
            return Looked(_looked(context, address, names))
        except (TimeoutError, TooBusy):
            reason = f"a storage of it does not answer in {NETWORK_SECONDS:g} s"
        except (StorageUnavailable, ValueError) as error:  # the second: keys that cannot be any
            reason = str(error)
        except StorageError as error:
            reason = str(error) if error.kind is not ErrorKind.NOT_FOUND else "it does not exist"
    return Looked(None, reason)


def _looked(context: Context, address: StorageAddress, names: list[bytes]) -> list[Entry]:
    """What is at the path. Raises StorageError, and TimeoutError or TooBusy over a network."""
    if address.backend == POSIX_BACKEND:
        return _chain(context, address, names)
    return context.errands.ask(lambda: _chain(context, address, names), seconds=NETWORK_SECONDS)


def _chain(context: Context, address: StorageAddress, names: list[bytes]) -> list[Entry]:
    chain = []
    with context.open_storage(address) as storage:
        for depth, name in enumerate(names):
            with storage.open_folder(b"/".join(names[:depth])) as folder:
                chain.append(folder.stat(name))
    return chain
