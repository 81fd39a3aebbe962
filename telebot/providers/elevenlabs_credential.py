"""ElevenLabs' signed URLs: each opens one conversation with an agent of the vendor's console.

https://elevenlabs.io/docs/api-reference/conversations/get-signed-url; a signed URL is good for 15
minutes (https://elevenlabs.io/docs/agents-platform/customization/authentication). Prompt, voice and
language are the agent's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

from pydantic import BaseModel

from telebot.call.errors import ProviderConfigError
from telebot.providers import elevenlabs, vendor
from telebot.providers.credentials import Credential, Wanted
from telebot.providers.resources import Resources
from telebot.providers.vendor_http import account

GOOD_FOR = timedelta(minutes=15)


class Signed(BaseModel):
    """What the vendor answers."""

    signed_url: str


async def credential(
    options: Mapping[str, Any], wanted: Wanted, resources: Resources
) -> Credential:
    """Raises ProviderConfigError and `ClipFailed`."""
    agent = wanted.model or str(options.get("agent") or "")
    if not agent:
        raise ProviderConfigError(
            f"{elevenlabs.WHO} needs the agent that its console made, as its model: "
            f"{elevenlabs.WHO}/agent_…"
        )
    http = account(
        options,
        resources,
        name=elevenlabs.VENDOR,
        url=elevenlabs.URL,
        headers=lambda key: {"xi-api-key": key},
        keys=(*vendor.MODEL_KEYS, "agent", "overrides", "settings"),
    )
    path = "/v1/convai/conversation/get-signed-url"
    made = await http.read(Signed, "GET", path, params={"agent_id": agent})
    url = vendor.like("wss://host", made.signed_url)
    query = parse_qs(urlsplit(url).query)
    secret = (query.get("conversation_signature") or query.get("token") or [url])[0]
    return Credential(agent, secret, url, datetime.now(UTC) + GOOD_FOR)
