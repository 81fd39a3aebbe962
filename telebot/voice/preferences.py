"""Which providers a request wants and which it will not have: the `provider` object of every
endpoint, as gateways for language models have it.

https://openrouter.ai/docs/guides/routing/provider-selection names the same fields.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, field_validator

from telebot.models import LazyModel

# no control characters: names stand in the headers of answers
PLAIN = r"^[^\x00-\x1f\x7f-\x9f]*$"
Name = Annotated[str, Field(min_length=1, max_length=128, pattern=PLAIN)]
Names = Annotated[tuple[Name, ...], Field(max_length=32)]


# What the server decides by the request's own fields, whatever a vendor calls it: the model (which
# price and whose key), the sound and where it lies, its form, who is asked and how often. Vendors'
# SDKs take some of these beside the vendor's fields.
HELD = frozenset(
    {"model", "models", "model_id", "speech_model", "speech_models", "operating_point",
     "transcriber", "file", "file_id", "audio", "audio_url", "audio_urls", "url", "media_url",
     "source_url", "source_config", "cloud_storage_url", "content", "uri", "fetch_data",
     "contenturls", "input", "text", "voice_id", "encoding", "container", "sample_rate",
     "output_format", "outputformat", "samplerate", "samplingrate", "audioformat", "accept",
     "content-type", "modelid", "engine", "texttype", "transcript", "stream", "media-encoding",
     "sample-rate", "callback", "callback_url", "callback_config", "webhook",
     "webhook_url", "webhook_auth_header_name", "notification_config", "api_key", "token",
     "authorization", "timeout", "request_options", "extra_headers", "extra_query", "extra_body",
     # of language models: the conversation, what costs extra, how much of it is answered
     "messages", "system", "contents", "systeminstruction", "system_instruction", "cachedcontent",
     "tools", "tool_choice", "toolconfig", "functions", "mcp_servers", "web_search_options", "n",
     "candidatecount", "responsemodalities", "service_tier", "max_tokens",
     "max_completion_tokens", "maxoutputtokens", "stream_options", "output_config",
     "responsemimetype", "responseschema", "responsejsonschema", "http_options", "background"}
)  # fmt: skip


class MaxPrice(LazyModel):
    """The most that anything may cost, in the currency of the records."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    minute: float | None = Field(None, ge=0, description="a minute of a recording")
    million_characters: float | None = Field(None, ge=0, description="a million characters spoken")
    million_input_tokens: float | None = Field(
        None, ge=0, description="a million tokens that a language model reads"
    )
    million_output_tokens: float | None = Field(None, ge=0, description="… that it writes")

    def limits(self, work: str) -> dict[str, float | None]:
        """What one kind of work may cost, by the units of its use."""
        if work == "stt":
            return {"s": self.minute}
        if work == "tts":
            return {"characters": self.million_characters}
        return {"tokens_in": self.million_input_tokens, "tokens_out": self.million_output_tokens}


class Preferences(LazyModel):
    """Who may do the work. A name is a provider's (`deepgram`) or a model's of one
    (`deepgram/nova-3`)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    order: Names = Field((), description="tried first, in this order")
    only: Names = Field((), description="nobody else")
    ignore: Names = Field((), description="never")
    allow_fallbacks: bool = Field(True, description="whether another may be tried after a failure")
    require_parameters: bool = Field(
        False, description="only those that can do everything the request asks for"
    )
    sort: Literal["price", "latency", "throughput"] | None = Field(
        None, description="cheapest, first to answer, or most characters or seconds a second, first"
    )
    max_price: MaxPrice | None = None
    data_collection: Literal["allow", "deny"] = Field(
        "allow", description="deny: only those known to keep nothing of what they are sent"
    )
    preferred_max_latency: float | None = Field(
        None, gt=0, le=600, description="seconds; who is usually slower comes last"
    )
    options: dict[Name, dict[str, Any]] = Field(
        default_factory=dict,
        max_length=32,
        description="for one provider each, handed to it as they are; what the request says in its "
        "own fields (model, sound, format …) cannot be said here",
    )

    @field_validator("options")
    @classmethod
    def _free(cls, options: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        for provider, named in options.items():
            for name in named:
                if name.lower() in HELD:
                    raise ValueError(f"{provider}: {name[:64]!r} is not an option")
        return options


ANYBODY = Preferences.model_validate({})


def fits(name: str, provider: str, model: str) -> bool:
    """Whether a name in a list means this provider, or this model of it, also by its bare name."""
    return name in (provider, f"{provider}/{model}", model)
