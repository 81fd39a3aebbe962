"""Settings of voice work that is no call (`/v1/voice`), and of how much programs may ask.
`settings.py` has them among the others.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator

from telebot.setting_types import Origins, Row, row

ENDPOINT = re.compile(r"((GET|POST|PUT|PATCH|DELETE) )?/v1/\S{1,200}")


def _endpoints(value: Any) -> Any:
    for name in value if isinstance(value, dict) else ():
        if not ENDPOINT.fullmatch(str(name)):
            raise ValueError(f"write METHOD /v1/… or /v1/… (got {name!r})")
    return value


Amount = Annotated[int, Field(ge=1, le=1_000_000)]
Endpoints = Annotated[dict[str, Amount], BeforeValidator(_endpoints)]


class LimitSettings(Row):
    """How much programs may ask; a key of its own limit (`telebot keys`) has that one."""

    requests_per_minute: int = row(
        600, "of `/v1/voice` and `/v1/audio`, by each key", unit="requests", ge=1, le=1_000_000
    )
    endpoints: Endpoints = row(
        {},
        'requests to one endpoint, by each key: {"POST /v1/voice/chat": 20, "/v1/calls": 60}',
        unit="requests",
    )
    address_requests_per_minute: int | None = row(
        None,
        "of `/v1/voice` and `/v1/audio`, from one address, whatever its keys; empty: any number",
        unit="requests",
        ge=1,
        le=1_000_000,
    )
    failures_per_minute: int = row(
        60, "requests without a good key, from one address", unit="requests", ge=1, le=1_000_000
    )


class VoiceServer(Row):
    """A server of your own, or of anybody's, that speaks OpenAI's `/audio` or `/chat` endpoints."""

    base_url: str = row(..., "its address up to /v1, for example http://127.0.0.1:8000/v1")
    api_key_env: str | None = row(None, "the variable with its key, where it wants one")
    transcribe: str | None = row(None, "its model that hears; empty: it hears nothing")
    speak: str | None = row(None, "its model that speaks; empty: it speaks nothing")
    voice: str = row("alloy", "the voice that it speaks with")
    chat: str | None = row(None, "its language model; empty: it answers nothing")
    keeps_nothing: bool = row(
        False, "what it is sent is kept by nobody: `data_collection: deny` may use it"
    )


class WordRule(Row):
    """Words that are not to be said. Case makes no difference."""

    words: tuple[str, ...] = row((), "whole words, or several in a row")
    pattern: str = row("", "or a regular expression as Python has them", max_length=1000)
    replace: str | None = row(None, "what is said instead; empty: the whole text is refused")

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        import regex  # by those alone who have a pattern

        try:
            regex.compile(pattern)
        except regex.error as error:
            raise ValueError(f"no regular expression: {error}") from None
        return pattern


class FilterSettings(Row):
    """What is asked before a text is spoken (docs/content-filters.md)."""

    rules: tuple[WordRule, ...] = row((), "words that are replaced, or for which a text is refused")
    packages: dict[str, dict[str, Any]] = row(
        {}, "filters of installed packages, by name, in this order, each with its options"
    )
    within_s: float = row(2.0, "all of them, for one text", unit="s", gt=0, le=60)
    on_failure: Literal["closed", "open"] = row(
        "closed", "where a filter fails or is late: closed refuses the text, open says it"
    )


class VoiceSettings(Row):
    """`/v1/voice`: work that is no call."""

    max_upload_mb: int = row(64, "a larger recording is refused", unit="MiB", ge=1, le=1024)
    uploads_mb: int = row(
        1024, "of uploads at once, waiting ones too; more are a 503", unit="MiB", ge=1, le=1 << 20
    )
    decoded_mb: int = row(
        2048, "of decoded sound at once, which may be far more than uploads; more is a 503",
        unit="MiB", ge=1, le=1 << 20,
    )  # fmt: skip
    max_recording_s: float = row(
        14_400.0, "a longer recording is refused", unit="s", gt=0, le=86_400
    )
    max_characters: int = row(
        100_000, "a longer text is refused", unit="characters", ge=1, le=10_000_000
    )
    at_once: int = row(64, "pieces of work at once; more wait", unit="requests", ge=1, le=10_000)
    large_at_once: int = row(
        8, "of them, with uploads above 8 MiB or fetched by URL", unit="requests", ge=1, le=1000
    )
    queue_length: int = row(256, "that may wait; more are a 503", unit="requests", ge=1, le=10_000)
    queue_s: float = row(30.0, "what has waited for so long is a 503", unit="s", ge=0, le=600)
    media_threads: int = row(
        2, "threads that decode, clean and encode sound", unit="threads", ge=1, le=64
    )
    kept_answers_mb: int = row(
        64, "answers kept for requests with an Idempotency-Key", unit="MiB", ge=1, le=65_536
    )
    chat_idle_s: float = row(
        1800.0, "a chat's session that is not used is forgotten after", unit="s", gt=0, le=604_800
    )
    chat_sessions_per_key: int = row(
        100, "of a key, the least recently used gives way", unit="sessions", ge=1, le=100_000
    )
    chat_sessions: int = row(2000, "in all", unit="sessions", ge=1, le=1_000_000)
    chat_history_characters: int = row(
        12_000, "of a session, before its old turns are summed up", unit="characters", ge=200,
        le=1_000_000,
    )  # fmt: skip
    monthly_budget: float | None = row(
        None, "reports warn near this cost of a month, calls included", unit="currency", gt=0
    )
    export_secrets: Literal["own", "all"] = row(
        "own", "whose providers' keys an export may have sealed in it: the asking key's, or all"
    )
    servers: dict[str, VoiceServer] = row(
        {},
        "servers with `/audio` or `/chat` endpoints (docs/voice.md), by the names of requests",
    )
    cache: bool = row(
        False, "keep what is spoken, for its owner, where a request does not say (`cache`)"
    )
    cache_memory_mb: int = row(32, "sounds kept in memory", unit="MiB", ge=0, le=65_536)
    cache_disk_mb: int = row(
        256, "sounds kept in the data folder; 0: none", unit="MiB", ge=0, le=1_048_576
    )
    cache_days: float = row(30.0, "older sounds are made again", unit="days", gt=0, le=3650)
    filters: FilterSettings = FilterSettings()
    origins: Origins = row(
        (),
        "web origins whose pages may use `/v1/voice` and `/v1/audio`, besides this server's own",
        env="TELEBOT_VOICE_ORIGINS",
    )
    sessions: int = row(200, "realtime sessions at once", unit="sessions", ge=1, le=10_000)
    sessions_per_key: int = row(20, "the same of one API key", unit="sessions", ge=1, le=10_000)
    session_idle_s: float = row(
        300.0, "a realtime session without a message is closed after", unit="s", gt=0, le=3600
    )
    fetch_hosts: tuple[str, ...] = row(
        (), "hosts whose recordings may be fetched by URL although their addresses are not public"
    )
