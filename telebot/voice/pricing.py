"""What a piece of work cost: exact, by the catalogue's prices; None where a price is not known.

Decimal all the way, from the figures as they are written in `config/providers.yaml`; rounded once,
half to even, to a billionth of the currency (`NANO`), which is how the record keeps it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal

from telebot.providers.catalogue import BILLS, TOKENS, Catalogue, Price
from telebot.providers.clips import Use

NANO = Decimal("0.000000001")
FREE = Decimal(0)


@dataclass(frozen=True, slots=True)
class Cost:
    """`amount` is None where the price, or what is billed, is not known; `verified` says whether
    the price was seen at the vendor's or told alike by two sources."""

    amount: Decimal | None
    currency: str
    verified: bool
    sources: tuple[str, ...] = ()
    as_of: date | None = None

    @property
    def nanos(self) -> int | None:
        """Billionths of the currency."""
        return None if self.amount is None else int(self.amount / NANO)


def cost_of(
    catalogue: Catalogue, kind: str, provider: str, uses: Iterable[Use], currency: str
) -> Cost:
    """What `uses` cost at `provider` (``vendor/model``). Of several measures of the same work
    (seconds and tokens) the one counts that the vendor bills. A price in another currency than the
    records' is not known here."""
    if catalogue.is_free(provider):
        return Cost(FREE, currency, True)
    found = catalogue.priced(kind, provider)
    if found is None:
        return Cost(None, currency, False)
    price, as_of = found
    if price.currency != currency:
        return Cost(None, currency, price.verified, price.source, as_of)
    uses = list(uses)
    amount, verified = _amount(price, uses), price.verified
    if amount is None and price.a_character:
        amount, verified = _by_characters(price, uses), False  # about
    return Cost(amount, currency, verified, price.source, as_of)


def _amount(price: Price, uses: list[Use]) -> Decimal | None:
    billed, many = BILLS[price.unit]
    if billed == "tokens":
        parts = [_tokens(price, use) for use in uses if use.unit in TOKENS]
    else:
        parts = [_part(price.amount, use) for use in uses if use.unit == billed]
    if not parts:
        return None
    total = Decimal(0)
    for part in parts:
        if part is None:
            return None
        total += part
    return (total / Decimal(str(many))).quantize(NANO, ROUND_HALF_EVEN)


def _by_characters(price: Price, uses: list[Use]) -> Decimal | None:
    """What so many characters cost about, where tokens are billed that nobody tells."""
    many = sum((Decimal(str(use.quantity)) for use in uses if use.unit == "characters"), Decimal(0))
    if not many:
        return None
    one = sum(
        (Decimal(str(price.amounts[name])) * Decimal(str(n)) for name, n in
         price.a_character.items()),
        Decimal(0),
    )  # fmt: skip
    total = one * many / Decimal(str(BILLS[price.unit][1]))
    return total.quantize(NANO, ROUND_HALF_EVEN)


def _part(amount: float | None, use: Use) -> Decimal | None:
    return None if amount is None else Decimal(str(amount)) * Decimal(str(use.quantity))


def _tokens(price: Price, use: Use) -> Decimal | None:
    """None where the price knows several sorts of what was counted as one."""
    given = [name for name in TOKENS[use.unit] if name in price.amounts]
    return _part(price.amounts[given[0]], use) if len(given) == 1 else None
