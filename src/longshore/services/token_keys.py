"""Keys that verify signatures of tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

RSA_BITS_MINIMUM = 2_048


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A key and the one algorithm that it is good for. `id` is the key set's name for it."""

    algorithm: str
    key: Any  # bytes for HS256, else a public key of the cryptography package
    id: str | None = None
