"""What a Python script is given for one file: the request, its file's facts, its times."""

import sys
import types
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, ClassVar, Final

import msgspec

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC).replace(tzinfo=None)
_NANOSECONDS: Final = 1_000_000_000


class Timestamp(msgspec.Struct, frozen=True, order=True, gc=False):
    """A point in time with nanoseconds, shaped like the protocol buffer type of the same name."""

    _total: int

    @property
    def seconds(self) -> int:
        """Whole seconds since 1970, rounded down."""
        return self._total // _NANOSECONDS

    @property
    def nanos(self) -> int:
        """The nanoseconds within the second, never negative."""
        return self._total % _NANOSECONDS

    def ToDatetime(self, tzinfo: tzinfo | None = None) -> datetime:  # noqa: N802 (documented name)
        """Return a naive datetime in UTC, or an aware one in the time zone asked for."""
        moment = _EPOCH + timedelta(0, 0, self._total // 1000)
        return moment if tzinfo is None else moment.replace(tzinfo=UTC).astimezone(tzinfo)

    def __repr__(self) -> str:
        return f"Timestamp(seconds={self.seconds}, nanos={self.nanos})"


class NodeInfo(msgspec.Struct, array_like=True, gc=False):
    """The facts about one file: the first fields of `longshore.domain.entry.Entry`, in its order.

    The last two arrive as numbers that are of no use to a script. Their places take what the batch
    says about its files once, so that a remembered file stays the same in later batches.
    """

    _name: bytes
    _kind: int
    size: int
    mode: int
    uid: int
    gid: int
    mtime_ns: int
    atime_ns: int
    ctime_ns: int
    _prefix: bytes | int
    _metadata: dict[str, str] | int

    @property
    def path_bytes(self) -> bytes:
        """The full path as the storage has it."""
        assert isinstance(self._prefix, bytes)
        return self._prefix + self._name

    @property
    def path(self) -> str:
        """The full path; bytes that are not UTF-8 appear as surrogates, as `os.fsdecode` does."""
        return self.path_bytes.decode("utf-8", "surrogateescape")

    @property
    def metadata(self) -> dict[str, str]:
        """The storage's metadata of the file, by key."""
        return self._metadata if isinstance(self._metadata, dict) else {}

    @property
    def atime(self) -> Timestamp:
        """When the file was last read."""
        return Timestamp(self.atime_ns)

    @property
    def mtime(self) -> Timestamp:
        """When the content was last changed."""
        return Timestamp(self.mtime_ns)

    @property
    def ctime(self) -> Timestamp:
        """When the content or the attributes were last changed."""
        return Timestamp(self.ctime_ns)


class Batch(msgspec.Struct, array_like=True):
    """The body of a BATCH frame: files of which the answers to so many at most leave together."""

    group_files: int
    prefix: bytes  # of all paths
    nodes: list[NodeInfo]
    metadata: dict[int, dict[str, str]]  # by index, of the files that have any

    def complete(self) -> list[NodeInfo]:
        """The files with their metadata; `_prefix` is still to be set."""
        for index, metadata in self.metadata.items():
            self.nodes[index]._metadata = metadata
        return self.nodes


class Request(msgspec.Struct, eq=False, gc=False):
    """One question to the script. `id` is the task's and the same for every file of a worker.

    A fresh one for every file, so that a script which remembers requests never mixes up two files.
    """

    _node: NodeInfo
    id: ClassVar[int] = 0


def get_node_info(req: Request) -> NodeInfo:
    """Return the facts about the file that this request asks about."""
    return req._node


def utils_module() -> types.ModuleType:
    """Return the module that scripts import as `utils`, ready to be found."""
    module: Any = types.ModuleType("utils", "What Longshore offers to callbacks.")
    module.get_node_info = get_node_info
    sys.modules["utils"] = module
    return module  # type: ignore[no-any-return]
