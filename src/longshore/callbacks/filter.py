"""One script of one task in one mover: its worker, its budgets, and the hunt for a guilty file.

decide(files), decide_folder(folder, entries)
  └─ groups of at most 1,000 files, each one question
       worker lost -> new worker, the rest again with one file per answer
                        lost again -> that file is guilty: it fails, the others go on
"""

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from longshore.domain.entry import Entry

from .conversation import Collected, Conversation, InvalidScriptFound, violation
from .errors import CallbackGaveUp, WorkerLost
from .language import language_of
from .limits import DEFAULT_LIMITS, Limits
from .question import ALL_FACTS, CannotBeSent, Question, named_facts
from .starting import with_live_worker
from .values import Answer, Decisions, FileInfo, Usage


class CallbackFilter:
    """Puts files to one script and returns its answers; not for several threads at once.

    The worker starts with the first decide(), is replaced when it is lost, and is never shared. The
    thread that calls decide() has to live as long as the filter is in use. After CallbackGaveUp
    every further decide() raises the same again.
    """

    def __init__(self, script: str, *, task_id: int, limits: Limits = DEFAULT_LIMITS) -> None:
        self._script, self._task_id, self._limits = script, task_id, limits
        self._language = language_of(script)
        self._facts = named_facts(script)
        self._conversation: Conversation | None = None
        self._gave_up: str | None = None
        self._files, self._seconds, self._deaths, self._log_lines = 0, 0.0, 0, 0
        self._since = 0.0

    @property
    def usage(self) -> Usage:
        """What the script has used up so far."""
        return Usage(
            files=self._files,
            seconds=self._seconds,
            deaths=self._deaths,
            log_lines=self._log_lines,
        )

    @property
    def worker_pid(self) -> int | None:
        """The process number of the present worker, None while there is none."""
        return None if self._conversation is None else self._conversation.pid

    def decide(self, files: Sequence[FileInfo]) -> Decisions:
        """Return an answer for every file, in order.

        CallbackGaveUp when the script has reached a limit or its budget, SandboxUnavailable when
        no worker can be locked down. Either way nothing may be processed without an answer.
        """
        return self.answer(Question.of_files(files))

    def decide_folder(self, folder: bytes, entries: Sequence[Entry]) -> Decisions:
        """As decide(), of entries of one folder of a storage."""
        return self.answer(Question.of_folder(folder, entries))

    def answer(self, question: Question) -> Decisions:
        """As decide(), of a question that has been put together."""
        if self._gave_up is not None:
            raise CallbackGaveUp(self._gave_up)
        collected = Collected()
        size = self._limits.request_frame_files
        try:
            for start in range(0, len(question), size):
                self._decide_group(question.part(start, start + size), collected)
        except CallbackGaveUp as error:
            self._gave_up = error.reason
            self.close()
            raise
        self._log_lines += len(collected.log_lines)
        return collected.decisions()

    def close(self) -> None:
        """End the worker; decide() would start a new one."""
        if self._conversation is not None:
            self._conversation.close()
            self._conversation = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _decide_group(self, question: Question, collected: Collected) -> None:
        try:
            body = self._encoded(question)
        except CannotBeSent:
            self._decide_halves(question, collected)
            return
        first = len(collected.answers)
        if not self._decide_encoded(question, body, collected):
            self._facts = ALL_FACTS
            self.close()
            self._decide_group(question.part(len(collected.answers) - first), collected)

    def _decide_halves(self, question: Question, collected: Collected) -> None:
        if len(question) > 1:
            half = len(question) // 2
            self._decide_group(question.part(0, half), collected)
            self._decide_group(question.part(half), collected)
        else:
            collected.fail(
                Answer.ERROR,
                "the file's facts are not Unicode, too long or out of range",
            )

    def _encoded(self, question: Question, *, is_isolating: bool = False) -> bytes:
        return question.encoded(
            self._facts,
            group_files=1 if is_isolating else self._limits.answer_frame_files,
            bytes_maximum=self._limits.request_frame_bytes,
        )

    def _decide_encoded(self, question: Question, body: bytes, collected: Collected) -> bool:
        """Return False when the script wants facts for the next file that it was not sent."""
        first = len(collected.answers)
        is_isolating = False
        while (done := len(collected.answers) - first) < len(question):
            try:
                if not self._ask(body, len(question) - done, collected):
                    return False
            except WorkerLost as loss:
                if is_isolating:
                    self._blame(loss, collected)
                is_isolating = not is_isolating
                remaining = question.part(len(collected.answers) - first)
                body = self._encoded(remaining, is_isolating=is_isolating)
        return True

    def _ask(self, body: bytes, count: int, collected: Collected) -> bool:
        self._since = time.monotonic()
        try:
            is_answered = self._loaded().ask(body, count, collected, self._account)
            if not is_answered and self._facts == ALL_FACTS:
                raise violation("a request for facts that it has")
        except BaseException:
            # Whatever interrupted it, answers to this question may still be under way.
            self.close()
            raise
        finally:
            self._add_time()
        return is_answered

    def _loaded(self) -> Conversation:
        if self._conversation is None:
            try:
                self._conversation = with_live_worker(self._start)
            except InvalidScriptFound as error:
                raise CallbackGaveUp(f"the script cannot be loaded: {error}") from error
            except WorkerLost as error:
                raise CallbackGaveUp(f"the script cannot be loaded: {error}") from error
        return self._conversation

    def _start(self) -> Conversation:
        return Conversation(
            self._script, self._language, task_id=self._task_id, limits=self._limits
        )

    def _blame(self, loss: WorkerLost, collected: Collected) -> None:
        answer = Answer.TIMED_OUT if loss.timed_out else Answer.ERROR
        collected.fail(answer, f"the script lost its worker: {loss}")
        self._files += 1
        self._count_deaths(1)

    def _account(self, answers: bytes) -> None:
        self._files += len(answers)
        self._add_time()
        self._count_deaths(answers.count(Answer.TIMED_OUT))
        allowed = (
            self._limits.budget_slack_seconds + self._files * self._limits.budget_seconds_per_file
        )
        if self._seconds > allowed:
            raise CallbackGaveUp(
                f"the script is too slow: {self._seconds:.1f} s for {self._files} files, "
                f"allowed were {allowed:.1f} s"
            )

    def _add_time(self) -> None:
        now = time.monotonic()
        self._seconds += now - self._since
        self._since = now

    def _count_deaths(self, deaths: int) -> None:
        self._deaths += deaths
        if self._deaths >= self._limits.max_deaths:
            raise CallbackGaveUp(
                f"the script ran out of time or lost its worker {self._deaths} times, "
                f"the limit is {self._limits.max_deaths}"
            )
