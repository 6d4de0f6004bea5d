"""Whether a script may be stored: its text is looked at here, then a throw-away worker loads it."""

from .conversation import Conversation, InvalidScriptFound
from .errors import WorkerLost
from .language import language_of, switched_off
from .limits import DEFAULT_LIMITS, Limits
from .starting import with_live_worker
from .values import InvalidScript

_VALIDATION_TASK_ID = 0
"""No task is asking; scripts that print their request's id while loading see this."""


def validate(script: str, *, limits: Limits = DEFAULT_LIMITS) -> InvalidScript | None:
    """Return what is wrong with a script, None when it can be used.

    SandboxUnavailable when no worker can be locked down: then no script can be used here. The
    script is never compiled in the calling process.
    """
    return (
        _wrong_text(script, limits)
        or _switched_off(script, limits)
        or _does_not_load(script, limits)
    )


def _wrong_text(script: str, limits: Limits) -> InvalidScript | None:
    if not script.strip():
        return InvalidScript(message="the script is blank")
    for position, character in enumerate(script):
        if character == "\0":
            return _at(script, position, "the script contains a NUL character")
        if "\ud800" <= character <= "\udfff":
            return _at(script, position, "the script contains half a surrogate pair")
    size = len(script.encode("utf-8"))
    if size > limits.script_bytes:
        message = f"the script has {size} bytes, at most {limits.script_bytes} are allowed"
        return InvalidScript(message=message)
    return None


def _switched_off(script: str, limits: Limits) -> InvalidScript | None:
    language = language_of(script)
    return None if language in limits.languages else InvalidScript(message=switched_off(language))


def _at(script: str, position: int, message: str) -> InvalidScript:
    line = script.count("\n", 0, position) + 1
    column = position - script.rfind("\n", 0, position)
    return InvalidScript(message=message, line=line, column=column)


def _does_not_load(script: str, limits: Limits) -> InvalidScript | None:
    language = language_of(script)

    def load() -> None:
        Conversation(script, language, task_id=_VALIDATION_TASK_ID, limits=limits).close()

    try:
        with_live_worker(load)
    except InvalidScriptFound as error:
        return error.invalid
    except WorkerLost as error:
        return InvalidScript(message=f"the script cannot be loaded: {error}")
    return None
