"""OpenAI's `/audio` wire as this server speaks it itself: forms, JSON, events, refusals.

For `openai_clips.py` and the vendors and servers that copy it. The SDK serves the calls, where
there is one request a turn; here it took as much time as all the rest of a request
(docs/decisions/0021-openai-audio-without-its-sdk.md).
https://platform.openai.com/docs/api-reference/audio
"""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

import aiohttp
import orjson

from telebot.providers import vendor
from telebot.providers.asking import asked, pieces
from telebot.providers.clips import ClipFailed, lost
from telebot.providers.failure import CAUSES, Cause, Failure
from telebot.providers.openai_words import CAPACITY_EXCEEDED, category_of
from telebot.providers.resources import Resources
from telebot.providers.vendor_http import VendorHttp, bearer

MOST_EVENT = 4 << 20
# what OpenAI's own SDK reads of the environment beside the key
SENT_ALONG = {"OPENAI_ORG_ID": "OpenAI-Organization", "OPENAI_PROJECT_ID": "OpenAI-Project"}


def account(
    options: Mapping[str, Any], resources: Resources, name: str, url: str, who: str
) -> VendorHttp:
    """The account of a vendor (``OPENAI``) on this wire. Raises ProviderConfigError."""
    key, address = vendor.access(options, resources.environ, name, url)
    address = address.rstrip("/")
    headers = bearer(key)
    if name == "OPENAI":
        environ = resources.environ
        headers |= {header: environ[of] for of, header in SENT_ALONG.items() if environ.get(of)}
    return VendorHttp(resources, who, address, headers)


def post(
    http: VendorHttp, path: str, body: bytes, kind: str
) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
    """The answer to a POST. Raises `ClipFailed`, as `asking.asked` does."""
    return asked(
        http.resources,
        "POST",
        f"{http.url}{path}",
        who=http.who,
        refusal=cause_of,
        data=body,
        headers={**http.headers, "Content-Type": kind},
    )


def cause_of(status: int, body: bytes) -> Cause | None:
    """What a refusal says beyond its status; None where the status says it all."""
    if status == CAPACITY_EXCEEDED:
        return Cause.RATE_LIMIT
    if status != 429:
        return None
    try:
        tree = json.loads(body)
    except ValueError:
        return None
    cause = _cause(tree.get("error", tree)) if isinstance(tree, dict) else None
    return cause if cause is Cause.QUOTA else None


def form(wav: tuple[bytes, bytes], fields: Mapping[str, Any]) -> tuple[bytes, str]:
    """A form with a WAV file, given as its head and its samples, and its media type. Lists and
    objects are written as OpenAI's SDKs write them (``name[]``, ``name[key]``)."""
    boundary = secrets.token_hex(16)
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{_quoted(name)}"\r\n\r\n{text}\r\n'
        for name, value in fields.items()
        for name, text in _flat(name, value)
    ]
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="audio.wav"\r\n'
        "Content-Type: audio/wav\r\n\r\n"
    )
    before = "".join((*parts, head)).encode()
    body = b"".join((before, *wav, f"\r\n--{boundary}--\r\n".encode()))
    return body, f"multipart/form-data; boundary={boundary}"


def _flat(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from _flat(f"{name}[{key}]", each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _flat(f"{name}[]", each)
    elif isinstance(value, bool):
        yield name, "true" if value else "false"
    else:
        yield name, "" if value is None else str(value)


def _quoted(name: str) -> str:
    """As browsers write it (WHATWG HTML, multipart/form-data)."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


async def read_json(answer: aiohttp.ClientResponse, who: str) -> dict[str, Any]:
    """The object of an answer. Raises `ClipFailed`."""
    body = bytearray()
    async for piece in pieces(answer, who=who):
        body += piece
        if len(body) > MOST_EVENT:
            raise lost(Cause.ERROR, f"{who} answers with more than {MOST_EVENT} bytes")
    return _object(bytes(body), who)


async def events(answer: aiohttp.ClientResponse, who: str) -> AsyncIterator[dict[str, Any]]:
    """The objects of an event stream (https://html.spec.whatwg.org/multipage/server-sent-events.html)
    up to its end. Raises `ClipFailed`, also on one that says an error."""
    rest = b""
    async for piece in pieces(answer, who=who):
        *lines, rest = (rest + piece).split(b"\n")
        if len(rest) > MOST_EVENT:
            raise lost(Cause.ERROR, f"{who} sends an event of more than {MOST_EVENT} bytes")
        for line in lines:
            if not line.startswith(b"data:"):
                continue
            data = line[5:].strip()
            if data == b"[DONE]":
                return
            event = _object(data, who)
            if "error" in event:
                raise ClipFailed(Failure(_cause(event["error"])), f"{who} ends its stream")
            yield event


def _cause(error: object) -> Cause:
    return CAUSES.get(category_of(error), Cause.ERROR)


def _object(data: bytes, who: str) -> dict[str, Any]:
    try:
        tree = orjson.loads(data)
    except ValueError:
        tree = None
    if not isinstance(tree, dict):
        raise lost(Cause.ERROR, f"{who} answers with something that is no JSON")
    return tree
