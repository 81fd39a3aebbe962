"""A reply that cannot be taken back: where a model breaks off in its middle, the next one is told
what was said and goes on, as in the calls (`providers/continuation.py`).

Each model's part is a piece of work of its own in the records. Next: `replying.py`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

import structlog

from telebot.call.errors import ApiError
from telebot.providers.continuation import Seam, instruction
from telebot.providers.replies import Message, Question, expected
from telebot.voice import replying
from telebot.voice.done import Done
from telebot.voice.offers import LOCAL, Offer
from telebot.voice.replying import Asked, Reply
from telebot.voice.service import Voice

log = structlog.get_logger(__name__)


class GoingOn:
    """One reply. At its end `provider` is who said the last of it, `written` are the records."""

    def __init__(self, voice: Voice, key_id: str, asked: Asked) -> None:
        self.provider = ""
        self.cut = False
        self.written: list[Done] = []
        self._voice = voice
        self._key_id = key_id
        self._asked = asked

    async def pieces(self) -> AsyncGenerator[str, None]:
        """The text as it comes. Close it to end the vendor's request. Raises `ApiError` where
        nobody is left who could go on."""
        left = await replying.who_may(self._voice, self._key_id, self._asked)
        about = expected(self._asked.question)
        async with (
            self._voice.within_budget(self._key_id, left, about),
            aclosing(self._by(left)) as pieces,
        ):
            async for piece in pieces:
                yield piece

    async def _by(self, left: list[Offer]) -> AsyncGenerator[str, None]:
        said, asked = "", self._asked
        while True:
            reply = await replying.begun(self._voice, self._key_id, asked, left)
            seam = Seam(said)
            try:
                async with aclosing(reply), aclosing(_sewn(reply, seam)) as pieces:
                    async for piece in pieces:
                        said += piece
                        yield piece
                self.provider, self.cut = reply.offer.name, reply.cut
                return
            except ApiError:
                left = self._others(left, reply.offer)
                if not left:
                    raise
                log.info("voice_reply_goes_on", after=reply.offer.name)
                asked = replace(asked, question=_gone_on(self._asked.question, said))
            finally:
                if reply.done is not None:
                    self.written.append(reply.done)

    def _others(self, offers: list[Offer], failed: Offer) -> list[Offer]:
        """Who may go on. This machine's own brain answers as a whole: it would begin again. No half
        of a structured answer fits the other half of another one."""
        if self._asked.question.schema is not None:
            return []
        return [each for each in offers[offers.index(failed) + 1 :] if each.provider != LOCAL]


async def _sewn(reply: Reply, seam: Seam) -> AsyncGenerator[str, None]:
    """What is new in a reply."""
    async for piece in reply.pieces:
        if new := seam.feed(piece):
            yield new
    if rest := seam.end():
        yield rest


def _gone_on(question: Question, said: str) -> Question:
    told = Message("system", str(instruction(said)["content"]))
    return replace(question, messages=(*question.messages, told))
