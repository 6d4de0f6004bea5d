"""What a Python script is given for one file: the request, its file's facts, its times."""

import functools
import sys
import types
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, ClassVar, Final, cast

import msgspec

from .frames import leave_for_want_of_facts
from .messages import FACTS, TIMES, Batch

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC).replace(tzinfo=None)
_MICROSECOND: Final = timedelta(microseconds=1)
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
        # A product is a third quicker than a timedelta made of numbers.
        moment = _EPOCH + _MICROSECOND * (self._total // 1000)
        return moment if tzinfo is None else moment.replace(tzinfo=UTC).astimezone(tzinfo)

    def __repr__(self) -> str:
        return f"Timestamp(seconds={self.seconds}, nanos={self.nanos})"


class NodeInfo(msgspec.Struct, frozen=True, eq=False, gc=False):
    """The facts about one file that were sent, each a field; see `nodes`.

    A fact that was not sent is a property that ends the worker.
    """


class Request(msgspec.Struct, eq=False, gc=False):
    """One question to the script. `id` is the task's and the same for every file of a worker.

    A fresh one for every file, so that a script which remembers requests never mixes up two files.
    """

    _node: NodeInfo
    id: ClassVar[int] = 0


def nodes(batch: Batch) -> list[NodeInfo]:
    """The files of the batch, with the facts that were sent."""
    columns: dict[str, list[Any]] = {}
    if (paths := batch.paths("surrogateescape")) is not None:
        columns["path"] = paths
    for name, numbers in batch.numbers.items():
        columns[name] = list(map(Timestamp, numbers)) if name in TIMES else numbers
    if batch.metadata is not None:
        columns["metadata"] = [batch.metadata.get(index, {}) for index in range(batch.files)]
    kind = _kind_with(tuple(columns))
    return list(map(kind, *columns.values())) if columns else [kind() for _ in range(batch.files)]


@functools.cache
def _kind_with(facts: tuple[str, ...]) -> type[NodeInfo]:
    """A NodeInfo with these facts as its fields: made and read without a line of Python."""
    kind = msgspec.defstruct(
        "NodeInfo",
        [(fact, object) for fact in facts],
        bases=(NodeInfo,),
        namespace={fact: _MISSING for fact in FACTS if fact not in facts},
        frozen=True,
        eq=False,
        gc=False,
    )
    return cast("type[NodeInfo]", kind)


_MISSING: Final = property(lambda _: leave_for_want_of_facts())


def get_node_info(req: Request) -> NodeInfo:
    """Return the facts about the file that this request asks about."""
    return req._node


def utils_module() -> types.ModuleType:
    """Return the module that scripts import as `utils`, ready to be found."""
    module: Any = types.ModuleType("utils", "What Longshore offers to callbacks.")
    module.get_node_info = get_node_info
    sys.modules["utils"] = module
    return module  # type: ignore[no-any-return]
