"""Several callbacks of one task: asked in the order of their ids, and all must accept."""

from collections.abc import Iterable, Sequence
from itertools import compress
from types import TracebackType
from typing import Self

from longshore.domain.entry import Entry

from .errors import CallbackGaveUp
from .filter import CallbackFilter
from .limits import DEFAULT_LIMITS, Limits
from .question import Question
from .values import Answer, ChainDecisions, Decisions, FileInfo, ScriptFailure, Usage

# One or zero for every answer code: no line of Python is run for each of a hundred million files.
_IS_ACCEPTED = bytes(code == Answer.ACCEPTED for code in range(256))
_ACCEPTED = bytes((Answer.ACCEPTED,))
_NOT_ACCEPTED = bytes(code != Answer.ACCEPTED for code in range(256))


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

    @property
    def worker_pids(self) -> dict[int, int | None]:
        """The process number of each callback's worker, None while it has none."""
        return {callback_id: each.worker_pid for callback_id, each in self._filters.items()}

    def decide(self, files: Sequence[FileInfo]) -> ChainDecisions:
        """Return the common answers; raises like CallbackFilter.decide(), plus the id."""
        return self._answer(Question.of_files(files))

    def decide_folder(self, folder: bytes, entries: Sequence[Entry]) -> ChainDecisions:
        """As decide(), of entries of one folder of a storage."""
        return self._answer(Question.of_folder(folder, entries))

    def _answer(self, question: Question) -> ChainDecisions:
        answers = bytearray((Answer.ACCEPTED,)) * len(question)
        failures: dict[int, ScriptFailure] = {}
        decided_by: dict[int, int] = {}
        log_lines: list[str] = []
        log_truncated = False
        last = next(reversed(self._filters.values()), None)
        open_indexes: Sequence[int] = range(len(question))
        for callback_id, each in self._filters.items():
            decisions = _answer(callback_id, each, question.selection(open_indexes))
            codes = decisions.answers
            others = list(compress(open_indexes, codes.translate(_NOT_ACCEPTED)))
            decided_by |= dict.fromkeys(others, callback_id)
            for index, code in zip(others, codes.translate(None, _ACCEPTED), strict=True):
                answers[index] = code
            failures |= {open_indexes[i]: why for i, why in decisions.failures.items()}
            log_lines += decisions.log_lines
            log_truncated = log_truncated or decisions.log_truncated
            if each is not last:
                open_indexes = list(compress(open_indexes, codes.translate(_IS_ACCEPTED)))
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


def _answer(callback_id: int, each: CallbackFilter, question: Question) -> Decisions:
    try:
        return each.answer(question)
    except CallbackGaveUp as error:
        reason = f"callback {callback_id}: {error.reason}"
        raise CallbackGaveUp(reason, callback_id=callback_id) from error
