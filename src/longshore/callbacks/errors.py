"""What ends a run with callbacks. Errors about one file are values (`ScriptFailure`) instead."""


class CallbackError(Exception):
    """The task cannot go on with its callbacks; it never goes on without them."""


class SandboxUnavailable(CallbackError):
    """This machine cannot lock a worker down, so no script may run here."""


class CallbackGaveUp(CallbackError):
    """A script has used up what it may cost; the files not yet decided stay undecided.

    `callback_id` is set when the script was one of a `FilterChain`.
    """

    def __init__(self, reason: str, *, callback_id: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.callback_id = callback_id


class WorkerLost(Exception):
    """A worker ended, kept silent, or said something that no honest worker says.

    `killed` is set when SIGKILL ended it, which no lock of ours sends: it came from outside.
    """

    def __init__(self, reason: str, *, timed_out: bool = False, killed: bool = False) -> None:
        super().__init__(reason)
        self.timed_out = timed_out
        self.killed = killed
