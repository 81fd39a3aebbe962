"""The carriers' webhooks: verified by the carrier, answered by admission, never with a 500.

`/{carrier}/voice` offers a call, `/status` tells that it is over, `/fallback` asks what to say when
something went wrong or a media stream is over. Next: `web/media_socket.py`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from urllib.parse import parse_qs, urlsplit

import structlog
from aiohttp import web

from telebot.call.admission import Admission
from telebot.call.errors import BadRequest, NotAuthentic, Refused
from telebot.call.model import Call
from telebot.carriers.port import (
    Answer,
    AnswersWebhooks,
    AsksByGet,
    OnThisMachine,
    StatusUpdate,
    Webhook,
)
from telebot.carriers.registry import Carriers
from telebot.web.errors import error
from telebot.web.limits import read_body
from telebot.web.media_socket import MediaSockets
from telebot.web.metrics import Metrics
from telebot.web.public_url import PublicUrl
from telebot.web.recent import RecentCalls

log = structlog.get_logger(__name__)


class Webhooks:
    """The three webhooks of every carrier."""

    def __init__(
        self,
        *,
        carriers: Carriers,
        admission: Admission,
        urls: PublicUrl,
        sockets: MediaSockets,
        recent: RecentCalls,
        metrics: Metrics,
    ) -> None:
        self._carriers = carriers
        self._admission = admission
        self._urls = urls
        self._sockets = sockets
        self._recent = recent
        self._metrics = metrics

    async def voice(self, request: web.Request) -> web.Response:
        """`POST /{carrier}/voice` (all three by GET too, where the carrier asks so): admit the
        call and connect it, or refuse it aloud."""
        return await self._answered(request, "voice", self._voice)

    async def status(self, request: web.Request) -> web.Response:
        """`POST /{carrier}/status`: the call is over for the carrier, so it is for us."""
        return await self._answered(request, "status", self._status)

    async def fallback(self, request: web.Request) -> web.Response:
        """`POST /{carrier}/fallback`: an apology, or just the end where nothing went wrong."""
        return await self._answered(request, "fallback", self._fallback)

    async def _answered(
        self,
        request: web.Request,
        kind: str,
        respond: Callable[[AnswersWebhooks, Webhook], Awaitable[Answer]],
    ) -> web.Response:
        carrier = self._carriers.get(request.match_info["carrier"])
        if not isinstance(carrier, AnswersWebhooks) or carrier.off():
            return error(404, "No such carrier here.")
        if request.method != "POST" and not isinstance(carrier, AsksByGet):
            return error(405, "Ask by POST.", headers={"Allow": "POST"})
        body = await read_body(request)
        webhook = self._urls.webhook(request, body, by_host=isinstance(carrier, OnThisMachine))
        try:
            answer = await respond(carrier, webhook)
        except (NotAuthentic, BadRequest) as refused:
            status = 403 if isinstance(refused, NotAuthentic) else 400
            log.warning("webhook_refused", carrier=carrier.name, kind=kind, why=str(refused))
            self._metrics.webhooks.labels(carrier.name, kind, status).inc()
            return error(status, str(refused))
        except Exception:  # a caller hears an apology, not a carrier's error message
            log.exception("webhook_failed", carrier=carrier.name, kind=kind)
            answer = carrier.apology("server_error")
        self._metrics.webhooks.labels(carrier.name, kind, answer.status).inc()
        return web.Response(
            text=answer.body, content_type=answer.content_type, status=answer.status
        )

    async def _voice(self, carrier: AnswersWebhooks, webhook: Webhook) -> Answer:
        offer = carrier.parse_offer(webhook)
        try:
            call, token = self._admission.admit(offer, _placed(webhook.url))
        except Refused as refused:
            log.info("call_refused", carrier=carrier.name, reason=refused.reason)
            return carrier.apology(refused.reason)
        self._recent.add(call)
        return carrier.answer(call, token, media_url(webhook.url))

    async def _status(self, carrier: AnswersWebhooks, webhook: Webhook) -> Answer:
        update = carrier.parse_status(webhook)
        call = self._find(carrier, webhook, update)
        if update.ended and call is not None:
            if self._admission.ringing(call):
                reason = update.reason if call.offer.outbound else ""
                self._admission.end(call, reason or "carrier_ended")
            else:
                self._sockets.stop(call, "caller_hangup")
        return Answer("", "text/plain")

    async def _fallback(self, carrier: AnswersWebhooks, webhook: Webhook) -> Answer:
        update = carrier.parse_status(webhook)
        if update.answer is not None:
            return update.answer
        call = self._find(carrier, webhook, update)
        outcome = self._recent.outcome(carrier.name, update.carrier_call_id)
        if call is not None and self._admission.ringing(call):
            self._admission.end(call, "no_media")  # it hears the apology instead of a stream
        elif call is not None:
            self._sockets.stop(call, "stream_lost")  # over for the carrier; ours may not know yet
        return carrier.apology(outcome)

    def _find(
        self, carrier: AnswersWebhooks, webhook: Webhook, update: StatusUpdate
    ) -> Call | None:
        """The live call that a carrier speaks of."""
        placed = _placed(webhook.url)
        return self._admission.find(carrier.name, update.carrier_call_id, placed)


def _placed(url: str) -> str:
    """The call of ours that a webhook's URL names (`carriers/dialling.py` has put it there)."""
    return parse_qs(urlsplit(url).query).get("call", [""])[0]


def media_url(webhook_url: str) -> str:
    """Where the media stream of a call goes whose voice webhook came to `webhook_url`."""
    url = webhook_url.partition("?")[0]
    return url.replace("http", "ws", 1).removesuffix("/voice") + "/media"
