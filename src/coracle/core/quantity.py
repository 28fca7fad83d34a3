"""Amounts of resources as Kubernetes writes them: `500m`, `128Mi`, `1e3`.

Kept exactly in billionths, the finest unit there is; finer input is rounded up.  `str()` is the canonical form: no
fraction, the largest suffix that loses nothing, in the family (decimal, binary, exponent) it was written in.

Source: Kubernetes API, resource.Quantity.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal, InvalidOperation
from functools import total_ordering
from typing import Literal

Family = Literal["decimal", "binary", "exponent"]

PATTERN = "^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$"
_NANO = 10**9
_LARGEST = (2**63 - 1) * _NANO
_TEXT = re.compile(PATTERN)
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_EXPONENT = re.compile("^[eE]([-+]?[0-9]{1,3})$")


@total_ordering
@dataclass(frozen=True, slots=True, eq=False)
class Quantity:
    """An amount of `nano` billionths.  Equal and ordered by amount, whatever the family."""

    nano: int
    family: Family = "decimal"

    @property
    def whole(self) -> int:
        """The amount in units (bytes, cores), rounded up."""
        return -(-self.nano // _NANO)

    @property
    def milli(self) -> int:
        """The amount in thousandths (millicores), rounded up."""
        return -(-self.nano // 10**6)

    def __add__(self, other: Quantity) -> Quantity:
        return Quantity(self.nano + other.nano, self.family if self.nano else other.family)

    def __sub__(self, other: Quantity) -> Quantity:
        return Quantity(self.nano - other.nano, self.family if self.nano else other.family)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Quantity) and self.nano == other.nano

    def __lt__(self, other: Quantity) -> bool:
        return self.nano < other.nano

    def __hash__(self) -> int:
        return hash(self.nano)

    def __bool__(self) -> bool:
        return self.nano != 0

    def __str__(self) -> str:
        if not self.nano:
            return "0"
        if self.family == "binary" and abs(self.nano) >= 1024 * _NANO:
            return _binary(self.whole)
        return _decimal(self.nano, self.family)


ZERO = Quantity(0)


def parse(value: object) -> Quantity:
    """The amount that JSON's text or number `value` stands for.  Raises ValueError, worded as Kubernetes words it."""
    text = value if isinstance(value, str) else _number(value)
    found = _TEXT.match(text)
    if found is None:
        raise ValueError(f"quantities must match the regular expression '{PATTERN}'")
    try:
        digits = Decimal(found[1])
    except InvalidOperation:
        raise ValueError("unable to parse numeric part of quantity") from None
    factor, family = _suffix(found[2])
    nano = int((digits * factor * _NANO).to_integral_value(ROUND_CEILING))
    return Quantity(max(-_LARGEST, min(nano, _LARGEST)), family)


def parse_all(given: Mapping[str, object] | None) -> dict[str, Quantity]:
    """Amounts by resource.  Raises ValueError."""
    return {name: parse(value) for name, value in (given or {}).items()}


def canonical(value: object) -> str:
    """`value` as the API server shows it.  Raises ValueError."""
    return str(parse(value))


def _number(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"quantities must match the regular expression '{PATTERN}'")
    return str(value)


def _suffix(text: str) -> tuple[Decimal, Family]:
    if text in _DECIMAL:
        return Decimal(10) ** _DECIMAL[text], "decimal"
    if text in _BINARY:
        return Decimal(2 ** _BINARY[text]), "binary"
    found = _EXPONENT.match(text)
    if found is None:
        raise ValueError("unable to parse quantity's suffix")
    return Decimal(10) ** int(found[1]), "exponent"


def _decimal(nano: int, family: Family) -> str:
    for suffix, power in sorted(_DECIMAL.items(), key=lambda item: -item[1]):
        unit = 10 ** (9 + power)
        if nano % unit == 0:
            shown = suffix if family != "exponent" or not power else f"e{power}"
            return f"{nano // unit}{shown}"
    raise AssertionError("every amount is a whole number of billionths")


def _binary(whole: int) -> str:
    for suffix, bits in sorted(_BINARY.items(), key=lambda item: -item[1]):
        if whole % 2**bits == 0:
            return f"{whole // 2**bits}{suffix}"
    return str(whole)
