"""What a provider implements: one bucket, its objects by key, and uploads in parts.

    ObjectStorage, folders, staged files   written once, know no provider
      └─ RetryingClient                    back-off, requests in flight, lost answers
           └─ ObjectClient                 this protocol: S3, Azure, Google Cloud, Swift

Promises of every client:
- Its methods may be called by several threads at once. Making a client does no I/O.
- It tries each request once. Every refusal is raised as StorageError with the verdict that only the
  provider's answer allows; the table below names them. Whoever calls decides about another attempt.
- `put`, `put_part` and `complete_upload` return only if the store has confirmed the content: by
  checking a checksum sent along, or by one in its answer that the client has compared. Otherwise
  kind `checksum_mismatch`, retry class `now`.
- An object is seen by `head`, `get_range` and `pages` only when it is complete.
- Keys are text of whole code points; metadata keys are lower case, `[a-z0-9-]`, metadata values
  printable ASCII. What the provider calls them on the wire (`x-amz-meta-…`) is the client's.

Refusals, as (kind, retry class):
    no such key, no such upload          not_found, never
    no such bucket                       StorageUnavailable not_found, later
    wrong or missing credentials         StorageUnavailable permission, later
    this deed is not allowed             permission, never
    the condition does not hold          exists, never (only_if_absent); stale, now (etag)
    too many requests, 429, 503 SlowDown timeout, later: raised as `Throttled`
    500, 502, 504, broken connection     input_output, now
    no answer in time                    timeout, now
    refused connection, unknown host     StorageUnavailable input_output, later
    out of space or quota, 507           StorageUnavailable no_space, later
    not known to this provider           unsupported, never
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple, Protocol

import msgspec

from longshore.domain.errors import ErrorKind, RetryClass, StorageError
from longshore.storage.backends.object_store.keys import PLAIN_RULES, KeyRules

Data = bytes | bytearray | memoryview
"""Content to send. It is not changed until the call returns."""

SMALL_OBJECT_BYTES = 8 * 1024 * 1024
"""What `put_many` and `get_many` are for: whole objects in memory. For bigger ones a thread each
does as well, which asks for the rest while it writes."""

NO_METADATA: Mapping[str, str] = {}


class Throttled(StorageError):
    """The store asks for fewer requests."""

    def __init__(self, deed: str, path: bytes, cause: str) -> None:
        super().__init__(ErrorKind.TIMEOUT, RetryClass.LATER, deed, path, cause)


class Abilities(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider can do and bears. Bytes where nothing else is said."""

    conditional_create: bool = (
        False  # `only_if_absent` is one atomic step; else it is not asked for
    )
    server_copy: bool = True  # `copy` inside the bucket, and from the buckets of one connector
    updates_metadata: bool = False  # `set_metadata` without a copy of the content
    lists_metadata: bool = False  # `pages` tell the metadata; else its objects have None
    lists_uploads: bool = True  # `list_uploads` finds unfinished uploads
    parts_in_order: bool = False  # parts are sent one after the other, from number 1 on
    copy_bytes_maximum: int = 5 * 1024**3  # one `copy`; the client divides bigger ones itself
    put_bytes_maximum: int = 5 * 1024**3  # one `put`
    part_bytes_minimum: int = 5 * 1024**2  # each part but the last
    part_bytes_maximum: int = 5 * 1024**3
    parts_maximum: int = 10_000
    object_bytes_maximum: int = 5 * 1024**4
    key_bytes_maximum: int = 1024  # of objects that are written
    foreign_key_bytes_maximum: int = 1024  # of those that others have written
    metadata_bytes_maximum: int = 2048  # keys and values of one object together
    metadata_value_bytes_maximum: int = 2048  # one value
    requests_maximum: int = 32  # in flight at once, from one mover
    volleys: bool = False  # `put_many` and `get_many` pay off: one thread has many under way
    key_rules: KeyRules = PLAIN_RULES  # characters that names may not bring into keys
    folder_marker: str = ""
    """What follows `folder/` in the key of the object that keeps an empty folder. Gateways to file
    systems take a slash off the end of a key; they need a name that begins as staged files do."""


class ObjectStat(msgspec.Struct, frozen=True, kw_only=True):
    """What the store says about one object."""

    key: str
    size: int
    modified_ns: int  # since 1970
    etag: str = ""  # changes with the content; "" where the store has none
    md5: bytes = b""  # of the content, where the store knows it (16 bytes)
    metadata: Mapping[str, str] | None = None  # None: a listing that does not tell
    storage_class: str = ""
    offline: bool = False  # it has to be brought back from an archive before it can be read


class Page(msgspec.Struct, frozen=True):
    """A piece of a listing: both lists ascending; nothing in a later page comes before them."""

    objects: list[ObjectStat]
    prefixes: list[str] = []  # what the delimiter has folded, each with the delimiter at its end


class Upload(msgspec.Struct, frozen=True):
    """An upload in parts that is not complete. `id` and `key` are all that is needed to go on."""

    key: str
    id: str
    begun_ns: int = 0  # since 1970; 0 where the store does not tell


class Part(msgspec.Struct, frozen=True):
    """A part that the store holds."""

    number: int  # from 1
    size: int
    reference: str  # what completing the upload names it by (etag, block id)
    md5: bytes = b""  # of its content, where the store tells


class PutOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How an object is written, besides its content."""

    metadata: Mapping[str, str] = NO_METADATA
    only_if_absent: bool = False  # only asked for with the ability `conditional_create`
    is_file: bool = True
    """It is the content of a file, for which the storage class of the client's settings is meant.
    What keeps folders, links and uploads has to be readable at any time, and is tiny."""


PLAIN = PutOptions()


class Put(NamedTuple):
    """A small object to be written; `tag` is whatever its result is to be known by."""

    key: str
    data: Data
    options: PutOptions
    tag: object


class Get(NamedTuple):
    """A small object to be read; `tag` is whatever its result is to be known by.

    `size` are its bytes as far as anybody knows.
    """

    key: str
    tag: object
    size: int = 0


class RangeBody(Protocol):
    """Bytes of an object that are on their way, for one thread at a time."""

    def read_into(self, buffer: memoryview) -> int:
        """Fill the buffer; the bytes that came. Fewer at the end, or when the connection broke."""

    def close(self) -> None:
        """Give up the connection, or keep it for other requests if everything was read."""


class ObjectClient(Protocol):
    """One bucket of one provider. The storage class of new files, tags and encryption of all new
    objects are settings of the client, not of a call."""

    abilities: Abilities

    def close(self) -> None:
        """Give up connections. May be called twice; no call may be under way."""

    def check(self, *, writable: bool) -> None:
        """Return if the bucket is there and answers; StorageUnavailable says why not.

        `writable` asks for the right to write as far as that is known without writing.
        """

    # ------------------------------------------------------------------ whole objects

    def head(self, key: str) -> ObjectStat:
        """The object with its metadata (never None). Kind `not_found`."""

    def get_range(
        self, key: str, start: int, end: int, *, etag: str = "", room: bytearray | None = None
    ) -> Data:
        """The bytes from `start` up to `end`, all of them; `end` is not beyond the object's.

        With `etag` kind `stale` if the object is another by now. A connection that breaks in the
        middle may be resumed by the client from where it broke. `room` is memory for just so many
        bytes, which the client may use for them.
        """

    def open_range(self, key: str, start: int, end: int, *, etag: str = "") -> RangeBody | None:
        """The same bytes as `get_range`, to be read as they come; close it in any case.

        None: this client has only whole ranges.
        """
        return None

    def get_first(self, key: str, limit: int) -> tuple[ObjectStat, Data]:
        """The object, its metadata included, and its first `limit` bytes or all there are.

        One request, so that a small object costs no second one. Kind `not_found`.
        """

    def put(self, key: str, data: Data, options: PutOptions = PLAIN) -> ObjectStat:
        """Write a whole object at once; one that stood there is replaced. See PutOptions."""

    def put_many(
        self, puts: Iterable[Put], width: int
    ) -> Iterator[tuple[Put, ObjectStat | StorageError]]:
        """As `put` of each, at most `width` at once, in whatever order they end.

        They are taken one by one. Each one that was tried gets its result; after an error some may
        be left that never were. Nothing else is to be asked of the client by this thread meanwhile.
        """
        for each in puts:
            try:
                yield each, self.put(each.key, each.data, each.options)
            except StorageError as error:
                yield each, error

    def get_many(
        self, wanted: Iterable[Get], width: int
    ) -> Iterator[tuple[Get, tuple[ObjectStat, Data] | StorageError]]:
        """As `get_first` of each, at most `width` at once, of whole objects.

        In order and errors as `put_many`. One that is too big to be small is an error, too.
        """
        for each in wanted:
            try:
                yield each, self.get_first(each.key, SMALL_OBJECT_BYTES)
            except StorageError as error:
                yield each, error

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
        """Copy inside the store; metadata None keeps the source's. "" = this bucket.

        With `source_etag` kind `stale` if the source is another object by now.
        """

    def set_metadata(self, key: str, metadata: Mapping[str, str]) -> None:
        """Replace the whole metadata of an object. Its content stays; its etag may change."""

    def delete(self, key: str) -> None:
        """Remove the object. One that is not there may raise `not_found` or be no error."""

    def pages(
        self, prefix: str = "", *, delimiter: str = "", after: str = "", limit: int = 0
    ) -> Iterator[Page]:
        """Keys with the prefix and greater than `after`, page by page, sorted by their UTF-8 bytes.

        With the delimiter, what lies below its first place after the prefix is folded into
        `prefixes`; a prefix is given again if `after` lies inside it. `limit` stops after so many
        names (0: none). Pages are fetched when they are asked for.
        """

    # ------------------------------------------------------------------ uploads in parts

    def begin_upload(self, key: str, options: PutOptions = PLAIN) -> Upload:
        """An upload that will become the object when it is completed. Nothing is seen before."""

    def put_part(self, upload: Upload, number: int, data: Data, *, md5: bytes = b"") -> Part:
        """Send one part; sent again it replaces the earlier one. Kind `not_found`: no upload.

        `md5` is that of the data, where the caller has it.
        """

    def list_parts(self, upload: Upload) -> list[Part]:
        """What the store holds, ascending by number. Kind `not_found`: no such upload.

        Where uploads are nothing but their parts, one that is not there has none.
        """

    def complete_upload(
        self, upload: Upload, parts: list[Part], options: PutOptions = PLAIN
    ) -> ObjectStat:
        """Make the parts, ascending by number, the object. `options` are those of the beginning,
        except `only_if_absent`, which counts now."""

    def tidy_upload(self, upload: Upload) -> None:
        """Remove what a completed upload has left besides its object: nothing, as a rule."""
        return

    def abort_upload(self, upload: Upload) -> None:
        """Drop the upload and its parts. One that is not there is no error."""

    def list_uploads(self, prefix: str = "") -> Iterator[Upload]:
        """Unfinished uploads of keys with the prefix. Needs the ability `lists_uploads`."""
