"""Entity tags: a client changes only what it has seen.

A tag stands for everything that an answer shows, so it changes with the progress of a run, too.
"""

from __future__ import annotations

import xxhash

from longshore.api.rendering import encode
from longshore.services.errors import PreconditionFailed


def entity_tag(shown: object) -> str:
    """The tag of a resource as the api shows it."""
    return f'"{xxhash.xxh3_128_hexdigest(encode(shown))}"'


def check_match(if_match: str | None, shown: object) -> None:
    """Return if the header names the resource's present state. Raises PreconditionFailed."""
    if if_match is None:
        return
    wanted = {each.strip() for each in if_match.split(",")}
    if "*" not in wanted and entity_tag(shown) not in wanted:
        raise PreconditionFailed("the resource is not in the state that If-Match names any more")
