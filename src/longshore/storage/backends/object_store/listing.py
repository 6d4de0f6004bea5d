"""Listings of services that cannot begin in the middle, cut to what was asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from longshore.storage.backends.object_store.client import Page


def listed_after(pages: Iterable[Page], after: str, limit: int) -> Iterator[Page]:
    """What comes after the key, at most `limit` names (0: no limit). A folded prefix that the key
    lies in comes, too. Pages are taken only as far as they are needed."""
    left = limit
    for whole in pages:
        page = _behind(whole, after) if after else whole
        if limit:
            page = _first(page, left)
            left -= len(page.objects) + len(page.prefixes)
        yield page
        if limit and left <= 0:
            return


def _behind(page: Page, after: str) -> Page:
    border = after.encode()
    objects = [stat for stat in page.objects if stat.key.encode() > border]
    prefixes = [p for p in page.prefixes if p.encode() > border or _is_inside(after, p)]
    return Page(objects, prefixes)


def _is_inside(key: str, prefix: str) -> bool:
    return key != prefix and key.startswith(prefix)


def _first(page: Page, count: int) -> Page:
    """The first names, whichever list they are in."""
    if len(page.objects) + len(page.prefixes) <= count:
        return page
    names = sorted([*(stat.key for stat in page.objects), *page.prefixes], key=str.encode)
    kept = set(names[:count])
    return Page(
        [stat for stat in page.objects if stat.key in kept],
        [prefix for prefix in page.prefixes if prefix in kept],
    )
