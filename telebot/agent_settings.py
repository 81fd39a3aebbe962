"""Every setting of an agent but what its conversation says: rows of `config/agents/NAME.yaml`.

Read by `settings.py`; what the conversation says is `dialog/`'s.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from telebot.setting_types import AgentName, Row, row


class AgentCall(Row):
    """How one agent holds a call (`call:` in its file)."""

    silence_s: float = row(8.0, "the caller is asked again after", unit="s", ge=1, le=120)
    reprompts: int = row(2, "how often before the bot says goodbye", ge=0, le=10)
    max_duration_s: float = row(1800.0, "longest call", unit="s", ge=5, le=86_400)
    budget: float | None = row(
        None,
        "near this cost cheaper providers go first, at it the call ends",
        unit="currency",
        gt=0,
    )
    max_message_s: float = row(
        60.0,
        "when nobody can answer, a caller may leave a message of at most; 0: none",
        unit="s",
        ge=0,
        le=600,
    )
    record: bool | None = row(None, "record this agent's calls; empty: as the server does")
    digits_wait_s: float = row(2.0, "a pause after which keyed digits are taken", unit="s", gt=0)


Provider = str | dict[str, Any]


class AgentSpeech(Row):
    """Which providers speak and listen (`speech:`): a name, a service with its settings, or a list
    of them, tried in its order."""

    stt: Provider | list[Provider] | None = row(
        None, "speech to text; empty: the vendors whose key is there, then `local`"
    )
    llm: Provider | list[Provider] | None = row(
        None, "the brain; empty: `dialog`, or where there is a `prompt`, as for `stt`"
    )
    tts: Provider | list[Provider] | None = row(None, "text to speech; empty: as for `stt`")
    realtime: Provider | list[Provider] | None = row(
        None, "speech to speech: one that hears, thinks and speaks; the three above take over"
    )
    endpointing: Literal["smart", "vad"] | None = row(None, "as in `speech.endpointing`")
    prompt: str = row("", "system prompt, where the brain is a language model")
    reuse_replies: bool = row(
        False, "a model's answer to a call's first question is given again to the same question"
    )
    reuse_s: float = row(3600.0, "for this long", unit="s", ge=1, le=2_592_000)
    filler_s: float | None = row(
        None,
        "a reply without audio after this time is preceded by one of the `fillers`; empty: never",
        unit="s",
        ge=0.2,
        le=10,
    )


class AgentIdentity(Row):
    """Who the agent is (`agent:`)."""

    name: AgentName = row(..., "the agent's name")
    language: str = row(
        "en", "told to clients of realtime sessions; a provider has a `language` too"
    )
    timezone: str = row("Europe/London", "time zone of its opening hours and dates")


class AgentSettings(Row):
    """One agent's file, without what `dialog/` reads of it."""

    agent: AgentIdentity
    speech: AgentSpeech = AgentSpeech()
    call: AgentCall = AgentCall()
    path: Path = Field(exclude=True)
    sources: dict[str, str] = Field({}, exclude=True, repr=False)  # of each value, by its name
