"""What a realtime session is asked for (`docs/realtime.md`). The same models validate and describe.

What its client asks for later is in `session_orders.py`, the tokens that stand for one in
`promises.py`. Next: `web/realtime/`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, ValidationError, field_validator, model_validator

from telebot.call.errors import Local
from telebot.models import LazyModel
from telebot.providers.registry import Kind
from telebot.voice.defaults import UserId
from telebot.voice.preferences import PLAIN, Name, Preferences

PROTOCOL = "telebot.realtime"
KINDS: tuple[Kind, ...] = ("stt", "llm", "tts", "realtime")
RATES_HZ = (8000, 16_000, 24_000, 48_000)
MAX_INSTRUCTIONS_CHARS = 16_000

Language = Annotated[str, Field(max_length=35, pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$")]
Short = Annotated[str, Field(min_length=1, max_length=128, pattern=PLAIN)]
Origin = Annotated[str, Field(max_length=256, pattern=r"^https?://[A-Za-z0-9.\-\[\]:]+$")]


class Strict(LazyModel):
    """Nothing else may be said."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SessionProviders(Preferences):
    """Who hears, thinks and speaks in a session. A name is a provider's (`deepgram`), a model's of
    one (`deepgram/nova-3`), or a model's alone. What any request may say of providers holds for
    each kind of work."""

    stt: Name | None = None
    llm: Name | None = None
    tts: Name | None = None
    realtime: Name | None = Field(None, description="of speech to speech")

    @property
    def named(self) -> Mapping[Kind, str]:
        """Those that are named, by what they do."""
        return {kind: name for kind in KINDS if (name := getattr(self, kind))}

    @property
    def whom(self) -> Preferences:
        """What is said of all kinds of work."""
        told = {
            name: getattr(self, name)
            for name in Preferences.model_fields
            if name in self.model_fields_set
        }
        return Preferences.model_construct(**told)

    @field_validator("options")
    @classmethod
    def _plain(cls, options: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        """They are settings of a service that lives as long as the session: no more than values."""
        for provider, named in options.items():
            for name, value in named.items():
                parts = value if isinstance(value, list) else [value]
                if not all(isinstance(part, str | int | float | bool) for part in parts):
                    raise ValueError(f"{provider}: {name[:64]!r} is no plain value")
        return options


ANY = SessionProviders.model_validate({})
# of `provider`: what decides about work that is done here
OF_THE_WORK = frozenset(
    {"sort", "max_price", "preferred_max_latency", "require_parameters", "options"}
)


class SessionRequest(Strict):
    """A session as it is wanted."""

    agent: Short | None = Field(None, description="else the one of config/numbers.yaml")
    mode: Literal["chain", "direct"] = Field(
        "chain", description="direct: speech to speech by a vendor, at the full band"
    )
    sample_rate: Literal[8000, 16000, 24000, 48000] = Field(
        16000, description="Hz, both ways; 8000 is a telephone's band, the others are wide"
    )
    language: Language | None = Field(None, description="BCP 47, e.g. en-GB")
    provider: SessionProviders = ANY
    model: Name | None = Field(
        None, description="the language model (chain), the realtime model (direct)"
    )
    voice: Short | None = None
    instructions: Annotated[str, Field(max_length=MAX_INSTRUCTIONS_CHARS)] | None = Field(
        None, description="what a language model is told first; else the agent's prompt"
    )
    target: Literal["telebot", "vendor"] = Field(
        "telebot", description="vendor: a credential for the vendor's own endpoint"
    )
    user: UserId | None = Field(
        None, description="whose preferences hold where the request says nothing: an id of yours"
    )
    origin: Origin | None = Field(None, description="the token is good for this web origin alone")

    @model_validator(mode="after")
    def _counts(self) -> SessionRequest:
        if self.target == "vendor" and (idle := self.provider.model_fields_set & OF_THE_WORK):
            raise ValueError(f"provider.{min(idle)} means nothing at a vendor's own endpoint")
        return self

    @property
    def named(self) -> Mapping[Kind, str]:
        """Who is named, `model` among them."""
        kind: Kind = "realtime" if self.mode == "direct" or self.target == "vendor" else "llm"
        return {**({kind: self.model} if self.model else {}), **self.provider.named}

    def started(self, start: Mapping[str, Any]) -> SessionRequest:
        """With what a `start` adds. Raises `BadStart`: it cannot be read, or would change what a
        token has fixed."""
        try:
            told = SessionRequest.model_validate(dict(start))
        except ValidationError as error:
            raise BadStart(*first_fault(error)) from None
        added = {}
        for name in told.model_fields_set:
            value = getattr(told, name)
            if name in self.model_fields_set and value != getattr(self, name):
                raise BadStart("fixed", f"{name} was set when the token was made.")
            added[name] = value
        if "target" in added or "origin" in added:
            raise BadStart("invalid_message", "target and origin belong to the token.")
        return self.model_copy(update=added)


class BadStart(Local):
    """A `start` that cannot be served: a code for programs, and what is wrong."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def first_fault(error: ValidationError) -> tuple[str, str]:
    """A code and a sentence for the first thing that is wrong."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    name = ".".join(str(part) for part in first["loc"])[:64]
    why = "there is no such field" if first["type"] == "extra_forbidden" else first["msg"]
    return "invalid_message", f"{name}: {why}."
