"""OpenAI's client secrets: short-lived keys for one realtime session, made with its configuration.

https://developers.openai.com/api/reference/resources/realtime/subresources/client_secrets/methods/create
(`expires_after.seconds` is 10 to 7200). A client opens the WebSocket, or WebRTC by
`POST /v1/realtime/calls`, with it in place of a key.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel

from telebot.providers import openai, vendor
from telebot.providers.credentials import Credential, Wanted
from telebot.providers.locale import primary
from telebot.providers.openai_realtime import MODEL, TRANSCRIBER, VOICE
from telebot.providers.resources import Resources
from telebot.providers.vendor_http import account, bearer

LIFE_S = (10, 7200)


class Secret(BaseModel):
    """What the vendor answers."""

    value: str
    expires_at: int


async def credential(
    options: Mapping[str, Any], wanted: Wanted, resources: Resources
) -> Credential:
    """Raises ProviderConfigError and `ClipFailed`."""
    http = account(options, resources, name=openai.VENDOR, url=openai.URL, headers=bearer)
    model = wanted.model or str(options.get("model") or MODEL)
    heard: dict[str, Any] = {"model": TRANSCRIBER}
    if wanted.language:
        heard["language"] = primary(wanted.language)
    session: dict[str, Any] = {
        "type": "realtime",
        "model": model,
        "audio": {
            "input": {"transcription": heard},
            "output": {"voice": wanted.voice or VOICE},
        },
    }
    if wanted.instructions:
        session["instructions"] = wanted.instructions
    seconds = min(max(round(wanted.life_s), LIFE_S[0]), LIFE_S[1])
    asked = {"expires_after": {"anchor": "created_at", "seconds": seconds}, "session": session}
    made = await http.read(Secret, "POST", "/realtime/client_secrets", json=asked)
    url = vendor.vendor_url(options, resources.environ, openai.VENDOR, openai.SOCKET)
    url = url if url.endswith("/realtime") else f"{url}/realtime"
    expires = datetime.fromtimestamp(made.expires_at, UTC)
    return Credential(model, made.value, f"{url}?model={model}", expires)
