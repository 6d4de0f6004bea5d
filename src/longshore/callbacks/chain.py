"""Several callbacks of one task: asked in the order of their ids, and all must accept."""

from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Self

from .errors import CallbackGaveUp
from .filter import CallbackFilter
from .limits import DEFAULT_LIMITS, Limits
from .values import Answer, ChainDecisions, Decisions, FileInfo, ScriptFailure, Usage


class FilterChain:
    """The callbacks of one task as one filter; each keeps its own worker and its own budgets.

    A file that one callback refuses or fails on is not put to the later ones. Without any callback
    every file is accepted.
    """

    def __init__(
        self,
        callbacks: Iterable[tuple[int, str]],
        *,
        task_id: int,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self._filters = {
            callback_id: CallbackFilter(script, task_id=task_id, limits=limits)
            for callback_id, script in sorted(callbacks)
        }

    @property
    def usage(self) -> dict[int, Usage]:
        """What each callback, by its id, has used up so far."""
        return {callback_id: each.usage for callback_id, each in self._filters.items()}

    def decide(self, files: Sequence[FileInfo]) -> ChainDecisions:
        """Return the common answers; raises like CallbackFilter.decide(), plus the id."""
        answers = bytearray((Answer.ACCEPTED,)) * len(files)
        failures: dict[int, ScriptFailure] = {}
        decided_by: dict[int, int] = {}
        log_lines: list[str] = []
        log_truncated = False
        open_indexes: Sequence[int] = range(len(files))
        for callback_id, each in self._filters.items():
            asked = files if len(open_indexes) == len(files) else [files[i] for i in open_indexes]
            decisions = _decide(callback_id, each, asked)
            accepted: list[int] = []
            for index, answer in zip(open_indexes, decisions.answers, strict=True):
                if answer == Answer.ACCEPTED:
                    accepted.append(index)
                else:
                    answers[index] = answer
                    decided_by[index] = callback_id
            failures |= {open_indexes[i]: why for i, why in decisions.failures.items()}
            log_lines += decisions.log_lines
            log_truncated = log_truncated or decisions.log_truncated
            open_indexes = accepted
        return ChainDecisions(
            answers=bytes(answers),
            failures=failures,
            log_lines=tuple(log_lines),
            log_truncated=log_truncated,
            decided_by=decided_by,
        )

    def close(self) -> None:
        """End all workers."""
        for each in self._filters.values():
            each.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _decide(callback_id: int, each: CallbackFilter, files: Sequence[FileInfo]) -> Decisions:
    try:
        return each.decide(files)
    except CallbackGaveUp as error:
        reason = f"callback {callback_id}: {error.reason}"
        raise CallbackGaveUp(reason, callback_id=callback_id) from error
