"""Asking who may have a say about the files found: the task's callbacks, then the plug-ins.

    file ──> callbacks ──> plug-ins ──> planned, maybe for another place
             └> refused    └> refused
             └> failed     └> failed

Whoever refuses a file or fails at it, it goes on record with that, and the scan goes on. Callbacks
that give up altogether end the execution: CallbackGaveUp, SandboxUnavailable.
"""

from __future__ import annotations

from longshore import faults
from longshore.callbacks import Answer, ChainDecisions
from longshore.domain import paths
from longshore.domain.entry import Entry
from longshore.domain.errors import ErrorKind, FileFailure, Side, Stage
from longshore.domain.outcome import Outcome
from longshore.hooks import FileRequest, HookFailed
from longshore.pipeline.findings import Findings
from longshore.pipeline.messages.work import CopyMode, ScanFolder
from longshore.pipeline.planning import Verdict, target_name
from longshore.pipeline.toolbox import Toolbox


def decide(folder: ScanFolder, files: list[Entry], findings: Findings) -> ChainDecisions | None:
    """What the callbacks answer for these files of a folder; None where nobody is asked."""
    chain = findings.toolbox.chain() if files else None
    if chain is None:
        return None
    faults.at("mover.question", folder.path)
    decisions = chain.decide_folder(folder.path, files)
    faults.at("mover.answer", folder.path)
    findings.log.extend(decisions.log_lines)
    return decisions


def is_accepted(
    folder: ScanFolder, entry: Entry, index: int, decisions: ChainDecisions, findings: Findings
) -> bool:
    """Whether the file may go on; where it may not, that is on record."""
    answer = decisions.answers[index]
    if answer == Answer.ACCEPTED:
        return True
    callback_id = decisions.decided_by.get(index, 0)
    if answer == Answer.REFUSED:
        findings.record(folder, entry, Outcome.REFUSED, callback_id=callback_id)
        return False
    why = decisions.failures[index]
    place = f" (line {why.line})" if why.line else ""
    failure = _failure(f"callback: {_printable(why.text)}{place}")
    findings.record(folder, entry, Outcome.FAILED, failure=failure, callback_id=callback_id)
    return False


def dispatch(folder: ScanFolder, entry: Entry, decided: Verdict, findings: Findings) -> None:
    """Plan the file as the administrator's plug-ins want it."""
    ask = findings.toolbox.dispatch
    if ask is None:
        findings.take(folder, entry, decided)
        return
    request = _request(folder, entry, findings.toolbox)
    try:
        wanted = ask(request)
    except HookFailed as error:
        failure = _failure(_printable(str(error)))
        findings.record(folder, entry, Outcome.FAILED, failure=failure)
        return
    if wanted is None:
        findings.record(folder, entry, Outcome.REFUSED)
    elif wanted is request:
        findings.take(folder, entry, decided)
    else:
        # Nobody has looked at that place yet, so the conflict rule is applied by the copying.
        findings.packer.add(
            folder.source, folder.path, wanted.target_folder, entry, wanted.target_name,
            CopyMode.CHECK, folder.chosen,
        )  # fmt: skip


def _request(folder: ScanFolder, entry: Entry, toolbox: Toolbox) -> FileRequest:
    plan = toolbox.plan
    goes = bool(plan.destinations)
    return FileRequest(
        task_id=plan.task_id,
        execution_id=plan.execution_id,
        path=paths.join(folder.path, entry.name),
        size=entry.size,
        mode=entry.mode,
        uid=entry.uid,
        gid=entry.gid,
        mtime_ns=entry.mtime_ns,
        target_folder=folder.target if goes else b"",
        target_name=target_name(plan, folder, entry) if goes else b"",
    )


def _failure(text: str) -> FileFailure:
    return FileFailure(ErrorKind.CALLBACK, Stage.FILTER, Side.SOURCE, text)


def _printable(text: str) -> str:
    """The script's words without NUL, which no database column takes."""
    return text.replace("\0", "\\0")
