"""In which order the offers are tried: what the request names, what it prefers, who is well.

Pure but for the breakers it reads. Next: `attempts.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from telebot.call.errors import ApiError, ProviderConfigError
from telebot.providers import registry
from telebot.providers.breaker import Breaker, Breakers
from telebot.providers.resources import Resources
from telebot.voice.offers import LOCAL, Offer, Offers, Work, Worker
from telebot.voice.permits import ANY, Permit
from telebot.voice.preferences import ANYBODY, MaxPrice, Preferences, fits

UNKNOWN = float("inf")
# what is done by those who can, or not at all: another language is no translation
NO_LESS = frozenset({"translate"})
MOST_TRIED = 6
Usual = tuple[str | Mapping[str, Any], ...] | None


@dataclass(frozen=True, slots=True)
class KeySource:
    """One way to build providers: with the house's keys, or with one key of the request's owner,
    which opens one `provider` and maybe only some `models` of it. `permit` is what the owner may
    use at all, the same in all of a request's sources."""

    resources: Resources
    own: bool = False
    provider: str = ""
    models: frozenset[str] = frozenset()
    permit: Permit = ANY

    def opens(self, provider: str, model: str) -> bool:
        """Whether that model may be asked by this key, for this owner."""
        return self.fits(provider, model) and self.permit.opens(provider, model)

    def fits(self, provider: str, model: str) -> bool:
        """Whether this key is for that model."""
        if not self.own:
            return True
        return provider == self.provider and (not self.models or model in self.models)


# in the order in which they are tried
Keys = Sequence[KeySource]


@dataclass(frozen=True, slots=True)
class Wish:
    """What a request asks for, as far as it decides who may do it."""

    work: Work
    model: str | None = None
    prefers: Preferences = ANYBODY
    needs: frozenset[str] = frozenset()  # abilities
    # who is asked where the request names nobody, instead of all that there are: an agent's own
    usual: Usual = None
    local: Worker | None = None  # what this machine does itself, where that depends on the request

    @property
    def at_home(self) -> bool:
        """Whether nobody else than this machine can come into question."""
        return (
            self.model in (None, LOCAL)
            and not self.prefers.order
            and self.usual is not None
            and set(map(str, self.usual)) == {LOCAL}
        )


class Router:
    """Puts the offers for a wish in order."""

    def __init__(self, offers: Offers, breakers: Breakers) -> None:
        self._offers = offers
        self._breakers = breakers

    def breaker(self, offer: Offer) -> Breaker:
        """The breaker that counts this offer's failures, shared with the calls."""
        return self._breakers.of(offer.work, offer.name, offer.account)

    def ordered(self, wish: Wish, keys: Keys) -> list[Offer]:
        """Whom to ask, the first one first. Raises `ApiError`: nobody is called so (404), or there
        is nobody that may (400), or not for this key (403)."""
        found = self._named(wish, keys)
        prefers = wish.prefers
        first = self._of(wish, keys, prefers.order)
        rest = self._rest(wish, keys) if prefers.allow_fallbacks or not (found or first) else []
        whole = [*found, *first, *self._sorted(rest, prefers)]
        permit = keys[0].permit
        wanted = [offer for offer in whole if self._may(offer, wish)]
        fit = _once(offer for offer in wanted if self._open(permit, offer))
        if wanted and not fit:
            raise _barred(permit, wanted[0])
        if not fit:
            can = f" and that can {', '.join(lacking)}" if (lacking := wish.needs & NO_LESS) else ""
            message = f"No provider is left that this request allows{can}."
            raise ApiError(400, "no_provider", message, "provider")
        if not prefers.allow_fallbacks:
            fit = fit[:1]
        return self._well_first(fit)[:MOST_TRIED]

    def _named(self, wish: Wish, keys: Keys) -> list[Offer]:
        """The model that the request names, with every key that there is for it."""
        if wish.model is None:
            return []
        offers, why = [], "no key for it"
        for source in keys:
            try:
                offer = self._offer(wish, wish.model, source)
                if source.fits(offer.provider, offer.model):
                    offers.append(offer)
            except ProviderConfigError as error:
                why = str(error)
        if not offers:
            raise ApiError(404, "model_not_found", f"{why}.".replace("..", "."), "model")
        permit = keys[0].permit
        if not any(self._open(permit, offer) for offer in offers):
            raise _barred(permit, offers[0])
        return offers

    def _offer(self, wish: Wish, wanted: str | Mapping[str, Any], source: KeySource) -> Offer:
        return self._offers.named(
            wish.work, wanted, source.resources, own=source.own, local=wish.local
        )

    def _of(self, wish: Wish, keys: Keys, names: Sequence[str | Mapping[str, Any]]) -> list[Offer]:
        """The providers of a list, those without a key left out."""
        found = []
        for name in names:
            for source in keys:
                try:
                    offer = self._offer(wish, name, source)
                except ProviderConfigError:
                    continue
                if source.fits(offer.provider, offer.model):
                    found.append(offer)
        return found

    def _rest(self, wish: Wish, keys: Keys) -> list[Offer]:
        """Everybody else with a key: the usual ones first, this machine last."""
        if wish.usual is not None:
            return self._of(wish, keys, wish.usual)
        usual = [name for name in registry.DEFAULTS[wish.work] if name not in registry.OURS]
        found = self._of(wish, keys, [*usual, *keys[0].permit.names()])
        for source in keys:
            ready = self._offers.ready(
                wish.work,
                source.resources,
                own=source.own,
                local=wish.local,
                provider=source.provider,
            )
            found += [offer for offer in ready if source.fits(offer.provider, offer.model)]
        if wish.needs & NO_LESS and not any(wish.needs <= one.worker.abilities for one in found):
            found += self._of(wish, keys, self._offers.models(wish.work))  # not their usual ones
        return sorted(_once(found), key=lambda offer: offer.provider in registry.OURS)

    def _sorted(self, offers: list[Offer], prefers: Preferences) -> list[Offer]:
        if prefers.sort == "price":
            return sorted(offers, key=self._price)
        if prefers.sort in ("latency", "throughput"):
            return sorted(offers, key=self._latency)
        slow = prefers.preferred_max_latency
        if slow is None:
            return offers
        return sorted(offers, key=lambda offer: slow < self._latency(offer) < UNKNOWN)

    def _open(self, permit: Permit, offer: Offer) -> bool:
        """Whether the owner may use it. A budget holds only where it is known what things cost."""
        if not permit.opens(offer.provider, offer.model):
            return False
        free = offer.own_key or self._offers.is_server(offer.provider)
        return permit.monthly_budget is None or free or self._offers.price(offer) is not None

    def _price(self, offer: Offer) -> float:
        price = self._offers.price(offer)
        return UNKNOWN if price is None else float(price)

    def _latency(self, offer: Offer) -> float:
        known = self.breaker(offer).latency_s()
        return UNKNOWN if known is None else known

    def _may(self, offer: Offer, wish: Wish) -> bool:
        prefers = wish.prefers
        names = (offer.provider, offer.model)
        if prefers.only and not any(fits(name, *names) for name in prefers.only):
            return False
        if any(fits(name, *names) for name in prefers.ignore):
            return False
        needed = wish.needs if prefers.require_parameters else wish.needs & NO_LESS
        if not needed <= offer.worker.abilities:
            return False
        if prefers.data_collection == "deny" and offer.provider not in registry.OURS:
            return False  # of no vendor it is known for certain
        most = prefers.max_price
        return most is None or not self._too_dear(offer, most)

    def _too_dear(self, offer: Offer, most: MaxPrice) -> bool:
        """A price that is not known is too much."""
        for unit, limit in most.limits(offer.work).items():
            price = self._offers.unit_price(offer, unit)
            if limit is not None and (price is None or float(price) > limit):
                return True
        return False

    def _well_first(self, offers: list[Offer]) -> list[Offer]:
        """Those whose breaker is open go last: they may be all there is. One before the first that
        is well, whose time to be tried again has come, keeps its place: nobody else may be there
        to try it."""
        well: list[Offer] = []
        ill: list[Offer] = []
        tries = False
        for offer in offers:
            breaker = self.breaker(offer)
            if breaker.closed():
                well.append(offer)
            elif not well and not tries and breaker.may_probe():
                tries = True
                well.append(offer)
            else:
                ill.append(offer)
        return [*well, *ill]


def _barred(permit: Permit, offer: Offer) -> ApiError:
    if permit.opens(offer.provider, offer.model):
        why = f"This key has a budget, and the price of {offer.name} is not known"
        return ApiError(403, "price_unknown", f"{why}.", "model")
    return ApiError(403, "model_not_allowed", f"{permit.told()}.", "model")


def _once(offers: Iterator[Offer] | list[Offer]) -> list[Offer]:
    """Each provider, model and key once."""
    seen: dict[tuple[str, str, bool], Offer] = {}
    for offer in offers:
        seen.setdefault((offer.name, offer.account, offer.own_key), offer)
    return list(seen.values())
