"""What is known of the vendors: their models' prices, and which of them are gone.

`config/providers.yaml`, read once. `registry.py` asks it before it builds a service, the records
ask it what a call's use costs. Knows no vendor by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from fnmatch import fnmatchcase
from functools import cache, lru_cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from telebot.call.model import UnitPrice
from telebot.config_file import SettingsError, read

MOST_PRICED = 1000  # models whose prices are remembered; requests name them
FILE, PRICES = "providers.yaml", "prices.yaml"
OPERATOR, ASSUMED = "operator", "assumed"  # sources of prices
SHIPPED = Path(__file__).resolve().parents[2] / "config"

Amount = Annotated[float, Field(gt=0)]  # a price of nothing would hide one that is not known
ModelKind = Literal["stt", "llm", "tts", "realtime"]
TokenName = Literal[
    "text_in", "text_out", "text_cached_in", "audio_in", "audio_out", "audio_cached_in"
]

# unit of a price → the unit of use it bills, and how many of them it is for
BILLS: dict[str, tuple[str, float]] = {
    "second": ("s", 1),
    "minute": ("s", 60),
    "hour": ("s", 3600),
    "socket_hour": ("socket_s", 3600),
    "character": ("characters", 1),
    "1m_characters": ("characters", 1e6),
    "token": ("tokens", 1),
    "1m_tokens": ("tokens", 1e6),
}
# unit of use → the amounts it may stand for; with more than one of them given it is not clear which
TOKENS: dict[str, tuple[TokenName, ...]] = {
    "tokens_in": ("text_in", "audio_in"),
    "tokens_out": ("text_out", "audio_out"),
    "text_tokens_in": ("text_in",),
    "text_tokens_out": ("text_out",),
    "audio_tokens_in": ("audio_in",),
    "audio_tokens_out": ("audio_out",),
    "cached_tokens_in": ("text_cached_in", "audio_cached_in"),
}


class Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Price(Row):
    """What `unit` costs; tokens have an amount for each sort. None: not known."""

    unit: Literal[
        "second",
        "minute",
        "hour",
        "socket_hour",
        "character",
        "1m_characters",
        "token",
        "1m_tokens",
    ]
    amount: Amount | None = None
    amounts: Mapping[TokenName, Amount] = {}
    # of what bills tokens that nobody tells: about so many tokens a character
    a_character: Mapping[TokenName, Amount] = {}
    currency: str = Field(pattern=r"^[A-Z]{3}$")
    source: tuple[str, ...] = ()
    verified: bool = False
    note: str = ""

    @property
    def known(self) -> bool:
        """Whether it says any amount."""
        return self.amount is not None or bool(self.amounts)

    @model_validator(mode="after")
    def _tokens_have_amounts(self) -> Price:
        if self.amounts and BILLS[self.unit][0] != "tokens":
            raise ValueError(f"a {self.unit} has one `amount:`; `amounts:` are of tokens")
        if missing := self.a_character.keys() - self.amounts.keys():
            raise ValueError(f"`a_character:` has {min(missing)}, which has no amount")
        return self

    def of(self, unit: str) -> float | None:
        """The price of one `unit` of use; None where it is not billed, or not known."""
        billed, many = BILLS[self.unit]
        if unit == "characters" and self.a_character:
            return sum(self.amounts[name] * n for name, n in self.a_character.items()) / many
        if billed == "tokens":
            given = [name for name in TOKENS.get(unit, ()) if name in self.amounts]
            return self.amounts[given[0]] / many if len(given) == 1 else None
        return self.amount / many if unit == billed and self.amount is not None else None


class Model(Row):
    """One model of a vendor. `matches`: names of models or voices that cost the same."""

    kind: ModelKind
    languages: str | None = None  # how many, as the vendor says
    streaming: bool | None = None
    matches: tuple[str, ...] = ()
    price: Price | None = None
    shutdown_date: date | None = None
    replacement: str | None = None


class Vendor(Row):
    """A vendor, or the part of one that is sold by itself."""

    name: str
    kind: Literal["stt", "llm", "tts", "realtime", "conversational", "hybrid"]
    status: Literal["active", "retiring", "retired"]
    served_as: tuple[str, ...] = ()
    same_as: str | None = None
    parts: tuple[str, ...] = ()
    key: str | None = None
    docs: tuple[str, ...] = ()
    as_of: date
    verified: bool = False
    shutdown_date: date | None = None
    shutdown_note: str = ""
    replacement: str | None = None
    note: str = ""
    models: Mapping[str, Model] = {}

    def offers(self, kind: str | None) -> bool:
        """Whether it has, or had, models of this kind."""
        if self.status == "retired":
            return True
        kinds = {model.kind for model in self.models.values()}
        return kind is None or kind == self.kind or kind in kinds

    def model(self, name: str, kind: str | None) -> Model | None:
        """The model of this name, else the first whose `matches` fit it."""
        of_kind = {n: m for n, m in self.models.items() if kind in (None, m.kind)}
        if name in of_kind:
            return of_kind[name]
        fits = (
            model
            for model in of_kind.values()
            if any(fnmatchcase(name, pattern) for pattern in model.matches)
        )
        return next(fits, None)


class File(Row):
    as_of: date
    free: tuple[str, ...] = ()
    vendors: Mapping[str, Vendor] = {}


class OwnPrice(Price):
    """What an operator says that something costs. `model` is as in the records
    (``vendor/model``); with a ``*`` in it, it counts where no other price is known."""

    model: str = Field(min_length=1, max_length=256)
    kind: ModelKind | Literal["carrier"] | None = None

    @property
    def assumed(self) -> bool:
        """It stands for whatever is not known."""
        return "*" in self.model

    def of_model(self, kind: str, provider: str) -> bool:
        """Whether it is this model's."""
        return self.kind in (None, kind) and fnmatchcase(provider, self.model)


class OwnPrices(Row):
    """`config/prices.yaml`."""

    prices: tuple[OwnPrice, ...] = ()


class Catalogue:
    """The vendors by their ids, and the answers about them. `own` prices go before those of the
    file, but for assumed ones, which come after."""

    def __init__(self, file: File, own: Sequence[OwnPrice] = ()) -> None:
        self.file = file
        self._own = tuple(own)
        self.as_of = file.as_of
        self.vendors = file.vendors
        self._free = frozenset(file.free)
        self._priced = lru_cache(MOST_PRICED)(self._find_price)

    def price(self, kind: str, provider: str, unit: str) -> UnitPrice | None:
        """What one `unit` (of `call.model.Usage`) costs at `provider` (``vendor/model``). None
        where it is not known; nothing for what runs on this machine."""
        if self.is_free(provider):
            return UnitPrice(0.0, "")
        found = self.priced(kind, provider)
        amount = None if found is None else found[0].of(unit)
        return None if found is None or amount is None else UnitPrice(amount, found[0].currency)

    def is_free(self, provider: str) -> bool:
        """True for what runs on this machine."""
        return provider.partition("/")[0] in self._free

    def priced(self, kind: str, provider: str) -> tuple[Price, date] | None:
        """The price of a provider's model, and when it was seen: the operator's own, else as it
        stands in the file, else what the operator assumes."""
        return self._priced(kind, provider)

    def _find_price(self, kind: str, provider: str) -> tuple[Price, date] | None:
        if own := self._own_price(kind, provider, assumed=False):
            return own
        vendor, _, name = provider.partition("/")
        for entry in self._named(vendor):
            model = entry.model(name, kind)
            if model is not None and model.price is not None and model.price.known:
                return model.price, entry.as_of
        return self._own_price(kind, provider, assumed=True)

    def _own_price(self, kind: str, provider: str, *, assumed: bool) -> tuple[Price, date] | None:
        for price in self._own:
            if price.assumed is assumed and price.of_model(kind, provider):
                return price, self.as_of
        return None

    def gone(self, vendor: str, model: str | None, on: date, kind: str | None = None) -> str | None:
        """Why a call cannot use this vendor, or this model of it, on that day: since when it is
        gone, and what to write instead. None where it can, or nothing is known."""
        told = self._ending(vendor, model, kind)
        if told is None or not told.over(on):
            return None
        return f"{told.who} was shut down {told.when}{told.instead}"

    def leaving(
        self, vendor: str, model: str | None, on: date, kind: str | None = None
    ) -> str | None:
        """The same of what still answers on that day and will be shut down: a warning."""
        told = self._ending(vendor, model, kind)
        if told is None or told.over(on):
            return None
        return f"{told.who} will be shut down {told.when}{told.instead}"

    def _named(self, vendor: str) -> Iterator[Vendor]:
        for name, entry in self.vendors.items():
            if vendor == name or vendor in entry.served_as:
                yield entry

    def _ending(self, vendor: str, name: str | None, kind: str | None) -> _Ending | None:
        entries = [entry for entry in self._named(vendor) if entry.offers(kind)]
        for entry in entries:
            model = entry.model(name, kind) if name else None
            if model is not None and model.shutdown_date is not None:
                who = f"{name} of {entry.name}"
                return _Ending(who, model.shutdown_date, "", model.replacement)
        ends = [entry for entry in entries if entry.status != "active"]
        if not ends or len(ends) < len(entries):  # another part of the vendor goes on
            return None
        last = ends[0]
        return _Ending(last.name, last.shutdown_date, last.shutdown_note, last.replacement)


class _Ending:
    """When something stops, and what comes after it."""

    def __init__(self, who: str, day: date | None, note: str, replacement: str | None) -> None:
        self.who = who
        self._day = day
        self.when = f"on {day}" if day else note or "on a day that is not known"
        self.instead = f"; use {replacement} instead" if replacement else ""

    def over(self, on: date) -> bool:
        return self._day is None or on >= self._day


def load(config_dir: Path) -> Catalogue:
    """The catalogue of a configuration folder; the one shipped where it has none; with the
    operator's own prices. Raises SettingsError, which says file and line of every fault."""
    path, own = config_dir / FILE, _own_prices(config_dir / PRICES)
    if not path.is_file():
        known = shipped()
        return Catalogue(known.file, own) if own else known
    file = read(path)
    checked = file.checked(File)
    for name, vendor in checked.vendors.items():
        for other in (*vendor.parts, *([vendor.same_as] if vendor.same_as else ())):
            if other not in checked.vendors:
                where = file.sources[f"vendors.{name}"]
                raise SettingsError(f"{where}: vendors.{name}: no vendor {other!r} in this file")
    return Catalogue(checked, own)


def _own_prices(path: Path) -> tuple[OwnPrice, ...]:
    """The operator's prices, told as such. Raises SettingsError."""
    if not path.is_file():
        return ()
    told = (
        price.model_copy(update={
            "source": price.source or (ASSUMED if price.assumed else OPERATOR,),
            "verified": not price.assumed,
        })
        for price in read(path).checked(OwnPrices).prices
    )  # fmt: skip
    return tuple(told)


@cache
def shipped() -> Catalogue:
    """The catalogue that comes with telebot."""
    return load(SHIPPED) if (SHIPPED / FILE).is_file() else Catalogue(File(as_of=date.min))
