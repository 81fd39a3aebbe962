"""jambonz's switch: asks the call hook, signed as jambonz signs it, and carries out its verbs.

Verbs: https://docs.jambonz.org ; the signature as `lib/utils/base-requestor.js` of
https://github.com/jambonz/jambonz-feature-server makes it. The stream is
`freeswitch_stream.py`'s: jambonz uses that module.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from typing import Any
from uuid import uuid4

import aiohttp
import orjson

from telebot.phone.asking import ask
from telebot.phone.destination import CallRefused, CannotCall, Destination
from telebot.phone.environment import needed
from telebot.phone.exchange import Connection, open_socket
from telebot.phone.freeswitch_stream import ForkStream
from telebot.phone.microphone import Microphone

PROTOCOL = "audio.jambonz.org"
NEEDED: dict[str, set[str]] = {
    "answer": set(),
    "say": {"text"},
    "hangup": set(),
    "dial": {"target"},
    "listen": {"url", "actionHook"},
}
STREAMING = {"enabled": True, "streaming": True, "sampleRate": 8000}


class JambonzExchange:
    """An `Exchange` of jambonz's kind."""

    def __init__(self, to: Destination) -> None:
        self._to = to
        self._call_sid = str(uuid4())
        self._listen: dict[str, Any] = {}
        self.dialled = ""  # whom a verb of the server has put the caller through to

    @staticmethod
    def secret(server: str, carrier: str) -> str:
        """The webhook secret. Raises `CannotCall`."""
        return needed("JAMBONZ_WEBHOOK_SECRET", carrier)

    async def dial(self, session: aiohttp.ClientSession, microphone: Microphone) -> Connection:
        """Post the call hook and go where its `listen` says. Raises `CannotCall`, `CallRefused`
        where the answer has none."""
        verbs = await self._post(session, self._to.webhook()[0], "trying")
        names = [verb["verb"] for verb in verbs]
        if "listen" not in names:
            raise CallRefused(_said(verbs), tuple(names))
        self._listen = listen = verbs[names.index("listen")]
        if listen.get("bidirectionalAudio") != STREAMING or listen.get("mixType") != "mono":
            raise CannotCall("the stream would not be both ways at 8 kHz")
        metadata = self._about("in-progress", camel=True) | dict(listen.get("metadata", {}))
        wire = await open_socket(session, listen["url"], protocols=(PROTOCOL,))
        return Connection(ForkStream(metadata, microphone), wire)

    async def after(self, session: aiohttp.ClientSession) -> str:
        """Ask the `actionHook` what now."""
        url = self._to.reached(str(self._listen.get("actionHook", "")))
        try:
            verbs = await self._post(session, url, "in-progress")
        except CannotCall:
            return "An application error has occurred. Goodbye."
        for verb in verbs:
            if verb["verb"] == "dial":
                self.dialled = str(verb["target"][0]["number"])
        return _said(verbs)

    def _about(self, status: str, *, camel: bool = False) -> dict[str, Any]:
        """The call, as webhooks (snake case) and the stream (camel case) describe it."""
        sid, state, account = (
            ("callSid", "callStatus", "accountSid")
            if camel
            else ("call_sid", "call_status", "account_sid")
        )
        return {
            sid: self._call_sid,
            "direction": "inbound",
            "from": self._to.phone_from,
            "to": self._to.phone_to,
            state: status,
            account: self._to.account_sid,
        }

    async def _post(
        self, session: aiohttp.ClientSession, url: str, status: str
    ) -> list[dict[str, Any]]:
        body = orjson.dumps(self._about(status))
        headers = {"Content-Type": "application/json", **signed(self._to.secret, body, time.time())}
        kinds = ("application/json",)
        answer = await ask(session, "POST", url, headers=headers, body=body, kinds=kinds)
        try:
            verbs = orjson.loads(answer)
            for verb in verbs:
                missing = NEEDED[verb["verb"]] - verb.keys()
                if missing:
                    raise CannotCall(f"{url}: {verb['verb']} without {sorted(missing)}")
        except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
            raise CannotCall(f"{url}: verbs that jambonz does not know: {error}") from None
        return list(verbs)


def signed(secret: str, body: bytes, at: float) -> dict[str, str]:
    """The header of a webhook sent at `at` (seconds since 1970)."""
    seconds = str(int(at)).encode()
    made = hmac.new(secret.encode(), seconds + b"." + body, hashlib.sha256).hexdigest()
    return {"Jambonz-Signature": f"t={int(at)},v1={made}"}


def _said(verbs: list[dict[str, Any]]) -> str:
    return " ".join(str(verb["text"]) for verb in verbs if verb["verb"] == "say")
