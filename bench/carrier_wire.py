"""What Twilio sends, byte for byte: the signed webhook and the media stream's messages.

Sources: https://www.twilio.com/docs/usage/webhooks/webhooks-security (signature),
https://www.twilio.com/docs/voice/twiml/stream (TwiML),
https://www.twilio.com/docs/voice/media-streams/websocket-messages (messages).
Used by `phone_load.py`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from xml.etree import ElementTree

from twilio.request_validator import RequestValidator


class NoStream(Exception):
    """The TwiML does not connect the call to a media stream (a refusal, an apology)."""


@dataclass(frozen=True, slots=True)
class Account:
    """Whose calls these are: both made up, and equal at the server and the load."""

    sid: str = "AC" + "0123456789abcdef" * 2
    token: str = "fedcba9876543210" * 2


@dataclass(frozen=True, slots=True)
class StreamOffer:
    """The `<Stream>` of a TwiML answer."""

    url: str
    parameters: dict[str, str] = field(default_factory=dict)


def voice_form(account: Account, call_sid: str) -> dict[str, str]:
    """The form of an incoming call's webhook."""
    return {
        "AccountSid": account.sid,
        "ApiVersion": "2010-04-01",
        "CallSid": call_sid,
        "CallStatus": "ringing",
        "Called": "+15005550006",
        "Caller": "+15005550001",
        "Direction": "inbound",
        "From": "+15005550001",
        "To": "+15005550006",
    }


def signature(account: Account, public_url: str, form: dict[str, str]) -> str:
    """The `X-Twilio-Signature` of a form posted to `public_url` (query included)."""
    return str(RequestValidator(account.token).compute_signature(public_url, form))


def read_twiml(xml: str) -> StreamOffer:
    """The stream a TwiML document connects to. Raises NoStream."""
    try:
        stream = ElementTree.fromstring(xml).find("./Connect/Stream")
    except ElementTree.ParseError as error:
        raise NoStream(f"no TwiML: {error}") from error
    if stream is None or not stream.get("url"):
        raise NoStream("no <Connect><Stream url>")
    return StreamOffer(
        str(stream.get("url")),
        {str(p.get("name")): str(p.get("value")) for p in stream.findall("Parameter")},
    )


class StreamMessages:
    """The messages of one stream, in Twilio's order and numbering."""

    def __init__(
        self, account: Account, call_sid: str, stream_sid: str, parameters: dict[str, str]
    ) -> None:
        self._number = 0
        self._chunk = 0
        self._sid = stream_sid
        self._start = {
            "accountSid": account.sid,
            "streamSid": stream_sid,
            "callSid": call_sid,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": parameters,
        }
        # everything of a media message that does not change, joined once
        self._media = (
            b'{"event":"media","sequenceNumber":"%d","media":{"track":"inbound","chunk":"%d",'
            b'"timestamp":"%d","payload":"%b"},"streamSid":"' + stream_sid.encode() + b'"}'
        )

    def connected(self) -> bytes:
        return b'{"event":"connected","protocol":"Call","version":"1.0.0"}'

    def start(self) -> bytes:
        return self._numbered({"event": "start", "start": self._start})

    def stop(self) -> bytes:
        stop = {"accountSid": self._start["accountSid"], "callSid": self._start["callSid"]}
        return self._numbered({"event": "stop", "stop": stop})

    def mark(self, name: str) -> bytes:
        return self._numbered({"event": "mark", "mark": {"name": name}})

    def media(self, payload: bytes) -> bytes:
        """20 ms of caller audio; `payload` is base64 mu-law."""
        self._number += 1
        self._chunk += 1
        return self._media % (self._number, self._chunk, (self._chunk - 1) * 20, payload)

    def _numbered(self, message: dict[str, object]) -> bytes:
        self._number += 1
        full = {**message, "sequenceNumber": str(self._number), "streamSid": self._sid}
        return json.dumps(full).encode()
