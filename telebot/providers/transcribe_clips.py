"""Amazon Transcribe for recordings: its streaming, over a WebSocket with a signed address.

No bucket is needed so. https://docs.aws.amazon.com/transcribe/latest/dg/websocket.html,
https://docs.aws.amazon.com/transcribe/latest/APIReference/API_streaming_StartStreamTranscription.html.
Keys and region are those of AWS (`aws_keys.py`); the signature is botocore's. The vendor asks for
the pace of speech only above five minutes, so that recordings are cut before.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp
from botocore.auth import SigV4QueryAuth  # type: ignore[import-untyped]
from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]
from pydantic import BaseModel, Field, ValidationError
from yarl import URL as Address

from telebot.call.errors import ProviderConfigError
from telebot.providers import vendor
from telebot.providers.asking import STALL_S, failure_of_status
from telebot.providers.aws_keys import REGION, AwsKeys
from telebot.providers.clips import (
    ClipFailed,
    HearingAbility,
    Recording,
    Transcript,
    Word,
    lost,
    mean,
)
from telebot.providers.event_stream import decoded, encoded
from telebot.providers.failure import Cause
from telebot.providers.locale import locale
from telebot.providers.resources import Resources

WHO = "amazon-transcribe"
MODEL = "streaming"
LANGUAGE = "en-US"
LONGEST_S = 240.0
PIECE = 16 << 10  # bytes of audio in a message
PATH = "/stream-transcription-websocket"
VALID_S = 300
CONNECT_S = 10.0
AUDIO = {
    ":content-type": "application/octet-stream",
    ":event-type": "AudioEvent",
    ":message-type": "event",
}
CAUSES = {
    "BadRequestException": Cause.BAD_REQUEST,
    "ConflictException": Cause.BAD_REQUEST,
    "LimitExceededException": Cause.RATE_LIMIT,
    "InternalFailureException": Cause.SERVER,
    "ServiceUnavailableException": Cause.SERVER,
    "AccessDeniedException": Cause.REFUSED,
    "UnrecognizedClientException": Cause.REFUSED,
}


class _Item(BaseModel):
    content: str = Field(alias="Content")
    kind: str = Field(alias="Type")  # pronunciation, punctuation
    start_s: float = Field(alias="StartTime")
    end_s: float = Field(alias="EndTime")
    confidence: float | None = Field(None, alias="Confidence")
    speaker: str | None = Field(None, alias="Speaker")


class _Alternative(BaseModel):
    text: str = Field(alias="Transcript")
    items: list[_Item] = Field([], alias="Items")


class _Result(BaseModel):
    partial: bool = Field(alias="IsPartial")
    language: str | None = Field(None, alias="LanguageCode")
    alternatives: list[_Alternative] = Field([], alias="Alternatives")


class _Results(BaseModel):
    results: list[_Result] = Field([], alias="Results")


class _Event(BaseModel):
    transcript: _Results = Field(alias="Transcript")


def build_transcriber(options: Mapping[str, Any], resources: Resources) -> AmazonTranscriber:
    """`base_url`, `api_key_env: null`. Raises ProviderConfigError."""
    vendor.check_known("key", options, vendor.MODEL_KEYS, WHO)
    if (options.get("model") or MODEL) != MODEL:
        raise ProviderConfigError(f"{WHO} hears recordings by {MODEL} alone")
    region = resources.environ.get("AWS_REGION") or REGION
    host = f"wss://transcribestreaming.{region}.amazonaws.com:8443"
    url = vendor.vendor_url(options, resources.environ, "AMAZON", host).rstrip("/")
    return AmazonTranscriber(resources, url, region, AwsKeys.of(options, resources.environ, WHO))


class AmazonTranscriber:
    """A `Transcriber` that `Streams`. It must be told the language, or takes it for English."""

    abilities: frozenset[HearingAbility] = frozenset(
        {"language", "words", "confidence", "speakers", "partials"}
    )
    longest_s = LONGEST_S
    model = MODEL

    def __init__(self, resources: Resources, url: str, region: str, keys: AwsKeys) -> None:
        self._resources = resources
        self._url = url
        self._region = region
        self._keys = keys

    async def transcribe(self, recording: Recording) -> Transcript:
        """A stream; words always come with their times."""
        settled = [each async for each in self._results(recording) if not each.partial]
        return _transcript(settled, recording)

    async def partials(self, recording: Recording) -> AsyncIterator[str | Transcript]:
        """The text as it settles."""
        settled: list[_Result] = []
        async for result in self._results(recording):
            if not result.partial:
                settled.append(result)
            said = settled + ([result] if result.partial else [])
            yield _text(said)
        yield _transcript(settled, recording)

    async def _results(self, recording: Recording) -> AsyncIterator[_Result]:
        """What the vendor says, until it closes. Raises `ClipFailed`."""
        async with self._socket(await self._address(recording)) as socket:
            sending = asyncio.create_task(_send(socket, recording.sound.pcm16))
            try:
                while True:
                    async with asyncio.timeout(STALL_S):
                        message = await socket.receive()
                    if message.type is not aiohttp.WSMsgType.BINARY:
                        break
                    for result in _read(message.data):
                        yield result
                if message.type is not aiohttp.WSMsgType.CLOSE or socket.close_code != 1000:
                    raise lost(Cause.ERROR, f"{WHO} broke off")
            except TimeoutError:
                raise lost(Cause.STALLED, f"{WHO} says nothing more") from None
            finally:
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)

    @asynccontextmanager
    async def _socket(self, address: str) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        try:
            async with (
                asyncio.timeout(CONNECT_S) as opening,
                self._resources.http().ws_connect(
                    Address(address, encoded=True),
                    max_msg_size=1 << 20,
                    timeout=aiohttp.ClientWSTimeout(ws_close=1.0),
                ) as socket,
            ):
                opening.reschedule(None)
                yield socket
        except TimeoutError:
            raise lost(Cause.SLOW_FIRST, f"{WHO} does not answer in time") from None
        except aiohttp.WSServerHandshakeError as error:
            message = f"{WHO} answers {error.status}"
            raise ClipFailed(failure_of_status(error.status, error), message) from None
        except aiohttp.ClientConnectionError as error:
            raise lost(Cause.UNREACHABLE, f"{WHO}: {type(error).__name__}") from None
        except (aiohttp.ClientError, OSError) as error:
            raise lost(Cause.ERROR, f"{WHO}: {type(error).__name__}") from None

    async def _address(self, recording: Recording) -> str:
        """The signed address; nothing of it stands in a message."""
        wanted = {
            "language-code": locale(recording.language) if recording.language else LANGUAGE,
            "media-encoding": "pcm",
            "sample-rate": str(recording.sound.rate_hz),
        }
        if recording.speakers:
            wanted["show-speaker-label"] = "true"
        wanted |= {str(name): str(value) for name, value in recording.options.items()}
        url = f"{self._url}{PATH}?{urlencode(wanted, quote_via=quote)}"
        request = AWSRequest(method="GET", url=url)
        credentials = await self._keys.credentials(WHO)
        SigV4QueryAuth(credentials, "transcribe", self._region, expires=VALID_S).add_auth(request)
        return str(request.url)


async def _send(socket: aiohttp.ClientWebSocketResponse, pcm16: bytes) -> None:
    """The recording, and an empty message for its end."""
    for at in range(0, len(pcm16), PIECE):
        await socket.send_bytes(encoded(AUDIO, pcm16[at : at + PIECE]))
    await socket.send_bytes(encoded(AUDIO, b""))


def _read(data: bytes) -> Iterator[_Result]:
    """Raises `ClipFailed` for the vendor's exceptions and for what is unreadable."""
    try:
        for event in decoded(data):
            if event.headers.get(":message-type") == "exception":
                kind = str(event.headers.get(":exception-type"))
                raise lost(CAUSES.get(kind, Cause.ERROR), f"{WHO} refuses ({kind[:60]})")
            yield from _Event.model_validate(json.loads(event.payload)).transcript.results
    except (ValueError, ValidationError):
        raise lost(Cause.ERROR, f"{WHO} answers with something unreadable") from None


def _text(results: list[_Result]) -> str:
    said = (each.alternatives[0].text.strip() for each in results if each.alternatives)
    return " ".join(text for text in said if text)


def _transcript(results: list[_Result], recording: Recording) -> Transcript:
    items = [item for each in results if each.alternatives for item in each.alternatives[0].items]
    words: list[Word] = []
    for item in items:
        if item.kind == "punctuation" and words:
            last = words.pop()
            words.append(replace(last, text=last.text + item.content))
        else:
            words.append(
                Word(item.content, item.start_s, item.end_s, item.confidence, item.speaker)
            )
    return Transcript(
        _text(results),
        next((each.language for each in results if each.language), recording.language),
        mean(word.confidence for word in words),
        tuple(words),
    )
