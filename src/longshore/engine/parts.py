"""Recording what movers report of big files that several of them write at once.

    the file's item   COPY, begun ──> FINISH ──> taken out of the journal with its record
                                  READY: a mover can verify, publish, begin again or give up
                                  WAITING: it waits for its parts
    its parts         PART, each with the file's item as parent; as many as there may be workers

The file's item takes in what its parts have written, in the transaction that takes the part out of
the journal. While any part is left, nobody publishes the file, begins it again or gives it up: what
makes that necessary is noted with it, and all parts that no mover is at work on go at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from longshore.database import journal
from longshore.database.journal import NewWork, WorkItem, WorkState
from longshore.domain.errors import ErrorKind, FileFailure, Side, Stage
from longshore.engine.floor import Floor
from longshore.engine.returned import AfterCommit
from longshore.engine.run import Run
from longshore.pipeline.messages.plan import WorkKind
from longshore.pipeline.messages.replies import CopyReply, PartReply
from longshore.pipeline.messages.work import PackedWork
from longshore.pipeline.sharing import SharedFile


@dataclass(slots=True)
class Parts:
    """The files in parts of one execution, in one transaction."""

    floor: Floor
    connection: Connection
    run: Run

    # ------------------------------------------------------------------ the file's own item

    def returned(self, item: WorkItem, reply: CopyReply) -> AfterCommit | None:
        """The file was begun, followed, or cannot go on; None if its item is gone."""
        assert reply.shared is not None
        before = journal.read_work(self.connection, item.id)
        if before is None:
            return None
        begun = reply.remaining
        file = SharedFile.decode(begun.payload if begun is not None else before.payload)
        if reply.shared.failure is not None:
            file.fail(reply.shared.failure, again=reply.shared.again)
        followed = reply.shared.followed
        update = self._update(replace(before, attempts=0), file, followed=followed, is_back=True)

        def learn() -> None:
            self.run.came_back(item)
            update(reply.retry_after_seconds)
            self.run.followed[item.id] = followed
            self.run.bytes_copied += reply.bytes_copied

        return learn

    def died_on_file(self, item: WorkItem, text: str, maximum: int) -> AfterCommit | None:
        """A mover died on the file's own item; None if it is gone, or died on too often."""
        before = journal.read_work(self.connection, item.id)
        if before is None:
            return None
        file, attempts = SharedFile.decode(before.payload), before.attempts + 1
        if attempts >= maximum:
            if file.has_failed:
                return None
            file.fail(_death(text), again=False, attempts=attempts)
            attempts = 0
        before = replace(before, attempts=attempts)
        update = self._update(before, file, followed=0, is_back=True)

        def learn() -> None:
            self.run.came_back(item)
            self.run.followed.pop(item.id, None)
            update(0.0)

        return learn

    # ------------------------------------------------------------------ a part

    def part_returned(self, item: WorkItem, reply: PartReply, mover: int) -> AfterCommit | None:
        """A slice of a part is through; None if the part is gone."""
        file_item, file = self._file_of(item)
        if reply.remaining is not None and file is not None and not file.has_failed:
            return self._goes_on(item, reply, reply.remaining)
        if not journal.remove_work(self.connection, item.id):
            return None
        update = None
        if file_item is not None and file is not None:
            if reply.failure is not None:
                file.fail(reply.failure, again=reply.again, attempts=reply.attempts)
            elif reply.remaining is None:
                file.take_in(item.payload, reply.digests)
            followed = max(reply.followed, self.run.followed.get(file_item.id, 0))
            update = self._update(file_item, file, followed=followed)

        def learn() -> None:
            self.run.removed(item)
            self.run.bytes_copied += reply.bytes_copied
            if update is not None and file_item is not None:
                if reply.followed > self.run.followed.get(file_item.id, 0):
                    self.run.followed[file_item.id] = reply.followed
                    self.run.movers[file_item.id] = mover
                update(reply.retry_after_seconds)

        return learn

    def died_on_part(self, item: WorkItem, text: str, maximum: int) -> AfterCommit | None:
        """A mover died on a part: the file is guilty when that happens too often."""
        _, file = self._file_of(item)
        tried = replace(item, attempts=item.attempts + 1)
        if tried.attempts < maximum and file is not None and not file.has_failed:
            kept = journal.replace_work(self.connection, tried)
            return (lambda: self.run.returned(tried)) if kept else None
        # Of a file that has failed already it changes nothing what this part has died of.
        failed = PartReply([], None, 0, failure=_death(text), attempts=tried.attempts)
        return self.part_returned(item, failed, 0)

    # ------------------------------------------------------------------ inside

    def _file_of(self, part: WorkItem) -> tuple[WorkItem | None, SharedFile | None]:
        assert part.parent_id is not None
        found = journal.read_work(self.connection, part.parent_id)
        return (found, SharedFile.decode(found.payload)) if found is not None else (None, None)

    def _goes_on(self, item: WorkItem, reply: PartReply, rest: PackedWork) -> AfterCommit | None:
        left = replace(item, size=rest.size, payload=rest.payload, attempts=0)
        if not journal.replace_work(self.connection, left):
            return None

        def learn() -> None:
            self.run.returned(left)
            self.run.bytes_copied += reply.bytes_copied
            if reply.retry_after_seconds:
                self.run.not_before[left.id] = self.floor.monotonic() + reply.retry_after_seconds

        return learn

    def _add_parts(self, file_id: int, packed: list[PackedWork]) -> list[WorkItem]:
        new = [
            NewWork(
                kind=WorkKind.PART,
                files=each.files,
                size=each.size,
                payload=each.payload,
                parent_id=file_id,
            )
            for each in packed
        ]
        return journal.add_work(self.connection, self.run.execution_id, new)

    def _update(
        self, before: WorkItem, file: SharedFile, *, followed: int, is_back: bool = False
    ) -> Callable[[float], None]:
        """Write the file's item as it is now; what the run has to learn of that.

        `is_back`: it was with a mover until now, and the run does not count it any more.
        """
        removed: list[int] = []
        added: list[WorkItem] = []
        if file.has_failed:
            but = self.run.under_way
            removed = journal.remove_parts(self.connection, before.id, but=but)
        left = journal.parts_left(self.connection, before.id)
        if not file.has_failed and left < self.run.plan.workers:
            added = self._add_parts(before.id, file.give_out(self.run.plan.workers - left))
            left += len(added)
        ready = file.is_ready(left, followed, self.run.plan)
        after = replace(
            before,
            kind=WorkKind.FINISH,
            state=WorkState.READY if ready else WorkState.WAITING,
            payload=file.encode(),
        )
        journal.replace_work(self.connection, after)

        def learn(retry_after_seconds: float) -> None:
            self.run.forget_parts(removed)
            self.run.added(added)
            self.run.place(after, counted=before.state is WorkState.READY and not is_back)
            if retry_after_seconds and file.has_failed:
                self.run.not_before[after.id] = self.floor.monotonic() + retry_after_seconds

        return learn


def _death(text: str) -> FileFailure:
    return FileFailure(ErrorKind.MOVER_DIED, Stage.TRANSFER, Side.NONE, text)
