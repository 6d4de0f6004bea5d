"""Files in the bodies of requests: `multipart/form-data` with one named field."""

from __future__ import annotations

from email.message import Message
from email.parser import BytesParser
from email.policy import HTTP

from longshore.services.errors import BadRequest, Invalid, Kind, Problem

MEDIA_TYPE = "multipart/form-data"


def file_of(content_type: str, body: bytes, field: str) -> bytes:
    """The content of the form's field. Raises BadRequest, Invalid when it is not there."""
    head = b"Content-Type: " + content_type.encode("latin-1", "replace") + b"\r\n\r\n"
    form = BytesParser(policy=HTTP).parsebytes(head + body)
    if not form.is_multipart():
        raise BadRequest("the body is no form: its boundary is missing")
    parts: list[Message] = form.get_payload()  # type: ignore[assignment]
    for part in parts:
        if part.get_param("name", header="content-disposition") == field:
            content = part.get_payload(decode=True)
            assert isinstance(content, bytes), "a part of a form is no form itself"
            return content
    raise Invalid(Problem(field, Kind.BLANK))
