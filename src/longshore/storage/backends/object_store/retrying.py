"""A client that tries again: with pauses, with fewer requests in flight, and past lost answers."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Final, TypeVar

from longshore.domain.errors import ErrorKind, RetryClass, StorageError, StorageUnavailable
from longshore.storage.backends.object_store.client import (
    PLAIN,
    Data,
    Get,
    ObjectClient,
    ObjectStat,
    Page,
    Part,
    Put,
    PutOptions,
    RangeBody,
    Throttled,
    Upload,
)
from longshore.storage.backends.object_store.flow import Flow

ATTEMPTS_MAXIMUM: Final = 6
"""Of one request. With the pauses below the last one comes after about six seconds; whatever lasts
longer is the pipeline's to decide, which can do other files meanwhile."""

PAUSE_SECONDS: Final = 0.2  # before the second attempt, at most; doubles with each further one
PAUSE_SECONDS_MAXIMUM: Final = 5.0
"""A slice of a mover is not much longer. A store that asks for more is asked again after this, and
counts as gone when it still wants to be left alone after all attempts."""

FAILURES_MAXIMUM: Final = 8
"""Of one volley. More are no accident: what has not been sent yet is left to the caller."""

_SILENCES: Final = frozenset({ErrorKind.TIMEOUT, ErrorKind.INPUT_OUTPUT})
"""Errors that come of one object, or of a store that is gone or hangs."""

Result = TypeVar("Result")
Asked = TypeVar("Asked")


def patiently(
    request: Callable[[], Result], *, sleep: Callable[[float], object], chance: random.Random
) -> Result:
    """The result of a request that belongs to no bucket, tried again as one of a bucket is.

    But one that got no answer in time has taken long enough for whoever waits for it.
    """
    for failures in range(1, ATTEMPTS_MAXIMUM):
        try:
            return request()
        except StorageError as error:
            is_late = error.kind is ErrorKind.TIMEOUT and not isinstance(error, Throttled)
            if is_late or not _may_pass(error):
                raise
            sleep(_pause_seconds(failures, error, chance))
    return request()


class RetryingClient(ObjectClient):
    """The client, trying again what may pass. Its errors are those of the last attempt."""

    def __init__(
        self,
        client: ObjectClient,
        *,
        sleep: Callable[[float], object],
        chance: random.Random,
    ) -> None:
        self.abilities = client.abilities
        self.flow = Flow(client.abilities.requests_maximum)
        self._client = client
        self._sleep = sleep
        self._chance = chance

    def close(self) -> None:
        self._client.close()

    def check(self, *, writable: bool) -> None:
        self._again(lambda: self._client.check(writable=writable))

    def head(self, key: str) -> ObjectStat:
        return self._again(lambda: self._client.head(key))

    def get_range(
        self, key: str, start: int, end: int, *, etag: str = "", room: bytearray | None = None
    ) -> Data:
        return self._again(lambda: self._client.get_range(key, start, end, etag=etag, room=room))

    def open_range(self, key: str, start: int, end: int, *, etag: str = "") -> RangeBody | None:
        """As the client's. A body that breaks is not gone on with: that is the caller's."""
        return self._again(lambda: self._client.open_range(key, start, end, etag=etag))

    def get_first(self, key: str, limit: int) -> tuple[ObjectStat, Data]:
        return self._again(lambda: self._client.get_first(key, limit))

    def put(self, key: str, data: Data, options: PutOptions = PLAIN) -> ObjectStat:
        def was_done() -> ObjectStat | None:
            return self._as_written(key, len(data), options.metadata)

        return self._again(lambda: self._client.put(key, data, options), was_done)

    def put_many(
        self, puts: Iterable[Put], width: int = 0
    ) -> Iterator[tuple[Put, ObjectStat | StorageError]]:
        """As the client's, as wide as the flow allows. What may pass is tried again, one by one."""
        failed: list[tuple[Put, StorageError]] = []
        with self.flow.requests() as (allowed, number):
            for put, result in self._client.put_many(
                _until_refused(puts, failed), min(allowed, width or allowed)
            ):
                if isinstance(result, StorageError):
                    self._note(result, number)
                    failed.append((put, result))
                else:
                    self.flow.answered()
                    yield put, result
        for put, error in failed:
            yield put, self._put_again(put, error)

    def get_many(
        self, wanted: Iterable[Get], width: int = 0
    ) -> Iterator[tuple[Get, tuple[ObjectStat, Data] | StorageError]]:
        """As the client's, as wide as the flow allows. Nothing is tried again."""
        failed: list[tuple[Get, StorageError]] = []
        with self.flow.requests() as (allowed, number):
            for get, result in self._client.get_many(
                _until_refused(wanted, failed), min(allowed, width or allowed)
            ):
                if isinstance(result, StorageError):
                    self._note(result, number)
                    failed.append((get, result))
                else:
                    self.flow.answered()
                yield get, result

    def copy(
        self,
        source_key: str,
        key: str,
        *,
        metadata: Mapping[str, str] | None = None,
        source_bucket: str = "",
        source_etag: str = "",
        only_if_absent: bool = False,
    ) -> ObjectStat:
        def copy() -> ObjectStat:
            return self._client.copy(
                source_key,
                key,
                metadata=metadata,
                source_bucket=source_bucket,
                source_etag=source_etag,
                only_if_absent=only_if_absent,
            )

        return self._again(copy)

    def set_metadata(self, key: str, metadata: Mapping[str, str]) -> None:
        self._again(lambda: self._client.set_metadata(key, metadata))

    def delete(self, key: str) -> None:
        self._again(lambda: self._client.delete(key))

    def pages(
        self, prefix: str = "", *, delimiter: str = "", after: str = "", limit: int = 0
    ) -> Iterator[Page]:
        listing = self._client.pages(prefix, delimiter=delimiter, after=after, limit=limit)
        failures, last_prefix = 0, ""
        while True:
            try:
                page = self._try(partial(next, listing, None))
            except StorageError as error:
                failures += 1
                if not _may_pass(error) or failures >= ATTEMPTS_MAXIMUM:
                    self._judge(error)
                    raise
                self._pause(failures, error)
                # What raised is at its end: it begins anew behind the last page.
                listing = self._client.pages(prefix, delimiter=delimiter, after=after, limit=limit)
                continue
            if page is None:
                return
            failures = 0
            # A listing that began anew inside a prefix has given it a second time.
            page = Page(page.objects, [each for each in page.prefixes if each != last_prefix])
            last_prefix = page.prefixes[-1] if page.prefixes else last_prefix
            after = max([after, *_last_names(page)], key=str.encode)
            yield page

    def begin_upload(self, key: str, options: PutOptions = PLAIN) -> Upload:
        return self._again(lambda: self._client.begin_upload(key, options))

    def put_part(self, upload: Upload, number: int, data: Data, *, md5: bytes = b"") -> Part:
        return self._again(lambda: self._client.put_part(upload, number, data, md5=md5))

    def list_parts(self, upload: Upload) -> list[Part]:
        return self._again(lambda: self._client.list_parts(upload))

    def complete_upload(
        self, upload: Upload, parts: list[Part], options: PutOptions = PLAIN
    ) -> ObjectStat:
        def was_done() -> ObjectStat | None:
            size = sum(part.size for part in parts)
            return self._as_written(upload.key, size, options.metadata)

        stat = self._again(lambda: self._client.complete_upload(upload, parts, options), was_done)
        # By itself: when it fails the upload is complete all the same, and could not be again.
        self.tidy_upload(upload)
        return stat

    def tidy_upload(self, upload: Upload) -> None:
        self._again(lambda: self._client.tidy_upload(upload))

    def abort_upload(self, upload: Upload) -> None:
        self._again(lambda: self._client.abort_upload(upload))

    def list_uploads(self, prefix: str = "") -> Iterator[Upload]:
        with self.flow.request():
            yield from self._client.list_uploads(prefix)

    # Inside

    def _again(
        self,
        request: Callable[[], Result],
        was_done: Callable[[], Result | None] | None = None,
        *,
        before: int = 0,
    ) -> Result:
        """The answer of the first attempt that succeeds; so many have failed `before`.

        `was_done` is asked when a later attempt is refused: the earlier one may have been carried
        out, and only its answer lost.
        """
        for failures in range(1 + before, ATTEMPTS_MAXIMUM + 1):
            try:
                return self._try(request)
            except StorageUnavailable:
                raise
            except StorageError as error:
                if failures > 1 and was_done is not None and _was_refused(error):
                    done = was_done()
                    if done is not None:
                        return done
                if not _may_pass(error) or failures == ATTEMPTS_MAXIMUM:
                    self._judge(error)
                    raise
                self._pause(failures, error)
        raise AssertionError("the last attempt returns or raises")

    def _note(self, error: StorageError, number: int) -> None:
        if isinstance(error, Throttled):
            self.flow.throttled(number)

    def _put_again(self, put: Put, error: StorageError) -> ObjectStat | StorageError:
        """What comes of an object after its first attempt has failed."""
        if isinstance(error, StorageUnavailable):
            raise error
        if not _may_pass(error):
            return error

        def was_done() -> ObjectStat | None:
            return self._as_written(put.key, len(put.data), put.options.metadata)

        self._pause(1, error)
        try:
            return self._again(
                lambda: self._client.put(put.key, put.data, put.options), was_done, before=1
            )
        except StorageUnavailable:
            raise
        except StorageError as last:
            return last

    def _try(self, request: Callable[[], Result]) -> Result:
        with self.flow.request() as number:
            try:
                result = request()
            except Throttled:
                self.flow.throttled(number)
                raise
        self.flow.answered()
        return result

    def _judge(self, error: StorageError) -> None:
        """Raises StorageUnavailable if it is not this request alone that does not get through."""
        if isinstance(error, Throttled):
            # A store that asks for patience for so long does so for every file.
            raise _as_unavailable(error, error) from error
        if error.kind not in _SILENCES or not _may_pass(error):
            return
        try:
            self._client.check(writable=False)
        except StorageUnavailable:
            raise
        except StorageError as answer:
            raise _as_unavailable(answer, error) from error

    def _pause(self, failures: int, error: StorageError) -> None:
        self._sleep(_pause_seconds(failures, error, self._chance))

    def _as_written(self, key: str, size: int, metadata: Mapping[str, str]) -> ObjectStat | None:
        """The object, if it is what a request with a lost answer would have left."""
        try:
            found = self.head(key)
        except StorageError as error:
            if error.kind is ErrorKind.NOT_FOUND:
                return None
            raise
        return found if found.size == size and found.metadata == metadata else None


def _pause_seconds(failures: int, error: StorageError, chance: random.Random) -> float:
    """How long to wait after so many failures: not less than the store asks for."""
    longest = PAUSE_SECONDS * 2 ** (failures - 1)
    # Anything up to the whole pause: what failed together is not tried together.
    return min(error.after_seconds + chance.uniform(0, longest), PAUSE_SECONDS_MAXIMUM)


def _until_refused(
    wanted: Iterable[Asked], failed: Sequence[tuple[object, StorageError]]
) -> Iterator[Asked]:
    """What is wanted, until the store objects, or to too much of it."""
    for each in wanted:
        yield each
        if len(failed) >= FAILURES_MAXIMUM or any(isinstance(e, Throttled) for _, e in failed):
            return


def _may_pass(error: StorageError) -> bool:
    """Whether the same request may succeed; a condition that does not hold never will."""
    if isinstance(error, StorageUnavailable) or error.kind is ErrorKind.STALE:
        return False
    return error.retry is not RetryClass.NEVER


def _as_unavailable(answer: StorageError, error: StorageError) -> StorageUnavailable:
    """The error of a request, as that of the whole store: the run waits for it."""
    return StorageUnavailable(answer.kind, RetryClass.LATER, "go on with", error.path, str(error))


def _was_refused(error: StorageError) -> bool:
    return error.kind in {ErrorKind.EXISTS, ErrorKind.NOT_FOUND}


def _last_names(page: Page) -> list[str]:
    last = [page.objects[-1].key] if page.objects else []
    return [*last, *page.prefixes[-1:]]
