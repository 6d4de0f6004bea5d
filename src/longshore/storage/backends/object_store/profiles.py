"""What is known of each S3 provider, and what its connector may say otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from longshore.storage.backends.object_store.client import Abilities

MEBIBYTE: Final = 1024 * 1024
REQUESTS_MAXIMUM: Final = 256  # in flight; each has a connection of its own
SECONDS_MAXIMUM: Final = 3600  # of a time-out; who waits longer does not notice a lost store


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """How to talk to one provider."""

    endpoint: str = ""  # where its own addresses follow from the region; `{region}` is put in
    virtual_hosts: bool = False  # the bucket stands in the host's name instead of the path
    checksum: str = ""  # sent as `x-amz-checksum-…` besides Content-MD5, and kept by the store
    abilities: Abilities = Abilities()


_CAREFUL: Final = Abilities(conditional_create=False, volleys=True)
_CONDITIONAL: Final = Abilities(conditional_create=True, volleys=True)

PROFILES: Final[Mapping[str, Profile]] = {
    "generic_s3": Profile(abilities=_CAREFUL),
    "amazon_aws_s3": Profile(
        endpoint="https://s3.{region}.amazonaws.com",
        virtual_hosts=True,
        checksum="crc32",
        abilities=_CONDITIONAL,
    ),
    "cloudian_hyperstore": Profile(abilities=_CAREFUL),
    "scality_ring": Profile(abilities=_CAREFUL),
    "dell_emc_ecs": Profile(abilities=_CAREFUL),
    "wasabi": Profile(endpoint="https://s3.{region}.wasabisys.com", abilities=_CAREFUL),
}
"""A connector of kind generic_s3 says by `conditional_create=1` that its store refuses to replace
(Ceph does): a store that ignores the condition would replace without a word."""


class InvalidSetting(ValueError):
    """A setting of a connector or bucket that means nothing."""


def profile_of(provider: str, options: Mapping[str, str]) -> Profile:
    """The profile with what the options of the connector say otherwise. Raises InvalidSetting."""
    try:
        profile = PROFILES[provider]
    except KeyError:
        raise InvalidSetting(f"no S3 provider: {provider!r}") from None
    abilities = msgspec.structs.replace(
        profile.abilities,
        conditional_create=switch(
            options, "conditional_create", profile.abilities.conditional_create
        ),
        requests_maximum=number(
            options, "requests_maximum", profile.abilities.requests_maximum, 1, REQUESTS_MAXIMUM
        ),
        part_bytes_minimum=number(
            options,
            "part_bytes_minimum",
            profile.abilities.part_bytes_minimum,
            MEBIBYTE,
            64 * MEBIBYTE,
        ),
        metadata_value_bytes_maximum=number(
            options,
            "metadata_value_bytes_maximum",
            profile.abilities.metadata_value_bytes_maximum,
            64,
            2048,
        ),
        folder_marker=options.get("folder_marker", profile.abilities.folder_marker),
    )
    return msgspec.structs.replace(
        profile,
        virtual_hosts=_addressing(options, profile.virtual_hosts),
        checksum=_checksum(options, profile.checksum),
        abilities=abilities,
    )


def adjusted(abilities: Abilities, options: Mapping[str, str]) -> Abilities:
    """The abilities of another provider with what the options say otherwise. InvalidSetting."""
    return msgspec.structs.replace(
        abilities,
        conditional_create=switch(options, "conditional_create", abilities.conditional_create),
        requests_maximum=number(
            options, "requests_maximum", abilities.requests_maximum, 1, REQUESTS_MAXIMUM
        ),
    )


def seconds(options: Mapping[str, str], name: str, default: float) -> float:
    """A time-out among the options. Raises InvalidSetting."""
    return float(number(options, name, round(default), 1, SECONDS_MAXIMUM))


def switch(options: Mapping[str, str], name: str, default: bool) -> bool:
    """An option that is 0 or 1. Raises InvalidSetting."""
    value = options.get(name, "")
    if value not in {"", "0", "1"}:
        raise InvalidSetting(f"{name} has to be 0 or 1")
    return value == "1" if value else default


def printable(options: Mapping[str, str], name: str) -> str:
    """An option that is sent as a header; "" if it is not there. Raises InvalidSetting."""
    value = options.get(name, "")
    if not (value.isascii() and value.isprintable()):
        raise InvalidSetting(f"{name} has to be printable ASCII")
    return value


def number(options: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    """An option that is a number from `least` to `most`. Raises InvalidSetting."""
    text = options.get(name, "")
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
        raise InvalidSetting(f"{name} has to be a number from {least} to {most}")
    return int(text)


def _addressing(options: Mapping[str, str], default: bool) -> bool:
    value = options.get("addressing", "")
    if value not in {"", "path", "virtual"}:
        raise InvalidSetting("addressing has to be path or virtual")
    return value == "virtual" if value else default


def _checksum(options: Mapping[str, str], default: str) -> str:
    value = options.get("checksum", "")
    if value not in {"", "md5", "crc32", "sha256"}:
        raise InvalidSetting("checksum has to be md5, crc32 or sha256")
    return default if not value else value.replace("md5", "")
