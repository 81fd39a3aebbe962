"""Gemini's ephemeral tokens: good for one Live session, held to the configuration they are made
with.

https://ai.google.dev/gemini-api/docs/live-api/ephemeral-tokens (`v1alpha` alone; `uses` 1); the
body as Google's own SDK sends it (google-genai `tokens.py`: without a `fieldMask` everything that
is given is locked). The socket takes it as `access_token`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import BaseModel

from telebot.providers import gemini, vendor
from telebot.providers.credentials import Credential, Wanted
from telebot.providers.resources import Resources
from telebot.providers.vendor_http import account

VERSION = "v1alpha"
SOCKET = (
    f"/ws/google.ai.generativelanguage.{VERSION}.GenerativeService.BidiGenerateContentConstrained"
)
LASTS = timedelta(minutes=30)  # of the session that is begun, the vendor's own default


class Token(BaseModel):
    """What the vendor answers."""

    name: str


async def credential(
    options: Mapping[str, Any], wanted: Wanted, resources: Resources
) -> Credential:
    """Raises ProviderConfigError and `ClipFailed`."""
    options = gemini.keyed(options, resources.environ)
    http = account(
        options,
        resources,
        name=gemini.VENDOR,
        url=gemini.URL,
        headers=lambda key: {"x-goog-api-key": key},
    )
    now = datetime.now(UTC)
    expires = now + timedelta(seconds=wanted.life_s)
    model = (wanted.model or str(options.get("model") or gemini.LIVE_MODEL)).removeprefix("models/")
    asked = {
        "uses": 1,
        "newSessionExpireTime": _written(expires),
        "expireTime": _written(max(now + LASTS, expires)),
        "bidiGenerateContentSetup": _setup(model, wanted),
    }
    made = await http.read(Token, "POST", f"/{VERSION}/auth_tokens", json=asked)
    url = vendor.like("wss://host", http.url) + SOCKET
    return Credential(model, made.name, f"{url}?access_token={made.name}", expires)


def _setup(model: str, wanted: Wanted) -> dict[str, Any]:
    voice = {"prebuiltVoiceConfig": {"voiceName": wanted.voice or gemini.LIVE_VOICE}}
    speech: dict[str, Any] = {"voiceConfig": voice}
    if wanted.language:
        speech["languageCode"] = wanted.language
    setup: dict[str, Any] = {
        "model": f"models/{model}",
        "generationConfig": {"responseModalities": ["AUDIO"], "speechConfig": speech},
    }
    if wanted.instructions:
        setup["systemInstruction"] = {"parts": [{"text": wanted.instructions}]}
    return setup


def _written(at: datetime) -> str:
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")
