"""Who could do a piece of work: every provider that is built in or added, by what is known of it.

Built from the registry (what can be asked), the catalogue (models, prices, what is gone) and the
keys that there are. Next: `routing.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, cast

from telebot.call.errors import ProviderConfigError
from telebot.providers import registry, voice_servers
from telebot.providers.catalogue import Vendor
from telebot.providers.clips import Speaker, Transcriber
from telebot.providers.resources import Resources
from telebot.voice_settings import VoiceServer

Work = Literal["stt", "tts"]
WORKS: tuple[Work, ...] = ("stt", "tts")
# what one unit of a price is, for comparing: a minute heard, a million characters spoken
COMPARED: Mapping[Work, tuple[str, float]] = {"stt": ("s", 60.0), "tts": ("characters", 1e6)}


@dataclass(frozen=True, slots=True)
class Offer:
    """One model of one provider, ready to be asked with one key. `own_key`: the request's owner
    brought it."""

    work: Work
    provider: str
    model: str
    worker: Transcriber | Speaker
    account: str
    own_key: bool = False

    @property
    def hears(self) -> Transcriber:
        """The worker of an offer of recognition."""
        return cast("Transcriber", self.worker)

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
        self, resources: Resources, servers: Mapping[str, VoiceServer] | None = None
    ) -> None:
        self._resources = resources
        built_in = {*registry.transcribers(), *registry.speakers()}
        self._servers = {
            name: server for name, server in (servers or {}).items() if name not in built_in
        }

    @property
    def resources(self) -> Resources:
        return self._resources

    def names(self, work: Work) -> list[str]:
        """Every provider that is built in or added, ours first."""
        known = registry.transcribers() if work == "stt" else registry.speakers()
        return sorted({*known, *self._servers}, key=lambda name: (name not in registry.OURS, name))

    def named(self, work: Work, wanted: str, resources: Resources, *, own: bool = False) -> Offer:
        """The offer of ``provider``, ``provider/model`` or a bare model. Raises
        ProviderConfigError: nobody is called so, it was shut down, or its key is missing."""
        provider, model = self.parted(work, wanted)
        worker = self._built(work, provider, model, resources)
        account = registry.account(work, {"service": provider}, resources)
        return Offer(work, provider, worker.model, worker, account, own)

    def _built(
        self, work: Work, provider: str, model: str, resources: Resources
    ) -> Transcriber | Speaker:
        if server := self._servers.get(provider):
            made = voice_servers.transcriber if work == "stt" else voice_servers.speaker
            return made(provider, server, model or None, resources)
        options = {"model": model} if model and provider not in registry.OURS else {}
        build = registry.build_transcriber if work == "stt" else registry.build_speaker
        return build(provider, options, resources)

    def parted(self, work: Work, wanted: str) -> tuple[str, str]:
        """Provider and model of a name. Raises ProviderConfigError."""
        provider, _, model = wanted.partition("/")
        if provider in self.names(work):
            return provider, model
        for found, vendor in self._vendors(work):
            if wanted in vendor.models and vendor.models[wanted].kind == work:
                return found, wanted
        gone = self._resources.catalogue.gone(
            provider, model or None, self._resources.today(), work
        )
        raise ProviderConfigError(gone or f"no provider or model {wanted!r}")

    def ready(self, work: Work, resources: Resources, *, own: bool = False) -> Iterator[Offer]:
        """Every provider whose key is there, with its usual model."""
        for name in self.names(work):
            try:
                yield self.named(work, name, resources, own=own)
            except ProviderConfigError:
                continue

    def price(self, offer: Offer) -> Decimal | None:
        """What a minute heard, or a million characters spoken, costs; None where not known."""
        unit, many = COMPARED[offer.work]
        price = self._resources.catalogue.price(offer.work, offer.name, unit)
        return None if price is None else Decimal(str(price.amount)) * Decimal(str(many))

    def _vendors(self, work: Work) -> Iterator[tuple[str, Vendor]]:
        """Providers that can be asked, with their entries of the catalogue."""
        for name in self.names(work):
            for known, vendor in self._resources.catalogue.vendors.items():
                if name == known or name in vendor.served_as:
                    yield name, vendor
