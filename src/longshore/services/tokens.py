"""Signed tokens (JWT): keys to verify them with, and the user that one names.

The algorithm follows from the kind of the configured key and never from the token, so that no
token can ask for its signature to be checked in another way than the operator meant.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from longshore.config import Config, InvalidConfiguration
from longshore.database.connection import Database
from longshore.observability import logger
from longshore.services.jwks import KeySet
from longshore.services.principal import Principal
from longshore.services.token_keys import RSA_BITS_MINIMUM, VerificationKey
from longshore.services.users import UserRefused, check_name, user_of_token

SECRET_BYTES_MINIMUM = 32  # of HS256: as long as its hash, as RFC 7518 demands
TOKEN_CHARACTERS_MAXIMUM = 16_384

# What PyJWT raises itself, and what JSON of any depth and numbers of any size make it raise.
_UNREADABLE = (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError)


class JwtVerifier:
    """Turns tokens into principals. Safe to use from several threads."""

    def __init__(
        self,
        config: Config,
        database: Database,
        clock: Callable[[], float],
        *,
        keys: list[VerificationKey],
        key_set: KeySet | None,
    ) -> None:
        self._config = config
        self._database = database
        self._clock = clock
        self._keys = keys
        self._key_set = key_set

    def principal(self, token: str) -> Principal | None:
        """The user that the token names, added at the first visit; None if it does not verify.

        A token makes an administrator by its group alone. One that bears the name of a local
        administrator without that group is refused: whoever may choose a name at the issuer
        would otherwise become administrator here.
        """
        claims = self._claims(token)
        name = None if claims is None else _user_name(claims)
        if claims is None or name is None:
            return None
        administrator = self._is_administrator(claims)
        user = user_of_token(self._database, name, int(self._clock()))
        if user.administrator and not administrator:
            logger("tokens").warning("token names a local administrator", user=name)
            return None
        return Principal(user.id, user.name, administrator)

    def _claims(self, token: str) -> Mapping[str, Any] | None:
        if len(token) > TOKEN_CHARACTERS_MAXIMUM:
            return None
        try:
            key_id = jwt.get_unverified_header(token).get("kid")
        except _UNREADABLE:
            return None
        for key in self._candidates(key_id):
            try:
                return self._verified(token, key)
            except _UNREADABLE as error:
                logger("tokens").debug("token refused", reason=type(error).__name__)
        return None

    def _candidates(self, key_id: object) -> list[VerificationKey]:
        from_set = [] if self._key_set is None else self._key_set.matching(key_id)
        return [*self._keys, *from_set]

    def _verified(self, token: str, key: VerificationKey) -> Mapping[str, Any]:
        claims: dict[str, Any] = jwt.decode(
            token,
            key.key,
            algorithms=[key.algorithm],
            audience=self._config.jwt_audience,
            issuer=self._config.jwt_issuer,
            leeway=self._config.jwt_leeway_seconds,
            options={"require": ["exp", "iss", "aud"]},
        )
        return claims

    def _is_administrator(self, claims: Mapping[str, Any]) -> bool:
        wanted = self._config.jwt_administrator_group
        if not wanted:
            return False
        groups = _nested(claims, self._config.jwt_groups_claim)
        return wanted in groups if isinstance(groups, list) else groups == wanted


def open_token_verifier(
    config: Config,
    database: Database,
    clock: Callable[[], float],
    monotonic: Callable[[], float],
) -> JwtVerifier | None:
    """What the settings ask for; None without any key. Raises InvalidConfiguration."""
    keys = _configured_keys(config)
    key_set = None
    if config.jwt_jwks:
        key_set = KeySet(config.jwt_jwks, monotonic, cache_seconds=config.jwt_jwks_cache_seconds)
    if not keys and key_set is None:
        return None
    for name in ("jwt_issuer", "jwt_audience"):
        if not getattr(config, name):
            raise InvalidConfiguration(
                f"{name} is empty, but tokens are accepted only for a known issuer and audience"
            )
    return JwtVerifier(config, database, clock, keys=keys, key_set=key_set)


def _configured_keys(config: Config) -> list[VerificationKey]:
    keys = []
    if config.jwt_secret:
        secret = config.jwt_secret.encode()
        if len(secret) < SECRET_BYTES_MINIMUM:
            raise InvalidConfiguration(f"jwt_secret has less than {SECRET_BYTES_MINIMUM} bytes")
        keys.append(VerificationKey("HS256", secret))
    if config.jwt_public_key is not None:
        keys.append(_from_pem(config))
    return keys


def _from_pem(config: Config) -> VerificationKey:
    assert config.jwt_public_key is not None
    try:
        key = load_pem_public_key(config.jwt_public_key.read_bytes())
    except OSError as error:
        raise InvalidConfiguration(f"jwt_public_key cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise InvalidConfiguration("jwt_public_key is not a public key in PEM form") from error
    if isinstance(key, RSAPublicKey) and key.key_size >= RSA_BITS_MINIMUM:
        return VerificationKey("RS256", key)
    if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
        return VerificationKey("ES256", key)
    raise InvalidConfiguration(
        f"jwt_public_key is neither RSA of {RSA_BITS_MINIMUM} bits or more nor on curve P-256"
    )


def _user_name(claims: Mapping[str, Any]) -> str | None:
    name = claims.get("preferred_username") or claims.get("sub")
    if not isinstance(name, str):
        return None
    try:
        name.encode()
        check_name(name)
    except (UserRefused, UnicodeEncodeError):
        return None
    return name


def _nested(claims: Mapping[str, Any], path: str) -> object:
    """The claim of this name, or the one that the dotted name leads to."""
    if path in claims:
        return claims[path]
    found: object = claims
    for part in path.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found
