"""The questions and answers between a filter and one loaded worker, checked frame by frame."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import msgspec

from .errors import WorkerLost
from .limits import Limits
from .process import WorkerProcess
from .values import Answer, Decisions, InvalidScript, Language, ScriptFailure, printable
from .worker import frames, messages

_ANSWER_CODES: Final = bytes(Answer)
_DECIDED: Final = bytes((Answer.REFUSED, Answer.ACCEPTED))
_encode = msgspec.msgpack.Encoder().encode
_decode_trailer = msgspec.msgpack.Decoder(messages.Trailer).decode
_decode_invalid = msgspec.msgpack.Decoder(messages.Invalid).decode


@dataclass(slots=True)
class Collected:
    """The answers of one decide() so far; what has arrived stays when a worker is lost."""

    answers: bytearray = field(default_factory=bytearray)
    failures: dict[int, ScriptFailure] = field(default_factory=dict)
    log_lines: list[str] = field(default_factory=list)
    log_truncated: bool = False

    def fail(self, answer: Answer, text: str) -> None:
        """Record that the next file got no decision."""
        self.failures[len(self.answers)] = ScriptFailure(text=text, line=None)
        self.answers.append(answer)

    def decisions(self) -> Decisions:
        """Return everything as the value the caller gets."""
        return Decisions(
            answers=bytes(self.answers),
            failures=self.failures,
            log_lines=tuple(self.log_lines),
            log_truncated=self.log_truncated,
        )


class InvalidScriptFound(Exception):
    """The worker could not load the script."""

    def __init__(self, invalid: InvalidScript) -> None:
        super().__init__(str(invalid))
        self.invalid = invalid


class Conversation:
    """One worker with one script loaded; raises WorkerLost from every method once it is gone."""

    def __init__(self, script: str, language: Language, *, task_id: int, limits: Limits) -> None:
        self._limits = limits
        self._worker = WorkerProcess(language, limits)
        try:
            self._load(script, task_id)
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        """The worker's process number."""
        return self._worker.pid

    def close(self) -> None:
        """End the worker; may be repeated."""
        self._worker.close()

    def ask(
        self,
        body: bytes,
        count: int,
        collected: Collected,
        on_answers: Callable[[bytes], None],
    ) -> bool:
        """Send an encoded batch of `count` files; add the answers to `collected` as they come.

        False when the script wants facts that it was not sent: the worker is of no further use.
        """
        timeout_seconds = self._limits.hard_timeout_seconds
        self._worker.send(frames.BATCH, body, timeout_seconds=timeout_seconds)
        done = 0
        while done < count:
            kind, answer = self._worker.receive(timeout_seconds=timeout_seconds)
            if kind == frames.MISSING:
                return False
            codes, trailer = self._checked(kind, answer, done, count)
            self._collect(codes, trailer, done, collected)
            done += len(codes)
            on_answers(codes)
        if self._worker.has_unread:
            raise violation("more answers than files")
        return True

    def _load(self, script: str, task_id: int) -> None:
        limits = self._limits
        load = messages.Load(
            script=script,
            task_id=task_id,
            soft_timeout_seconds=limits.soft_timeout_seconds,
            error_text_characters=limits.error_text_characters,
            log_lines=limits.log_lines,
            log_line_characters=limits.log_line_characters,
            javascript_memory_bytes=limits.javascript_memory_bytes,
            javascript_stack_bytes=limits.javascript_stack_bytes,
        )
        timeout_seconds = limits.hard_timeout_seconds
        self._worker.send(frames.LOAD, _encoded_load(load), timeout_seconds=timeout_seconds)
        kind, body = self._worker.receive(timeout_seconds=timeout_seconds)
        if kind == frames.INVALID:
            raise InvalidScriptFound(self._invalid(body))
        if kind != frames.LOADED:
            raise violation("an unexpected answer to the script")

    def _invalid(self, body: bytes) -> InvalidScript:
        try:
            invalid = _decode_invalid(body)
        except msgspec.MsgspecError:
            raise violation("an unreadable answer to the script") from None
        return InvalidScript(
            message=printable(invalid.message, self._limits.error_text_characters),
            line=_line(invalid.line),
            column=_line(invalid.column),
        )

    def _checked(
        self, kind: int, body: bytes, done: int, count: int
    ) -> tuple[bytes, messages.Trailer]:
        head = frames.ANSWERS_HEAD
        if kind != frames.ANSWERS or len(body) < head.size:
            raise violation("an unexpected kind of frame")
        first, length = head.unpack_from(body)
        codes = body[head.size : head.size + length]
        if first != done or not 1 <= length <= count - done or len(codes) != length:
            raise violation("answers out of step")
        if codes.translate(None, _ANSWER_CODES):
            raise violation("an unknown answer")
        try:
            trailer = _decode_trailer(body[head.size + length :])
        except msgspec.MsgspecError:
            raise violation("an unreadable list of failures") from None
        return codes, trailer

    def _collect(
        self, codes: bytes, trailer: messages.Trailer, done: int, collected: Collected
    ) -> None:
        first = len(collected.answers)
        failures = {
            first + failure.index - done: ScriptFailure(
                text=printable(failure.text, self._limits.error_text_characters),
                line=_line(failure.line),
            )
            for failure in trailer.failures
        }
        if failures.keys() != _without_decision(codes, first):
            raise violation("failures that do not fit the answers")
        collected.answers += codes
        collected.failures.update(failures)
        self._collect_log(trailer, collected)

    def _collect_log(self, trailer: messages.Trailer, collected: Collected) -> None:
        limits = self._limits
        free = limits.log_lines - len(collected.log_lines)
        kept = trailer.log_lines[:free]
        collected.log_lines += [printable(line, limits.log_line_characters) for line in kept]
        if trailer.log_truncated or len(kept) < len(trailer.log_lines):
            collected.log_truncated = True


def _encoded_load(load: messages.Load) -> bytes:
    try:
        return _encode(load)
    except UnicodeEncodeError:
        message = "the script contains half a surrogate pair"
        raise InvalidScriptFound(InvalidScript(message=message)) from None


def _without_decision(codes: bytes, first: int) -> set[int]:
    if not codes.translate(None, _DECIDED):
        return set()
    return {first + index for index, code in enumerate(codes) if code not in _DECIDED}


def _line(number: int) -> int | None:
    return number if 0 < number < 1 << 31 else None


def violation(what: str) -> WorkerLost:
    """The loss of a worker that said something no honest worker says."""
    return WorkerLost(f"it broke the protocol: {what}")
