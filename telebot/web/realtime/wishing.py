"""From what a client asks for to what is wished of an agent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from telebot.providers.registry import Kind
from telebot.speech.whom import Whom
from telebot.speech.wishes import Wishes
from telebot.voice.meaning import Meant
from telebot.voice.preferences import ANYBODY, MaxPrice, Preferences
from telebot.voice.session_orders import Order, SetLanguage, SetProvider
from telebot.voice.sessions import KINDS, SessionProviders


def wishes_of(meant: Meant) -> Wishes:
    """What a session wants of its agent."""
    request = meant.request
    return Wishes(
        request.named,
        whom_of={kind: whom_of(kind, meant.whom.get(kind, ANYBODY)) for kind in KINDS},
        language=request.language or "",
        voice=request.voice or "",
        voices=meant.under.voices,
        instructions=request.instructions or "",
    )


def plain(wishes: Wishes) -> bool:
    """Whether nothing is wished: the agent as it is."""
    bare = replace(wishes, whom_of={})
    return bare == Wishes({}) and all(whom == Whom() for whom in wishes.whom_of.values())


def whom_of(kind: Kind, prefers: Preferences) -> Whom:
    """Who may do one kind of work, as the pipeline knows it."""
    return changed(kind, Whom(), prefers)


def changed(kind: Kind, whom: Whom, prefers: Preferences) -> Whom:
    """`whom` with what is said; what is not said stays."""
    told: dict[str, Any] = {
        "order": prefers.order,
        "only": prefers.only,
        "ignore": prefers.ignore,
        "allow_fallbacks": prefers.allow_fallbacks,
        "data_collection": prefers.data_collection == "deny",
        "sort": prefers.sort or "",
        "preferred_max_latency": prefers.preferred_max_latency,
        "max_price": _most(kind, prefers.max_price),
        "options": prefers.options,
    }
    said = prefers.model_fields_set & told.keys()
    return replace(whom, **{FIELDS.get(name, name): told[name] for name in said})


def _most(kind: Kind, most: MaxPrice | None) -> dict[str, float]:
    """The most that one unit of use may cost. A session of speech to speech is bounded by the
    minute, as vendors count the tokens of sound in their own ways."""
    if most is None:
        return {}
    if kind in ("stt", "realtime"):
        return {} if most.minute is None else {"minute": most.minute}
    limits = most.limits(kind)
    return {unit: limit / MILLION for unit, limit in limits.items() if limit is not None}


def otherwise(wishes: Wishes, asked: SessionProviders) -> Wishes:
    """`wishes` with what is asked; what it does not name stays."""
    given = asked.model_fields_set
    named = {kind: name for kind, name in wishes.named.items() if kind not in given}
    whom_of = {kind: changed(kind, wishes.of(kind), asked) for kind in KINDS}
    return replace(wishes, named={**named, **asked.named}, whom_of=whom_of)


MILLION = 1e6
# where they are called otherwise
FIELDS = {
    "data_collection": "ours_only", "max_price": "most", "preferred_max_latency": "slow_s",
}  # fmt: skip


def private(wishes: Wishes) -> Wishes:
    """The same, by nobody but this machine."""
    own = {kind: replace(wishes.of(kind), ours_only=True) for kind in KINDS}
    return replace(wishes, whom_of=own)


def wished(order: Order, wishes: Wishes) -> Wishes:
    """What an order wants to be otherwise."""
    if isinstance(order, SetProvider):
        return otherwise(wishes, order.provider)
    return replace(wishes, language=order.language) if isinstance(order, SetLanguage) else wishes


def flat(now: Mapping[str, Any]) -> dict[str, Any]:
    """What a session is now (`language`, `providers`), as the fields of an event."""
    return {"language": now["language"], **now["providers"]}
