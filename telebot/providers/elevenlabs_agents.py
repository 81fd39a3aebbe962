"""What every conversation with an agent of ElevenLabs needs, on the telephone
(`elevenlabs_realtime.py`) and off it (`elevenlabs_direct.py`): where it is opened, why one was
refused, how much of an answer was said.

https://elevenlabs.io/docs/agents-platform/api-reference/agents-platform/websocket,
https://elevenlabs.io/docs/api-reference/conversations/get-signed-url.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import aiohttp
from pipecat.utils.errors import ErrorCategory, classify_http_status_code
from websockets.exceptions import ConnectionClosed

from telebot.call.errors import ProviderConfigError, ProviderError
from telebot.providers import elevenlabs, vendor
from telebot.providers.one_socket import CLOSE_CATEGORIES
from telebot.providers.resources import CONNECT_S, Resources
from telebot.providers.vendor_error import VendorError, kind_of

WHO = elevenlabs.WHO
ROUNDING_S = 0.02
KEYS = ("agent", "model", "voice", "language", "api_key_env", "base_url", "overrides", "settings")
# https://github.com/elevenlabs/packages/issues/626
REFUSED = 3000


def agent_of(options: Mapping[str, Any]) -> str:
    """The agent that the vendor's console made: `agent`, or the model that a request names. Raises
    ProviderConfigError."""
    agent = options.get("agent") or options.get("model")
    if not isinstance(agent, str) or not agent:
        raise ProviderConfigError(
            f"{WHO} needs the agent that its console made: "
            f"`realtime: {{service: {WHO}, agent: agent_…}}`, or {WHO}/agent_… as the model"
        )
    return agent


def overrides_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """The vendor's `conversation_config_override`, with the voice and the language that are named;
    the vendor's agent must allow each of them."""
    told = {name: dict(part) for name, part in (options.get("overrides") or {}).items()}
    if options.get("voice"):
        told["tts"] = {**told.get("tts", {}), "voice_id": str(options["voice"])}
    if options.get("language"):
        tongue = str(options["language"]).partition("-")[0].lower()
        told["agent"] = {**told.get("agent", {}), "language": tongue}
    return told


class Address:
    """Where conversations with one agent are opened, by one key."""

    def __init__(self, options: Mapping[str, Any], resources: Resources) -> None:
        """Raises ProviderConfigError."""
        self.agent = agent_of(options)
        self._key, self._url = vendor.access(
            options, resources.environ, elevenlabs.VENDOR, elevenlabs.URL
        )
        self._resources = resources

    async def signed(self) -> str:
        """An address for one conversation. Raises `VendorError`, ProviderError."""
        url = f"{self._url}/v1/convai/conversation/get-signed-url"
        asked = {"params": {"agent_id": self.agent}, "headers": {"xi-api-key": self._key}}
        try:
            async with (
                asyncio.timeout(CONNECT_S),
                self._resources.http().get(url, **asked) as answer,  # type: ignore[arg-type]
            ):
                told = await answer.json(content_type=None)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise ProviderError(f"{WHO} cannot be asked ({type(error).__name__})") from error
        if answer.status != 200:
            category = classify_http_status_code(answer.status)
            if answer.status == 404:
                category = ErrorCategory.INVALID_REQUEST
            raise VendorError(f"{WHO} refuses agent {self.agent} ({answer.status})", category)
        if not isinstance(told, Mapping) or not told.get("signed_url"):
            raise VendorError(f"{WHO} gives no address")
        return vendor.like(self._url.replace("http", "ws", 1), str(told["signed_url"]))


def category_of(closed: ConnectionClosed) -> ErrorCategory:
    """Why a conversation was closed."""
    code = closed.rcvd.code if closed.rcvd else 1006
    if code == REFUSED:
        return ErrorCategory.AUTHENTICATION
    if closed.rcvd and "oo many concurrent" in closed.rcvd.reason:
        return ErrorCategory.RATE_LIMIT
    return CLOSE_CATEGORIES.get(code, ErrorCategory.CONNECTIVITY)


def kind(error: Exception) -> ErrorCategory | None:
    """Why a conversation could not be opened, or was lost."""
    return category_of(error) if isinstance(error, ConnectionClosed) else kind_of(error)


class Answer:
    """One answer: how much of its text its audio has said. The vendor says no word when it is
    over."""

    def __init__(self) -> None:
        self.text = ""
        self.aligned = 0  # characters
        self.said_s = 0.0
        self._ends_s = 0.0  # the last aligned character

    def add(self, audio_s: float, alignment: Mapping[str, Any]) -> None:
        """More audio, and where its characters are."""
        chars = alignment.get("chars") or []
        starts, lengths = alignment.get("char_start_times_ms"), alignment.get("char_durations_ms")
        if chars and starts and lengths:
            self.aligned += len(chars)
            self._ends_s = self.said_s + (starts[-1] + lengths[-1]) / 1000
        self.said_s += audio_s

    @property
    def whole(self) -> bool:
        """All of the text was said. Spaces at its ends may be missing."""
        if not self.text or self.aligned < len(self.text.strip()):
            return False
        return self.said_s + ROUNDING_S >= self._ends_s
