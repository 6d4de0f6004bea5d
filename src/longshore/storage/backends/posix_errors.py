"""What the error numbers of Linux mean to a transfer: kind, retry class, and whose end it is."""

from __future__ import annotations

import errno
import os

import msgspec

from longshore.domain.errors import ErrorKind, RetryClass, StorageError, StorageUnavailable


class Verdict(msgspec.Struct, frozen=True):
    """The consequence of one error number. `whole_storage`: no other file will do better."""

    kind: ErrorKind
    retry: RetryClass
    whole_storage: bool = False


_INPUT_OUTPUT = Verdict(ErrorKind.INPUT_OUTPUT, RetryClass.LATER)
_NAME_INVALID = Verdict(ErrorKind.NAME_INVALID, RetryClass.NEVER)
_PERMISSION = Verdict(ErrorKind.PERMISSION, RetryClass.NEVER)
_UNSUPPORTED = Verdict(ErrorKind.UNSUPPORTED, RetryClass.NEVER)
_TIMEOUT = Verdict(ErrorKind.TIMEOUT, RetryClass.LATER)
_BUSY = Verdict(ErrorKind.UNKNOWN, RetryClass.LATER)
_FULL = Verdict(ErrorKind.NO_SPACE, RetryClass.LATER, whole_storage=True)
_GONE = Verdict(ErrorKind.INPUT_OUTPUT, RetryClass.LATER, whole_storage=True)
_UNKNOWN = Verdict(ErrorKind.UNKNOWN, RetryClass.NEVER)

VERDICTS: dict[int, Verdict] = {
    errno.ENOENT: Verdict(ErrorKind.NOT_FOUND, RetryClass.NEVER),
    errno.EACCES: _PERMISSION,
    errno.EPERM: _PERMISSION,
    errno.EEXIST: Verdict(ErrorKind.EXISTS, RetryClass.NEVER),
    errno.ENOTDIR: Verdict(ErrorKind.NOT_A_FOLDER, RetryClass.NEVER),
    errno.EISDIR: Verdict(ErrorKind.IS_A_FOLDER, RetryClass.NEVER),
    errno.ENOTEMPTY: Verdict(ErrorKind.NOT_EMPTY, RetryClass.NEVER),
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EROFS: Verdict(ErrorKind.READ_ONLY, RetryClass.LATER, whole_storage=True),
    errno.ENAMETOOLONG: _NAME_INVALID,
    errno.EILSEQ: _NAME_INVALID,
    errno.ELOOP: Verdict(ErrorKind.SPECIAL_FILE, RetryClass.NEVER),
    errno.ENXIO: Verdict(ErrorKind.SPECIAL_FILE, RetryClass.NEVER),
    errno.EIO: _INPUT_OUTPUT,
    errno.EREMOTEIO: _INPUT_OUTPUT,
    errno.EUCLEAN: Verdict(ErrorKind.INPUT_OUTPUT, RetryClass.NEVER),
    errno.EBADMSG: Verdict(ErrorKind.INPUT_OUTPUT, RetryClass.NEVER),
    errno.ESTALE: Verdict(ErrorKind.STALE, RetryClass.NOW),
    errno.ETIMEDOUT: _TIMEOUT,
    errno.EAGAIN: _TIMEOUT,
    errno.EBUSY: _BUSY,
    errno.ETXTBSY: _BUSY,
    errno.EMFILE: _BUSY,
    errno.ENFILE: _BUSY,
    errno.ENOMEM: _BUSY,
    errno.EFBIG: _UNSUPPORTED,
    errno.EMLINK: _UNSUPPORTED,
    errno.EXDEV: _UNSUPPORTED,
    errno.EOVERFLOW: _UNSUPPORTED,
    errno.ENOSYS: _UNSUPPORTED,
    errno.EOPNOTSUPP: _UNSUPPORTED,
    errno.ENODEV: _GONE,
    errno.ENOMEDIUM: _GONE,
    errno.ENOTCONN: _GONE,
    errno.ESHUTDOWN: _GONE,
    errno.EHOSTDOWN: _GONE,
    errno.EHOSTUNREACH: _GONE,
    errno.ENETDOWN: _GONE,
    errno.ENETUNREACH: _GONE,
    errno.ECONNREFUSED: _GONE,
    errno.ECONNRESET: _GONE,
    errno.ECONNABORTED: _GONE,
}

# EINVAL says "this file system forbids the name" only where a name was handed over.
_VERDICTS_ON_NAMES: dict[int, Verdict] = {errno.EINVAL: _NAME_INVALID}

ROOT_SUSPECTS = frozenset({errno.ENOENT, errno.ESTALE, errno.EIO, errno.EACCES, errno.ENOTDIR})
"""Errors on one name that may in truth say that the whole storage went away."""


def refusal(error: OSError, deed: str, path: bytes, *, names: bool = False) -> StorageError:
    """The error as the storage interface raises it. `names`: the deed handed a name over."""
    number = error.errno or 0
    verdict = VERDICTS.get(number, _UNKNOWN)
    if names:
        verdict = _VERDICTS_ON_NAMES.get(number, verdict)
    kind = StorageUnavailable if verdict.whole_storage else StorageError
    return kind(verdict.kind, verdict.retry, deed, path, _cause(error))


def root_unavailable(error: OSError, root: bytes) -> StorageUnavailable:
    """The error for a root that cannot be reached, whatever the number: it may come back."""
    verdict = VERDICTS.get(error.errno or 0, _UNKNOWN)
    deed = "open storage folder"
    return StorageUnavailable(verdict.kind, RetryClass.LATER, deed, root, _cause(error))


def _cause(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else str(error)
