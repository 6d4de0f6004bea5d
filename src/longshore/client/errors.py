"""What a request may end with instead of an answer."""

from __future__ import annotations

from longshore.domain.errors import LongshoreError


class ClientError(LongshoreError):
    """The root of every error of the client."""


class Unreachable(ClientError):
    """No server answered; whether the request was carried out is not known."""


class Refused(ClientError):
    """The server's no: its status, its messages, and what they are about."""

    def __init__(self, status: int, messages: list[str], details: dict[str, object]) -> None:
        super().__init__("; ".join(messages) or f"the server answered with status {status}")
        self.status = status
        self.messages = messages
        self.details = details


class UnexpectedAnswer(ClientError):
    """An answer that is not what the API promises."""


class ActionFailed(ClientError):
    """The server accepted an action on a task, but it did not take effect."""


class NoProgress(ClientError):
    """A task has stood still for longer than the caller wanted to wait."""
