"""The table of error numbers."""

from __future__ import annotations

import errno
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.domain.errors import ErrorKind, RetryClass, StorageError, StorageUnavailable
from longshore.storage.backends.posix_errors import VERDICTS, refusal, root_unavailable

NUMBERS = st.sampled_from(sorted(errno.errorcode)) | st.integers(0, 10_000)


@pytest.mark.parametrize(
    ("number", "kind", "retry", "whole_storage"),
    [
        (errno.ENOENT, ErrorKind.NOT_FOUND, RetryClass.NEVER, False),
        (errno.EACCES, ErrorKind.PERMISSION, RetryClass.NEVER, False),
        (errno.EPERM, ErrorKind.PERMISSION, RetryClass.NEVER, False),
        (errno.ENOSPC, ErrorKind.NO_SPACE, RetryClass.LATER, True),
        (errno.EDQUOT, ErrorKind.NO_SPACE, RetryClass.LATER, True),
        (errno.EROFS, ErrorKind.READ_ONLY, RetryClass.LATER, True),
        (errno.EIO, ErrorKind.INPUT_OUTPUT, RetryClass.LATER, False),
        (errno.ESTALE, ErrorKind.STALE, RetryClass.NOW, False),
        (errno.ETIMEDOUT, ErrorKind.TIMEOUT, RetryClass.LATER, False),
        (errno.ENOTCONN, ErrorKind.INPUT_OUTPUT, RetryClass.LATER, True),
        (errno.EHOSTDOWN, ErrorKind.INPUT_OUTPUT, RetryClass.LATER, True),
        (errno.EFBIG, ErrorKind.UNSUPPORTED, RetryClass.NEVER, False),
    ],
)
def test_consequences_of_the_errors_that_matter(
    number: int, kind: ErrorKind, retry: RetryClass, whole_storage: bool
) -> None:
    error = refusal(OSError(number, "text"), "write", b"a")
    assert (error.kind, error.retry) == (kind, retry)
    assert isinstance(error, StorageUnavailable) is whole_storage


@given(number=NUMBERS, path=st.binary(max_size=50), names=st.booleans())
def test_every_number_gives_an_error_that_names_deed_and_cause(
    number: int, path: bytes, names: bool
) -> None:
    error = refusal(OSError(number, "text"), "write", path, names=names)
    assert isinstance(error, StorageError)
    assert error.path == path
    assert str(error).startswith("write ")
    assert str(error).isprintable()
    if number:
        assert str(error).endswith(os.strerror(number))


@given(number=NUMBERS)
def test_a_lost_root_may_always_come_back(number: int) -> None:
    error = root_unavailable(OSError(number, "text"), b"/mnt/share")
    assert isinstance(error, StorageUnavailable)
    assert error.retry is RetryClass.LATER


def test_a_whole_storage_is_never_given_up_for_good() -> None:
    assert all(v.retry is not RetryClass.NEVER for v in VERDICTS.values() if v.whole_storage)


def test_an_invalid_argument_blames_the_name_only_where_one_was_given() -> None:
    error = OSError(errno.EINVAL, "text")
    assert refusal(error, "make folder", b"a:b", names=True).kind is ErrorKind.NAME_INVALID
    assert refusal(error, "read", b"a").kind is ErrorKind.UNKNOWN
