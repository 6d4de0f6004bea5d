"""Bodies of requests as typed values: what was given, and what of it could not be read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from longshore.services.errors import Kind, Problems

INTEGER_MINIMUM, INTEGER_MAXIMUM = -(2**63), 2**63 - 1  # what both databases can hold


def _storable(text: str) -> str:
    text.encode()  # half surrogates are no text; the error is a ValueError
    if "\0" in text:
        raise ValueError("NUL is not allowed")
    return text


_SWITCHES = {"0": 0, "1": 1, "false": 0, "true": 1}


def _switch(given: object) -> int:
    known = str(given).lower() if isinstance(given, str | int) else ""
    if known not in _SWITCHES:
        raise ValueError("neither 0 nor 1")
    return _SWITCHES[known]


Words = Annotated[str, AfterValidator(_storable)]
"""Text that both databases can hold."""

Whole = Annotated[int, Field(ge=INTEGER_MINIMUM, le=INTEGER_MAXIMUM)]
"""An integer of 64 bits."""

Switch = Annotated[int, BeforeValidator(_switch)]
"""0 or 1, also given as true, false or as text."""


class Input(BaseModel):
    """The root of all bodies. Fields are optional; unknown and read-only ones are ignored.

    Enums are declared `Annotated[TheEnum, Field(strict=False)] | None`.
    """

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)

    @classmethod
    def read(cls, body: Mapping[str, Any], problems: Problems) -> Self:
        """The body's fields; those that cannot be read are left out and added as `invalid`."""
        try:
            return cls.model_validate(body)
        except ValidationError as error:
            wrong = {str(each["loc"][0]) for each in error.errors() if each["loc"]}
        for name in sorted(wrong):
            problems.add(name, Kind.INVALID, value=body.get(name))
        return cls.model_validate({k: v for k, v in body.items() if k not in wrong})

    def given(self) -> dict[str, Any]:
        """The fields that the body had, with null as None."""
        return {name: getattr(self, name) for name in self.model_fields_set}

    def has(self, name: str) -> bool:
        """Whether the body had the field (null counts)."""
        return name in self.model_fields_set
