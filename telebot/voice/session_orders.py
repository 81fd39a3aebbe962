"""What the client of a realtime session asks for while it lasts (`docs/realtime.md`).

Read by `carriers/realtime_codec.py`; done by `web/realtime/orders.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from telebot.voice.sessions import Language, SessionProviders, Strict

MAX_TEXT_CHARS = 4000

Id = Annotated[str, Field(max_length=64)] | None


class Order(Strict):
    """What a client asks for; `id` comes back."""

    id: Id = None


class SetLanguage(Order):
    """Go on in another language."""

    type: Literal["setLanguage"]
    language: Language


class SetProvider(Order):
    """Go on with others."""

    type: Literal["setProvider"]
    provider: SessionProviders


class Text(Order):
    """A turn that is typed."""

    type: Literal["text"]
    text: Annotated[str, Field(min_length=1, max_length=MAX_TEXT_CHARS, pattern=r"\S")]


class Interrupt(Order):
    """Say no more."""

    type: Literal["interrupt"]


class Reset(Order):
    """Forget everything."""

    type: Literal["reset"]


class Ping(Order):
    """Are you there?"""

    type: Literal["ping"]


class End(Order):
    """Hang up."""

    type: Literal["end"]


ORDERS: Mapping[str, type[Order]] = {
    "setLanguage": SetLanguage,
    "setProvider": SetProvider,
    "text": Text,
    "interrupt": Interrupt,
    "reset": Reset,
    "ping": Ping,
    "end": End,
}
