"""Giving staged files their final names, by the conflict rule."""

from __future__ import annotations

from longshore import faults
from longshore.domain import paths
from longshore.domain.checksum import ChecksumKind
from longshore.domain.entry import EntryKind
from longshore.domain.errors import (
    ErrorKind,
    RetryClass,
    Side,
    Stage,
    StorageError,
    StorageUnavailable,
)
from longshore.domain.outcome import Outcome
from longshore.pipeline.messages.work import CopyMode
from longshore.pipeline.planning import by_rule, identical, replaces
from longshore.pipeline.published import OUTCOMES, final_names, hash_file, look, told_md5
from longshore.pipeline.toolbox import Toolbox, failure_of, may_try_again
from longshore.pipeline.transfer import Again, Finished, Staged


def publish_or_again(staged: Staged, toolbox: Toolbox) -> Finished | Again:
    """As `publish`, with errors that may pass as a value."""
    try:
        return publish(staged, toolbox)
    except StorageUnavailable:
        raise
    except StorageError as error:
        return Again(failure_of(error, Stage.PUBLISH, Side.DESTINATION))


def publish(staged: Staged, toolbox: Toolbox) -> Finished:
    """Publish one staged file; on failure the staged file is removed.

    Errors that may pass are raised: the publication may even have happened.
    """
    try:
        finished = _publish(staged, toolbox)
        faults.at("mover.published")
        return finished
    except StorageUnavailable:
        raise
    except StorageError as error:
        staged.file.abort()
        if may_try_again(error):
            raise
        failure = failure_of(error, Stage.PUBLISH, Side.DESTINATION)
        return Finished(entry=staged.written.entry, outcome=Outcome.FAILED, failure=failure)


def _publish(staged: Staged, toolbox: Toolbox) -> Finished:
    mode = staged.mode
    if mode is CopyMode.NEW and _need_not_look(staged, toolbox):
        staged.file.commit(staged.planned.target_name, replace=True)
        return _finished(staged, mode, staged.planned.target_name, toolbox)
    if mode is CopyMode.NEW and not _try_to_commit(staged, staged.planned.target_name):
        # Something has appeared there since the plan was made, or it could not be listed then.
        if _stands_already(staged, toolbox):
            staged.file.abort()
            return _finished(staged, mode, staged.planned.target_name, toolbox, Outcome.IDENTICAL)
        decided = by_rule(toolbox.plan.conflict)
        if isinstance(decided, Outcome):
            staged.file.abort()
            return Finished(entry=staged.written.entry, outcome=decided)
        mode = decided
    elif mode is CopyMode.NEW:
        return _finished(staged, mode, staged.planned.target_name, toolbox)
    if mode is CopyMode.OVERWRITE:
        staged.file.commit(staged.planned.target_name, replace=True)
        return _finished(staged, mode, staged.planned.target_name, toolbox)
    for name in final_names(staged.planned.target_name, CopyMode.RENAME):
        if _try_to_commit(staged, name):
            return _finished(staged, mode, name, toolbox)
    raise StorageError(
        ErrorKind.EXISTS,
        RetryClass.NEVER,
        "publish",
        paths.join(staged.target.path, staged.planned.target_name),
        "every other name for it is taken",
    )


def _need_not_look(staged: Staged, toolbox: Toolbox) -> bool:
    """Whether a file that has appeared since the plan was made is replaced without a word.

    Where no name can be taken by an atomic step, looking for it costs a request and still misses
    what appears right after. A task that overwrites anyhow does without.
    """
    destination = toolbox.destination_of(staged.group.source)
    return not destination.capabilities.exclusive_create and replaces(staged.mode, toolbox.plan)


def _stands_already(staged: Staged, toolbox: Toolbox) -> bool:
    """Whether the very same file is in the way: as such it is never doubled by a rule."""
    name, entry = staged.planned.target_name, staged.written.entry
    standing = look(staged.target, name)
    resolution = toolbox.resolution_of(staged.group.source)
    if standing is None or not identical(entry, standing, resolution):
        return False
    if entry.kind is EntryKind.SYMLINK:
        return True
    told, own = told_md5(staged.target, name, toolbox), staged.file.content_md5()
    if told and own:
        return told == own  # also of what lies in an archive
    with staged.target.open(name) as file:
        return hash_file(file, toolbox).xxh3_128() == staged.written.xxh3_128


def _try_to_commit(staged: Staged, name: bytes) -> bool:
    """Publish under a free name; False when it is taken."""
    try:
        staged.file.commit(name, replace=False)
    except StorageError as error:
        if error.kind is ErrorKind.EXISTS:
            return False
        raise
    return True


def _finished(
    staged: Staged,
    mode: CopyMode,
    name: bytes,
    toolbox: Toolbox,
    outcome: Outcome | None = None,
) -> Finished:
    return Finished(
        entry=staged.written.entry,
        outcome=outcome or OUTCOMES[mode],
        target_name=name,
        xxh3_128=staged.written.xxh3_128,
        checksum=_checksum(staged, toolbox),
        lost=staged.written.lost,
    )


def _checksum(staged: Staged, toolbox: Toolbox) -> bytes:
    """The checksum that the task asks for; where it asks for none, the storage's own."""
    if toolbox.plan.checksum is not ChecksumKind.NONE:
        return staged.written.checksum
    return staged.written.checksum or staged.file.content_md5()
