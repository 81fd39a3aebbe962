"""Voice work in its turn: what a request asks for begins when there is a place (`voice/line.py`).

Every endpoint that answers by `Once` waits here, after its body was read and before anything is
done with it; an answer that is given again needs no place. Who goes away while waiting leaves.
"""

from __future__ import annotations

from aiohttp import web

from telebot.api.idempotency import Do, Once, WhoAsks
from telebot.api.streaming import WAITED, WAITED_HEADER
from telebot.api.voice.leaving import while_there
from telebot.api.voice.uploads import BROUGHT, DECODED
from telebot.voice.line import Asker
from telebot.voice.service import Voice


class InTurn(Once):
    """Requests of all endpoints of voice work; `Once` besides."""

    def __init__(self, voice: Voice, who: WhoAsks) -> None:
        most = voice.settings.kept_answers_mb << 20
        super().__init__(voice.clock, who, most_bytes=most)
        self._voice = voice
        self._owner = who

    async def answer(self, request: web.Request, asked: bytes, do: Do) -> web.StreamResponse:
        """As `Once` does. Raises `ApiError` (503) where there is no place in time."""
        return await super().answer(request, asked, lambda: self._in_turn(request, do))

    async def _in_turn(self, request: web.Request, do: Do) -> web.StreamResponse:
        key_id = self._owner(request)
        permit = await self._voice.permit(key_id)
        asker = Asker(key_id, permit.tier, request.get(BROUGHT, 0))
        with while_there(request):
            place = await self._voice.line.take(asker)
        request[DECODED] = share = self._voice.decoded.share(key_id)
        try:
            request[WAITED] = str(round(place.waited_s * 1000))
            response = await do()
            if not response.prepared:
                response.headers[WAITED_HEADER] = request[WAITED]
            return response
        finally:
            share.leave()
            place.leave()
