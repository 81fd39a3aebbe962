"""Amazon Transcribe's streaming over a WebSocket: a signed address, event streams both ways.

https://docs.aws.amazon.com/transcribe/latest/dg/websocket.html. A signature that is none is refused
in the handshake (403), what is wrong with the request by an exception on the socket; the text
settles at the end of the audio.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import WSMsgType, web

from telebot.providers.event_stream import decoded, encoded
from telebot.simulate.faults import Exchange, Garbage, Refused
from telebot.simulate.recordings import Told
from telebot.simulate.server import Routes, Simulator

PATH = "/amazon-transcribe/stream-transcription-websocket"
CREDENTIAL = re.compile(r"([^/]+)/(\d{8})/[a-z0-9-]+/transcribe/aws4_request")
LANGUAGES = ("en-US", "en-GB", "de-DE", "fr-FR", "es-US", "it-IT")
RATES = range(8000, 48001)
MOST_AUDIO = 32 << 10  # bytes in a message
MOST_VALID_S = 300
ON_COMMAND = {
    429: ("LimitExceededException", "You have exceeded the limit of concurrent streams."),
    500: ("InternalFailureException", "A problem occurred while processing the audio."),
}


class _Over(Exception):
    """An exception of the vendor's, then the close."""

    def __init__(self, kind: str, says: str) -> None:
        super().__init__(says)
        self.kind = kind


def routes(sim: Simulator) -> Routes:
    """The one address."""

    async def stream(request: web.Request) -> web.StreamResponse:
        exchange = sim.exchange("amazon-transcribe", "stt")
        refused: Refused | None = None
        try:
            await exchange.reach("connect")
        except Refused as fault:
            refused = fault
        if (refused and refused.status == 401) or not _signed(sim, request.query):
            says = "The security token included in the request is invalid."
            return web.json_response({"message": says}, status=403)
        socket = web.WebSocketResponse(max_msg_size=1 << 20)
        await socket.prepare(request)
        try:
            if refused:
                raise _Over(*ON_COMMAND[refused.status])
            await _serve(sim, exchange, request.query, socket)
        except Refused as fault:
            await _end(socket, _Over(*ON_COMMAND.get(fault.status, ON_COMMAND[500])))
        except _Over as over:
            await _end(socket, over)
        except Garbage:
            await socket.send_bytes(b"\x00\xff\x00 no event stream")
            await socket.close()
        return socket

    return [web.get(PATH, stream)]


def _signed(sim: Simulator, query: Mapping[str, str]) -> bool:
    """As far as form, scope, age and access key go."""
    scope = CREDENTIAL.fullmatch(query.get("X-Amz-Credential", ""))
    at = query.get("X-Amz-Date", "")
    if scope is None or query.get("X-Amz-Algorithm") != "AWS4-HMAC-SHA256":
        return False
    if not at.startswith(scope[2]) or not re.fullmatch(r"\d{8}T\d{6}Z", at):
        return False
    age = datetime.now(UTC) - datetime.strptime(at, "%Y%m%dT%H%M%S%z")
    valid_s = int(query.get("X-Amz-Expires", "0"))
    fresh = timedelta(seconds=-60) < age <= timedelta(seconds=min(valid_s, MOST_VALID_S))
    signature = re.fullmatch(r"[0-9a-f]{64}", query.get("X-Amz-Signature", ""))
    return fresh and signature is not None and sim.good(scope[1])


async def _serve(
    sim: Simulator, exchange: Exchange, query: Mapping[str, str], socket: web.WebSocketResponse
) -> None:
    rate = query.get("sample-rate", "")
    if query.get("language-code") not in LANGUAGES or query.get("media-encoding") != "pcm":
        raise _Over("BadRequestException", "The request is not valid.")
    if not rate.isdigit() or int(rate) not in RATES:
        raise _Over("BadRequestException", "The sample rate is not valid.")
    pcm16 = bytearray()
    async for message in socket:
        audio = _audio(message.data) if message.type is WSMsgType.BINARY else b""
        if not audio:
            break
        pcm16 += audio
    else:
        return
    await exchange.reach("first")
    text = await sim.speech.hear(bytes(pcm16), int(rate))
    told = Told(text, len(pcm16) / 2 / int(rate))
    await exchange.reach("middle")
    if exchange.silent:
        await exchange.stay()
    for partial in (True, False):
        if told.text:
            await socket.send_bytes(_event(told, query, partial=partial))
    await exchange.reach("end")
    await socket.close()


def _audio(data: bytes) -> bytes:
    """Raises _Over."""
    try:
        events = list(decoded(data))
    except ValueError:
        raise _Over("BadRequestException", "Could not decode the audio stream.") from None
    if len(events) != 1 or events[0].headers.get(":event-type") != "AudioEvent":
        raise _Over("BadRequestException", "Unexpected message.")
    if len(events[0].payload) > MOST_AUDIO:
        raise _Over("BadRequestException", "Your stream is too big. Reduce the frame size.")
    return events[0].payload


def _event(told: Told, query: Mapping[str, str], *, partial: bool) -> bytes:
    speaker = {"Speaker": "0"} if query.get("show-speaker-label") == "true" else {}
    items: list[dict[str, Any]] = []
    for text, start_s, end_s in told.words:
        word = text.rstrip(".,?!")
        said = {"Content": word, "Type": "pronunciation", "Confidence": 0.99, **speaker}
        items.append({**said, "StartTime": start_s, "EndTime": end_s})
        if mark := text[len(word) :]:
            times = {"StartTime": end_s, "EndTime": end_s}
            items.append({"Content": mark, "Type": "punctuation", **times})
    result = {
        "ResultId": "simulated",
        "IsPartial": partial,
        "StartTime": 0.0,
        "EndTime": told.seconds,
        "LanguageCode": query["language-code"],
        "Alternatives": [{"Transcript": told.text, "Items": items}],
    }
    headers = {
        ":content-type": "application/json",
        ":event-type": "TranscriptEvent",
        ":message-type": "event",
    }
    return encoded(headers, json.dumps({"Transcript": {"Results": [result]}}).encode())


async def _end(socket: web.WebSocketResponse, over: _Over) -> None:
    headers = {
        ":content-type": "application/json",
        ":exception-type": over.kind,
        ":message-type": "exception",
    }
    await socket.send_bytes(encoded(headers, json.dumps({"Message": str(over)}).encode()))
    await socket.close()
