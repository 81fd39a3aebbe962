"""Who could do a piece of work: every provider that is built in or added, by what is known of it.

Built from the registry (what can be asked), the catalogue (models, prices, what is gone) and the
keys that there are. Next: `routing.py`.
"""

from __future__ import annotations

import contextlib
import importlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, cast

from telebot.call.errors import ProviderConfigError
from telebot.call.ports import Clock
from telebot.providers import registry, voice_servers
from telebot.providers.catalogue import Vendor
from telebot.providers.clips import Speaker, Transcriber
from telebot.providers.replies import Replier
from telebot.providers.resources import Resources
from telebot.voice_settings import VoiceServer

Work = Literal["stt", "llm", "tts"]
Worker = Transcriber | Replier | Speaker
Wanted = str | Mapping[str, Any]  # as `Offers.named` takes it
WORKS: tuple[Work, ...] = ("stt", "llm", "tts")
# what prices are compared by: a minute heard, a million tokens read and written, a million
# characters spoken
COMPARED: Mapping[Work, Mapping[str, float]] = {
    "stt": {"s": 60.0},
    "llm": {"tokens_in": 1e6, "tokens_out": 1e6},
    "tts": {"characters": 1e6},
}
LOCAL = "local"
# the house's own offers are built anew after this: a vendor was shut down, or a file of keys came
KNOWN_S = 60.0
MOST_KNOWN = 1000  # names that requests have asked for
KNOWN: Mapping[Work, Callable[[], Mapping[str, str]]] = {
    "stt": registry.transcribers,
    "llm": registry.repliers,
    "tts": registry.speakers,
}
BUILDERS: Mapping[Work, Callable[[str, Mapping[str, Any], Resources], Worker]] = {
    "stt": registry.build_transcriber,
    "llm": registry.build_replier,
    "tts": registry.build_speaker,
}
SERVE: Mapping[Work, Callable[[VoiceServer], str | None]] = {
    "stt": lambda server: server.transcribe,
    "llm": lambda server: server.chat,
    "tts": lambda server: server.speak,
}
SERVERS: Mapping[Work, Callable[[str, VoiceServer, str | None, Resources], Worker]] = {
    "stt": voice_servers.transcriber,
    "llm": voice_servers.replier,
    "tts": voice_servers.speaker,
}


@dataclass(frozen=True, slots=True)
class Means:
    """What an offer is built with: the keys of `resources`, which a request's owner has brought
    where they are `own`; `local` is this machine's worker, where that depends on the request."""

    resources: Resources
    own: bool = False
    local: Worker | None = None


@dataclass(frozen=True, slots=True)
class Offer:
    """One model of one provider, ready to be asked with one key. `own_key`: the request's owner
    brought it."""

    work: Work
    provider: str
    model: str
    worker: Worker
    account: str
    own_key: bool = False

    @property
    def hears(self) -> Transcriber:
        """The worker of an offer of recognition."""
        return cast("Transcriber", self.worker)

    @property
    def answers(self) -> Replier:
        """The worker of an offer of replies."""
        return cast("Replier", self.worker)

    @property
    def speaks(self) -> Speaker:
        """The worker of an offer of speech."""
        return cast("Speaker", self.worker)

    @property
    def name(self) -> str:
        """As in the record: ``deepgram/nova-3``; what is ours has one name alone."""
        return self.provider if self.provider == self.model else f"{self.provider}/{self.model}"


class Offers:
    """Finds and builds offers. `resources` hold the house's keys; a request that brings keys hands
    its own resources in. `servers` are the operator's own, by name; a built-in name is never
    replaced by one."""

    def __init__(
        self,
        resources: Resources,
        servers: Mapping[str, VoiceServer] | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self._resources = resources
        self._clock = clock
        self._known: dict[tuple[Work, str], tuple[float, Offer | str]] = {}
        built_in = {LOCAL, *(name for known in KNOWN.values() for name in known())}
        self._servers = {
            name: server for name, server in (servers or {}).items() if name not in built_in
        }
        self._names = {work: self._named(work) for work in WORKS}

    @property
    def resources(self) -> Resources:
        return self._resources

    def names(self, work: Work) -> list[str]:
        """Every provider that is built in or added, ours first."""
        return self._names[work]

    def is_server(self, name: str) -> bool:
        """Whether it is one of the operator's own."""
        return name in self._servers

    def keeps_nothing(self, name: str) -> bool:
        """Whether what is sent there is known to be kept by nobody: this machine, and a server of
        the operator's own of which they say so. Of no vendor it is known for certain."""
        server = self._servers.get(name)
        return name in registry.OURS or (server is not None and server.keeps_nothing)

    def _named(self, work: Work) -> list[str]:
        servers = {name for name, server in self._servers.items() if SERVE[work](server)}
        names = {*KNOWN[work](), *servers, LOCAL}
        return sorted(names, key=lambda name: (name not in registry.OURS, name))

    def named(self, work: Work, wanted: Wanted, means: Means) -> Offer:
        """The offer of ``provider``, ``provider/model`` or a bare model, or of a provider with
        options (``{service: openai, base_url: …}``). Raises ProviderConfigError: nobody is called
        so, it was shut down, or its key is missing."""
        found = self._found(work, wanted, means)
        if isinstance(found, str):
            raise ProviderConfigError(found)
        return found

    def _found(self, work: Work, wanted: Wanted, means: Means) -> Offer | str:
        """The offer, or why there is none. The house's are kept for a while: to build them all
        costs as much as the rest of a request."""
        ours = isinstance(wanted, str) and wanted.partition("/")[0] == LOCAL
        brought = means.own or means.resources is not self._resources
        if brought or (ours and means.local is not None) or not isinstance(wanted, str):
            return self._tried(work, wanted, means)
        now = self._clock()
        known = self._known.get((work, wanted))
        if known is not None and now - known[0] < KNOWN_S:
            return known[1]
        if len(self._known) >= MOST_KNOWN:
            self._known.clear()
        found = self._tried(work, wanted, means)
        self._known[work, wanted] = (now, found)
        return found

    def _tried(self, work: Work, wanted: Wanted, means: Means) -> Offer | str:
        try:
            return self._made(work, wanted, means)
        except ProviderConfigError as error:
            return str(error)

    def _made(self, work: Work, wanted: Wanted, means: Means) -> Offer:
        if isinstance(wanted, str):
            provider, model = self.parted(work, wanted)
            options: dict[str, Any] = {"model": model} if model else {}
        else:
            options = dict(wanted)
            provider = str(options.pop("service", ""))
        worker = self._built(work, provider, options, means)
        account = registry.account(work, {"service": provider, **options}, means.resources)
        return Offer(work, provider, worker.model, worker, account, means.own)

    def _built(self, work: Work, provider: str, options: Mapping[str, Any], means: Means) -> Worker:
        if server := self._servers.get(provider):
            return SERVERS[work](provider, server, options.get("model"), means.resources)
        if provider in registry.OURS:
            if work == "llm" and means.local is None:
                raise ProviderConfigError("this machine answers for an agent alone; name one")
            options = {}
        if provider == LOCAL and means.local is not None:
            return means.local
        return BUILDERS[work](provider, options, means.resources)

    def parted(self, work: Work, wanted: str) -> tuple[str, str]:
        """Provider and model of a name. Raises ProviderConfigError."""
        provider, _, model = wanted.partition("/")
        if provider in self.names(work) or provider in self._servers:
            return provider, model
        for found, vendor in self._vendors(work):
            if wanted in vendor.models and vendor.models[wanted].kind == work:
                return found, wanted
        gone = self._resources.catalogue.gone(
            provider, model or None, self._resources.today(), work
        )
        raise ProviderConfigError(gone or f"no provider or model {wanted!r}")

    def ready(self, work: Work, means: Means, provider: str = "") -> Iterator[Offer]:
        """Every provider whose key is there, with its usual model; `provider` alone where it is
        given."""
        for name in self.names(work):
            if provider in ("", name):
                found = self._found(work, name, means)
                if not isinstance(found, str):
                    yield found

    def price(self, offer: Offer) -> Decimal | None:
        """What a minute heard, a million tokens read and as many written, or a million characters
        spoken, cost; None where not known."""
        parts = [self.unit_price(offer, unit) for unit in COMPARED[offer.work]]
        known = [part for part in parts if part is not None]
        return sum(known, Decimal(0)) if len(known) == len(parts) else None

    def unit_price(self, offer: Offer, unit: str) -> Decimal | None:
        """The part of it that is of this unit of use."""
        many = COMPARED[offer.work][unit]
        price = self._resources.catalogue.price(offer.work, offer.name, unit)
        return None if price is None else Decimal(str(price.amount)) * Decimal(str(many))

    def models(self, work: Work) -> list[str]:
        """``provider/model`` of all that the catalogue knows of those that can be asked."""
        return [
            f"{name}/{model}"
            for name, vendor in self._vendors(work)
            for model, row in vendor.models.items()
            if row.kind == work
        ]

    def _vendors(self, work: Work) -> Iterator[tuple[str, Vendor]]:
        """Providers that can be asked, with their entries of the catalogue."""
        for name in self.names(work):
            for known, vendor in self._resources.catalogue.vendors.items():
                if name == known or name in vendor.served_as:
                    yield name, vendor


def load_makers(work: Work) -> None:
    """Import what all built-in vendors of one kind of work are made of: seconds, in which nothing
    else could be served. For a thread."""
    files = {
        "stt": registry.TRANSCRIBERS,
        "tts": registry.SPEAKERS,
        "llm": registry.REPLIERS,
    }[work]
    for entry in files.values():
        with contextlib.suppress(ImportError):  # whoever builds it is told
            importlib.import_module(entry.partition(":")[0])
