"""From what a client asks for to what is wished of an agent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from telebot.speech.wishes import Wishes
from telebot.voice.sessions import (
    Order,
    SessionProviders,
    SessionRequest,
    SetLanguage,
    SetProvider,
)


def wishes_of(request: SessionRequest) -> Wishes:
    """What a session wants of its agent."""
    wishes = otherwise(Wishes({}), request.provider)
    return replace(
        wishes,
        named=request.named,
        language=request.language or "",
        voice=request.voice or "",
        instructions=request.instructions or "",
    )


def otherwise(wishes: Wishes, asked: SessionProviders) -> Wishes:
    """`wishes` with what is asked; what it does not name stays."""
    told: dict[str, Any] = {
        "order": asked.order,
        "only": asked.only,
        "ignore": asked.ignore,
        "allow_fallbacks": asked.allow_fallbacks,
        "ours_only": asked.data_collection == "deny",
        "sort": asked.sort or "",
    }
    given = {FIELDS.get(name, name) for name in asked.model_fields_set}
    named = {kind: name for kind, name in wishes.named.items() if kind not in given}
    changes = {name: value for name, value in told.items() if name in given}
    return replace(wishes, named={**named, **asked.named}, **changes)


FIELDS = {"data_collection": "ours_only"}  # where they are called otherwise


def wished(order: Order, wishes: Wishes) -> Wishes:
    """What an order wants to be otherwise."""
    if isinstance(order, SetProvider):
        return otherwise(wishes, order.provider)
    return replace(wishes, language=order.language) if isinstance(order, SetLanguage) else wishes


def flat(now: Mapping[str, Any]) -> dict[str, Any]:
    """What a session is now (`language`, `providers`), as the fields of an event."""
    return {"language": now["language"], **now["providers"]}
