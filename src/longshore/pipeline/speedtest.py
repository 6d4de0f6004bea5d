"""Measuring a storage: a test file is written, made durable, read back and removed."""

from __future__ import annotations

import random

import msgspec

from longshore.domain.errors import (
    ErrorKind,
    RetryClass,
    Side,
    Stage,
    StorageError,
    StorageUnavailable,
)
from longshore.pipeline.messages.replies import Lost, SpeedReply
from longshore.pipeline.messages.work import SpeedWork
from longshore.pipeline.toolbox import Toolbox, failure_of
from longshore.storage.handler import (
    TEMPORARY_PREFIX,
    Folder,
    SourceFile,
    StagedFile,
    StorageHandler,
)

TEST_FILE_BYTES = 64 * 1024 * 1024

_decoder = msgspec.msgpack.Decoder(SpeedWork)


def run(payload: bytes, toolbox: Toolbox) -> SpeedReply:
    """Measure the storage once, with content that no storage can compress."""
    work = _decoder.decode(payload)
    handlers = toolbox.sources if work.side is Side.SOURCE else toolbox.destinations
    handler = handlers[work.index]
    try:
        with handler.open_folder(b"") as folder:
            return _measure(handler, folder, work.size, toolbox)
    except StorageUnavailable as error:
        failure = failure_of(error, Stage.TRANSFER, work.side)
        return SpeedReply(failure=failure, lost=Lost(work.side, failure))
    except StorageError as error:
        return SpeedReply(failure=failure_of(error, Stage.TRANSFER, work.side))


def _measure(handler: StorageHandler, folder: Folder, size: int, toolbox: Toolbox) -> SpeedReply:
    content = random.Random(toolbox.work_id).randbytes(len(toolbox.buffer))
    name = TEMPORARY_PREFIX + b"%x-speedtest" % toolbox.plan.execution_id
    begun = toolbox.monotonic()
    file = folder.stage(name, size=size)
    try:
        for offset in range(0, size, len(content)):
            file.write(memoryview(content)[: size - offset], offset)
        if handler.capabilities.confirms_content:
            _read_published(folder, file, size, toolbox)
        else:
            handler.make_durable()
            _read(file, size, toolbox)
    finally:
        file.abort()
    return SpeedReply(size=2 * size, seconds=max(toolbox.monotonic() - begun, 1e-6))


def _read_published(folder: Folder, file: StagedFile, size: int, toolbox: Toolbox) -> None:
    """For storages that do not give back what is staged: the test file is there for a moment."""
    name = b"longshore-speedtest-%x" % toolbox.plan.execution_id
    file.commit(name, replace=True)
    try:
        with folder.open(name) as reader:
            _read(reader, size, toolbox)
    finally:
        folder.remove(name)


def _read(file: SourceFile | StagedFile, size: int, toolbox: Toolbox) -> None:
    offset = 0
    while count := file.read_into(toolbox.buffer, offset):
        offset += count
    if offset != size:
        cause = f"{offset} of {size} bytes"
        raise StorageError(ErrorKind.SHORT_READ, RetryClass.LATER, "read back", b"", cause)
