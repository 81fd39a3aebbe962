"""What `/v1/voice` is asked and what it answers; the same models validate and describe it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, PrivateAttr

from telebot.audio.files import FORMATS
from telebot.models import LazyModel
from telebot.providers.clips import Transcript
from telebot.voice import defaults
from telebot.voice.attempts import Attempt
from telebot.voice.done import Done
from telebot.voice.preferences import ANYBODY, Preferences
from telebot.voice.pricing import Cost
from telebot.voice.tailoring import PLAINLY, Under

Text = defaults.Text
Language = defaults.Language


class Asked(LazyModel):
    """What every request may say."""

    model_config = ConfigDict(extra="forbid")

    model: Text | None = Field(
        None, description="a provider, `provider/model` or a model's bare name; else the usual one"
    )
    provider: Preferences = Field(ANYBODY, description="who may do it")
    user: defaults.UserId | None = Field(
        None, description="whose preferences hold where the request says nothing: an id of yours"
    )
    _under: Under = PrivateAttr(PLAINLY)

    @property
    def under(self) -> Under:
        """What was chosen for it beside what it says (`meant.py`)."""
        return self._under

    def chosen_under(self, under: Under) -> None:
        self._under = under


class TranscribeRequest(Asked):
    """A recording to text: as JSON (`audio` or `url`), or as a form with a `file`."""

    audio: str | None = Field(None, description="the file, base64", repr=False)
    url: Annotated[str, Field(max_length=2048)] | None = Field(
        None, description="where the file is fetched from"
    )
    media_type: Text = Field("", description="needed where the file has no header: audio/pcmu")
    language: Language | None = None
    task: Literal["transcribe", "translate"] = Field(
        "transcribe", description="translate: to English"
    )
    words: bool = Field(False, description="each word with its times")
    diarize: bool = Field(False, description="who said what")
    prompt: Annotated[str, Field(max_length=4000)] = Field("", description="names, spellings")
    normalize: bool = Field(False, description="bring the loudness to what recognisers know")
    denoise: bool = Field(False, description="take steady noise away first")
    stream: bool = Field(False, description="events as the text grows (text/event-stream)")


class WordAnswer(LazyModel):
    """A word and where it was heard."""

    word: str
    start: float = Field(description="seconds")
    end: float
    confidence: float | None
    speaker: str | None


class AttemptAnswer(LazyModel):
    """One provider that was asked; `cause` is null for the one that did it."""

    provider: str
    cause: str | None
    message: str
    ms: float
    is_byok: bool

    @classmethod
    def of(cls, made: Attempt) -> AttemptAnswer:
        return cls(**made.told())


class SkippedAnswer(LazyModel):
    """One provider that could have been asked, and why it was not: the preference that left it out
    (`only`, `ignore`, `max_price: …`), `no_key: …`, `not_allowed` or `price_unknown` for the API
    key."""

    provider: str
    why: str

    @classmethod
    def all_of(cls, done: Done) -> list[SkippedAnswer]:
        return [cls(**one.told()) for one in done.skipped]


class UsageAnswer(LazyModel):
    """What was used and what it cost; `cost` is null where a price is not known."""

    seconds: float | None = None
    characters: int | None = None
    input_tokens: int | None = Field(None, description="the cached ones too")
    output_tokens: int | None = None
    cost: float | None = Field(description="what it costs the server's owner; 0 with your own key")
    upstream_cost: float | None = Field(description="what the provider bills, whoever pays")
    currency: str
    price_verified: bool
    is_byok: bool
    saved: float | None = Field(None, description="what it would have cost; of a kept sound alone")

    @classmethod
    def of(cls, done: Done) -> UsageAnswer:
        counted: dict[str, Any] = {}
        for use in done.uses:
            if name := _UNITS.get(use.unit):
                counted[name] = counted.get(name, 0) + use.quantity
        upstream = _amount(done.cost)
        return cls(
            **{n: many if n == "seconds" else int(many) for n, many in counted.items()},
            cost=0.0 if done.own_key else upstream,
            upstream_cost=upstream,
            currency=done.cost.currency,
            price_verified=done.cost.verified,
            is_byok=done.own_key,
            saved=_amount(done.saved),
        )


def _amount(cost: Cost | None) -> float | None:
    return None if cost is None or cost.amount is None else float(cost.amount)


_UNITS = {
    "s": "seconds",
    "characters": "characters",
    "tokens_in": "input_tokens",
    "cached_tokens_in": "input_tokens",
    "tokens_out": "output_tokens",
}


class TranscribeAnswer(LazyModel):
    """What was said, who heard it and what it cost."""

    id: str
    text: str
    language: str | None
    confidence: float | None
    words: list[WordAnswer]
    duration: float = Field(description="seconds of the recording")
    provider: str = Field(description="`provider/model` that heard it")
    latency_ms: float
    usage: UsageAnswer
    attempts: list[AttemptAnswer]
    skipped: list[SkippedAnswer]

    @classmethod
    def of(cls, heard: Transcript, seconds: float, done: Done) -> TranscribeAnswer:
        words = [
            WordAnswer(
                word=word.text,
                start=round(word.start_s, 3),
                end=round(word.end_s, 3),
                confidence=word.confidence,
                speaker=word.speaker,
            )
            for word in heard.words
        ]
        return cls(
            id=done.id,
            text=heard.text,
            language=heard.language,
            confidence=heard.confidence,
            words=words,
            duration=round(seconds, 3),
            provider=done.provider,
            latency_ms=round(done.ms, 1),
            usage=UsageAnswer.of(done),
            attempts=[AttemptAnswer.of(made) for made in done.attempts],
            skipped=SkippedAnswer.all_of(done),
        )


class SynthesizeRequest(Asked):
    """A text to sound."""

    text: Annotated[str, Field(min_length=1)]
    voice: Text | None = Field(None, description="a preset's or a cloned voice's id")
    language: Language | None = None
    speed: float = Field(1.0, ge=0.25, le=4.0)
    instructions: Annotated[str, Field(max_length=4000)] = Field("", description="tone and style")
    format: Literal[FORMATS] = Field("mp3", description="of the sound")  # type: ignore[valid-type]
    sample_rate: int | None = Field(None, ge=8000, le=48000, description="Hz; else the voice's own")
    stream: bool = Field(True, description="sound as it is made; false: whole, or an error")
    events: bool = Field(False, description="as text/event-stream instead of bytes")
    cache: bool | None = Field(
        None, description="keep the sound, and answer with one that was kept; else the server's way"
    )
