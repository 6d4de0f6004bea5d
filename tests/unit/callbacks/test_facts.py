"""How the facts about files travel to a worker: entries in, what scripts see out."""

from collections.abc import Collection
from datetime import datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as some

from longshore.callbacks import FileInfo
from longshore.callbacks.question import ALL_FACTS, CannotBeSent, Question, named_facts
from longshore.callbacks.worker.messages import Batch
from longshore.callbacks.worker.request import Timestamp, nodes

from .examples import file

MAXIMUM = 4 << 20
LATEST_NS = 2**64 - 1
"""The latest time that fits into a message."""

paths = some.binary(max_size=20) | some.text(max_size=10).map(
    lambda text: text.encode("utf-8", "surrogatepass")
)


def sent(question: Question, facts: Collection[str]) -> Batch:
    body = question.encoded(facts, group_files=512, bytes_maximum=MAXIMUM)
    return msgspec.msgpack.decode(body, type=Batch)


@given(some.lists(paths, min_size=1), paths)
def test_every_path_arrives_as_if_it_had_travelled_alone(found: list[bytes], above: bytes) -> None:
    question = Question(b"/%b/" % above, Question.of_files([file(path) for path in found]).entries)
    whole = [b"/%b/" % above + path for path in found]
    if len(found) > 1 and any(b"\0" in path for path in [above, *found]):
        with pytest.raises(CannotBeSent):
            sent(question, {"path"})
        return
    batch = sent(question, {"path"})
    for errors in ("surrogateescape", "replace"):
        assert batch.paths(errors) == [path.decode("utf-8", errors) for path in whole]
    assert [node.path for node in nodes(batch)] == batch.paths("surrogateescape")  # type: ignore[attr-defined]


@given(some.integers(-(2**63), LATEST_NS))
def test_a_time_is_exact_to_the_microsecond_below(total_ns: int) -> None:
    moment = Timestamp(total_ns).ToDatetime()
    epoch = datetime(1970, 1, 1)  # noqa: DTZ001 (naive, as the documentation says)
    assert moment == epoch + timedelta(microseconds=total_ns // 1000)
    assert Timestamp(total_ns).seconds * 10**9 + Timestamp(total_ns).nanos == total_ns


def test_only_the_facts_asked_for_travel() -> None:
    files = [file(b"/a", size=3, metadata={"k": "v"}), file(b"/b", size=4)]
    batch = sent(Question.of_files(files), {"size"})
    assert batch == Batch(2, 512, b"", None, {"size": [3, 4]}, None)
    batch = sent(Question.of_files(files), ALL_FACTS)
    assert batch.names == b"/a\0/b"
    assert batch.numbers.keys() == ALL_FACTS - {"path", "metadata"}
    assert batch.metadata == {0: {"k": "v"}}


@pytest.mark.parametrize(
    "odd",
    [
        file(mtime=10**12),
        file(metadata={"broken": "\udcff"}),
        file(metadata={"long": "x" * MAXIMUM}),
        file(b"/" + b"x" * MAXIMUM),
    ],
    ids=["time", "half a surrogate", "metadata", "path"],
)
def test_facts_that_fit_into_no_message_are_told(odd: FileInfo) -> None:
    with pytest.raises(CannotBeSent):
        sent(Question.of_files([odd]), ALL_FACTS)
    assert sent(Question.of_files([odd]), {"size"}).numbers == {"size": [0]}


@pytest.mark.parametrize(
    ("script", "facts"),
    [
        ("def run(req): return True", set[str]()),
        ("utils.get_node_info(req).size > 3", {"size"}),
        ("utils.getNodeInfo(req).getMtime().toDate() > x && info.getPath()", {"mtime", "path"}),
        ("info.getMetadataMap()", {"metadata"}),
        ("# mode, uid, gid, atime, ctime", {"mode", "uid", "gid", "atime", "ctime"}),
    ],
)
def test_a_script_names_the_facts_it_needs(script: str, facts: set[str]) -> None:
    assert named_facts(script) == facts
