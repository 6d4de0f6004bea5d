"""Sending parts of uploads, so that the store confirms their content and nobody hashes it twice.

The etag of a part is as a rule the MD5 of its content, as the store has made it from what came.
Comparing it confirms as much as sending `Content-MD5` does, and spares the store a second hash
where it makes both. So the header goes along until an etag has turned out to be the MD5, and again
from the moment on at which the store wants it (object lock does) or an etag says anything else.
Nobody sees a part before the upload is complete: one that came wrong is sent again in its place.
"""

from __future__ import annotations

from collections.abc import Mapping

from longshore.domain.errors import ErrorKind, RetryClass, StorageError, StorageUnavailable
from longshore.storage.backends.object_store.client import Data, Part, Upload
from longshore.storage.backends.object_store.exchange import base64_text
from longshore.storage.backends.object_store.refusals import mismatch
from longshore.storage.backends.object_store.s3_answers import md5_of_etag
from longshore.storage.backends.object_store.s3_requests import Requests

_DEED = "write part of"


class PartSender:
    """Sends parts into one bucket. May be used by several threads at once."""

    def __init__(self, requests: Requests) -> None:
        self._requests = requests
        self._etags_confirm = False  # an etag has turned out to be the MD5 of the content
        self._md5_is_needed = False  # the store has refused to do without, or has confirmed nothing

    def send(self, upload: Upload, number: int, data: Data, md5: bytes) -> Part:
        """As `ObjectClient.put_part` promises.

        Kind `stale` if the store takes no other part in the place of one that came wrong.
        """
        if not self._etags_confirm or self._md5_is_needed:
            return self._send_with_md5(upload, number, data, md5)
        try:
            part, confirmed = self._send(upload, number, data, md5, {})
        except StorageError as error:
            if not _is_refused(error):
                raise
            self._md5_is_needed = True
            return self._send_with_md5(upload, number, data, md5)
        return part if confirmed == md5 else self._send_again(upload, number, data, md5)

    def _send_with_md5(self, upload: Upload, number: int, data: Data, md5: bytes) -> Part:
        headers = {"content-md5": base64_text(md5)}
        part, confirmed = self._send(upload, number, data, md5, headers)
        if confirmed and confirmed != md5:
            raise mismatch(_DEED, upload.key)
        self._etags_confirm = bool(confirmed)
        return part

    def _send_again(self, upload: Upload, number: int, data: Data, md5: bytes) -> Part:
        self._md5_is_needed = True
        try:
            return self._send_with_md5(upload, number, data, md5)
        except StorageError as error:
            if not _is_refused(error):
                raise
            # Some gateways pass parts on as they come: such an upload has to begin anew.
            path, cause = upload.key.encode(), "a part came wrong, and is not taken again"
            raise StorageError(ErrorKind.STALE, RetryClass.NOW, _DEED, path, cause) from error

    def _send(
        self, upload: Upload, number: int, data: Data, md5: bytes, headers: Mapping[str, str]
    ) -> tuple[Part, bytes]:
        """The part, and the MD5 of what the store has got; empty if it does not tell."""
        query = {"partNumber": str(number), "uploadId": upload.id}
        answer, _ = self._requests.read(
            "PUT", upload.key, _DEED, query=query, headers=headers, body=data
        )
        etag = answer.get("etag", "").strip('"')
        return Part(number, len(data), etag, md5), md5_of_etag(etag, answer)


def _is_refused(error: StorageError) -> bool:
    """Whether it is this request that the store does not want, not the upload that is gone."""
    if isinstance(error, StorageUnavailable) or error.kind is ErrorKind.NOT_FOUND:
        return False
    return error.retry is RetryClass.NEVER
