"""Listings of an S3 service that lag behind, and listings of Google that come in pages.

Both are changes that the forwarding proxy makes to what a real server answers.
"""

from __future__ import annotations

import json
import threading
from urllib.parse import parse_qs, unquote, unquote_plus, urlencode, urlsplit
from xml.etree import ElementTree as ET

_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
_NO_OBJECTS = ("uploads", "partNumber")  # in the query of requests that make none


class LateListings:
    """Keeps new objects of all buckets out of every listing until `settle`.

    They are there for everything else, as stores with listings that lag behind have it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._late: set[tuple[str, str]] = set()  # bucket and key
        self._listed: set[tuple[str, str]] = set()
        self.left_out = 0  # objects that listings would have shown

    def hide(self, bucket: str, *keys: str) -> None:
        """Leave these objects out, too, which were written another way."""
        with self._lock:
            hidden = {(bucket, key) for key in keys}
            self._late |= hidden
            self._listed -= hidden

    def settle(self) -> None:
        """Let listings show everything that has been written so far."""
        with self._lock:
            self._listed |= self._late
            self._late.clear()

    def asked(self, method: str, target: str) -> str:
        place, query = urlsplit(target), _query(target)
        if not _is_listing(method, query):
            return target
        # What is left out must not use up the room of what is shown.
        left = {name: values[0] for name, values in query.items() if name != "max-keys"}
        return place._replace(query=urlencode(left)).geturl()

    def answered(self, method: str, target: str, content: bytes) -> bytes:
        bucket, _, key = unquote(urlsplit(target).path).lstrip("/").partition("/")
        query = _query(target)
        if _is_listing(method, query):
            return self._without_late(bucket, content)
        with self._lock:
            if key and method == "DELETE" and "uploadId" not in query:
                self._late.discard((bucket, key))
                self._listed.discard((bucket, key))
            elif key and method in {"PUT", "POST"} and not any(n in query for n in _NO_OBJECTS):
                self._late |= {(bucket, key)} - self._listed
        return content

    def _without_late(self, bucket: str, content: bytes) -> bytes:
        ET.register_namespace("", _NAMESPACE)
        root = ET.fromstring(content)
        with self._lock:
            late = {key for name, key in self._late if name == bucket}
            listed = {key for name, key in self._listed if name == bucket}
        for element in list(root):
            kind = element.tag.rpartition("}")[2]
            if kind == "Contents":
                is_late = _text(element, "Key") in late
            elif kind == "CommonPrefixes":
                prefix = _text(element, "Prefix")
                is_late = any(key.startswith(prefix) for key in late)
                is_late = is_late and not any(key.startswith(prefix) for key in listed)
            else:
                continue
            if is_late:
                root.remove(element)
                self.left_out += 1
        return ET.tostring(root)


class GooglePages:
    """Gives the listings of Google's JSON interface in pages, which its emulator does not."""

    def __init__(self) -> None:
        self.pages = 0

    def asked(self, method: str, target: str) -> str:
        return target

    def answered(self, method: str, target: str, content: bytes) -> bytes:
        query = _query(target)
        if method != "GET" or not urlsplit(target).path.endswith("/o"):
            return content
        found = json.loads(content)
        names = sorted(
            [each["name"] for each in found.get("items", [])] + found.get("prefixes", [])
        )
        token = query.get("pageToken", [""])[0]
        size = int(query.get("maxResults", ["1000"])[0])
        page = [name for name in names if name > token][:size]
        self.pages += 1
        found["items"] = [each for each in found.get("items", []) if each["name"] in page]
        found["prefixes"] = [each for each in found.get("prefixes", []) if each in page]
        found.pop("nextPageToken", None)
        if page and page[-1] != names[-1]:
            found["nextPageToken"] = page[-1]
        return json.dumps(found).encode()


def _query(target: str) -> dict[str, list[str]]:
    return parse_qs(urlsplit(target).query, keep_blank_values=True)


def _is_listing(method: str, query: dict[str, list[str]]) -> bool:
    return method == "GET" and "list-type" in query


def _text(element: ET.Element, name: str) -> str:
    return unquote_plus(element.findtext(f"{{{_NAMESPACE}}}{name}") or "")
