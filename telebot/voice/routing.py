"""In which order the offers are tried: what the request names, what it prefers, who is well.

Pure but for the breakers it reads. Next: `attempts.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from telebot.call.errors import ApiError, ProviderConfigError
from telebot.providers import registry
from telebot.providers.breaker import Breaker, Breakers
from telebot.providers.resources import Resources
from telebot.voice.offers import LOCAL, Means, Offer, Offers, Wanted, Work, Worker
from telebot.voice.permits import ANY, Permit
from telebot.voice.preferences import ANYBODY, MaxPrice, Preferences, fits

UNKNOWN = float("inf")
# what is done by those who can, or not at all: another language is no translation
NO_LESS = frozenset({"translate"})
MOST_TRIED = 6
# what prices are told by
A = {
    "s": "minute", "characters": "million characters",
    "tokens_in": "million tokens read", "tokens_out": "million tokens written",
}  # fmt: skip
Usual = tuple[Wanted, ...] | None


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

    def means(self, local: Worker | None = None) -> Means:
        """What offers are built with."""
        return Means(self.resources, self.own, local)

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


@dataclass(frozen=True, slots=True)
class Skipped:
    """Somebody who could have been asked, and why they are not."""

    provider: str
    why: str

    def told(self) -> dict[str, str]:
        """For who asks."""
        return {"provider": self.provider, "why": self.why}


class LineUp(list[Offer]):
    """Whom to ask, the first one first; `skipped` are the others, each once."""

    def __init__(self, offers: Iterable[Offer], skipped: Iterable[Skipped] = ()) -> None:
        super().__init__(offers)
        self.skipped = tuple(dict.fromkeys(skipped))


class Router:
    """Puts the offers for a wish in order."""

    def __init__(self, offers: Offers, breakers: Breakers) -> None:
        self._offers = offers
        self._breakers = breakers

    def breaker(self, offer: Offer) -> Breaker:
        """The breaker that counts this offer's failures, shared with the calls."""
        return self._breakers.of(offer.work, offer.name, offer.account)

    def known(self, kind: str, providers: Collection[str]) -> list[Breaker]:
        """The breakers of these providers' models that were used for one kind of work."""
        return [
            each
            for each in self._breakers
            if each.kind == kind and each.name.partition("/")[0] in providers
        ]

    def ordered(self, wish: Wish, keys: Keys) -> LineUp:
        """Whom to ask, the first one first. Raises `ApiError`: nobody is called so (404), or there
        is nobody that may (400), or not for this key (403)."""
        found = self._named(wish, keys)
        prefers, skipped = wish.prefers, list[Skipped]()
        first = self._of(wish, keys, prefers.order, skipped)
        only = self._of(wish, keys, prefers.only, skipped)
        rest = []
        if prefers.allow_fallbacks or not (found or first):
            rest = self._sorted(self._rest(wish, keys, only), prefers)
        permit = keys[0].permit
        wanted, fit = list[Offer](), list[Offer]()
        for offer in _once([*found, *first, *rest]):
            why = self._why_not(offer, wish)
            wanted += [] if why else [offer]
            why = why or self._closed(permit, offer)
            if why:
                skipped.append(Skipped(offer.name, why))
            else:
                fit.append(offer)
        if wanted and not fit:
            raise _barred(permit, wanted[0])
        if not fit:
            raise _nobody(wish, skipped)
        if not prefers.allow_fallbacks:
            left_out = [Skipped(offer.name, "allow_fallbacks") for offer in fit[1:]]
            return LineUp(fit[:1], [*skipped, *left_out])
        return LineUp(_bounded(self._well_first(fit)), skipped)

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
        if all(self._closed(permit, offer) for offer in offers):
            raise _barred(permit, offers[0])
        return offers

    def _offer(self, wish: Wish, wanted: Wanted, source: KeySource) -> Offer:
        return self._offers.named(wish.work, wanted, source.means(wish.local))

    def _of(
        self,
        wish: Wish,
        keys: Keys,
        names: Sequence[Wanted],
        skipped: list[Skipped] | None = None,
    ) -> list[Offer]:
        """The providers of a list, those without a key left out, and told in `skipped`."""
        found = list[Offer]()
        for name in names:
            before, why = len(found), ""
            for source in keys:
                try:
                    offer = self._offer(wish, name, source)
                except ProviderConfigError as error:
                    why = str(error)
                    continue
                if source.fits(offer.provider, offer.model):
                    found.append(offer)
            if why and len(found) == before and skipped is not None:
                skipped.append(Skipped(str(name), f"no_key: {why}"))
        return found

    def _rest(self, wish: Wish, keys: Keys, only: list[Offer]) -> list[Offer]:
        """Everybody else with a key: the usual ones first, this machine last. `only` are those that
        are named as the only ones, who need not be usual."""
        if wish.usual is not None:
            return [*self._of(wish, keys, wish.usual), *only]
        usual = [name for name in registry.DEFAULTS[wish.work] if name not in registry.OURS]
        found = self._of(wish, keys, [*usual, *keys[0].permit.names()])
        for source in keys:
            ready = self._offers.ready(wish.work, source.means(wish.local), source.provider)
            found += [offer for offer in ready if source.fits(offer.provider, offer.model)]
        if wish.needs & NO_LESS and not any(wish.needs <= one.worker.abilities for one in found):
            found += self._of(wish, keys, self._offers.models(wish.work))  # not their usual ones
        found += only
        return sorted(_once(found), key=lambda offer: offer.provider in registry.OURS)

    def _sorted(self, offers: list[Offer], prefers: Preferences) -> list[Offer]:
        if prefers.sort == "price":
            offers = sorted(offers, key=self._price)
        elif prefers.sort == "latency":
            offers = sorted(offers, key=self._latency)
        elif prefers.sort == "throughput":
            offers = sorted(offers, key=lambda offer: -(self.breaker(offer).rate() or 0.0))
        slow = prefers.preferred_max_latency
        if slow is None:
            return offers
        return sorted(offers, key=lambda offer: slow < self._latency(offer) < UNKNOWN)

    def _closed(self, permit: Permit, offer: Offer) -> str:
        """Why the owner may not use it; "" where they may. A budget holds only where it is known
        what things cost."""
        if not permit.opens(offer.provider, offer.model):
            return "not_allowed"
        free = offer.own_key or self._offers.is_server(offer.provider)
        if permit.monthly_budget is None or free or self._offers.price(offer) is not None:
            return ""
        return "price_unknown"

    def _price(self, offer: Offer) -> float:
        price = self._offers.price(offer)
        return UNKNOWN if price is None else float(price)

    def _latency(self, offer: Offer) -> float:
        known = self.breaker(offer).latency_s()
        return UNKNOWN if known is None else known

    def _why_not(self, offer: Offer, wish: Wish) -> str:
        """Why the request does not allow it; "" where it does."""
        prefers = wish.prefers
        names = (offer.provider, offer.model)
        if prefers.only and not any(fits(name, *names) for name in prefers.only):
            return "only"
        if any(fits(name, *names) for name in prefers.ignore):
            return "ignore"
        needed = wish.needs if prefers.require_parameters else wish.needs & NO_LESS
        if lacking := needed - offer.worker.abilities:
            return f"require_parameters: {', '.join(sorted(lacking))}"
        if prefers.data_collection == "deny" and not self._offers.keeps_nothing(offer.provider):
            return "data_collection"
        return "" if prefers.max_price is None else self._too_dear(offer, prefers.max_price)

    def _too_dear(self, offer: Offer, most: MaxPrice) -> str:
        """A price that is not known is too much."""
        for unit, limit in most.limits(offer.work).items():
            price = None if limit is None else self._offers.unit_price(offer, unit)
            if limit is not None and price is None:
                return "max_price: the price is not known"
            if limit is not None and price is not None and float(price) > limit:
                return f"max_price: {price.normalize():f} a {A[unit]}"
        return ""

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


def _bounded(offers: list[Offer]) -> list[Offer]:
    """No more than are tried. This machine, which needs nobody, stays the last resort."""
    kept, rest = offers[:MOST_TRIED], offers[MOST_TRIED:]
    ours = [offer for offer in rest if offer.provider in registry.OURS]
    return [*kept[:-1], ours[0]] if ours else kept


def _nobody(wish: Wish, skipped: Sequence[Skipped]) -> ApiError:
    can = f" and that can {', '.join(lacking)}" if (lacking := wish.needs & NO_LESS) else ""
    message = f"No provider is left that this request allows{can}."
    told = {"attempts": [], "skipped": [one.told() for one in dict.fromkeys(skipped)]}
    return ApiError(400, "no_provider", message, "provider", metadata=told)


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
