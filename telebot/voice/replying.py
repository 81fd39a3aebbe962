"""A conversation to its next reply, by whichever language model can: `whole`, or `begun`.

Until the first word has come another model may take over; `whole` goes on to the next one after
that too, and begins again (`going_on.py` goes on where it broke off). Written down once, whatever
happens: also what was given up is paid. Next: `chat_turn.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, replace

from telebot.call.errors import ApiError
from telebot.providers.clips import ClipFailed, Use, lost
from telebot.providers.failure import Cause
from telebot.providers.replies import Finished, Question, Replier, estimated, expected
from telebot.voice.attempts import Attempts, as_failures
from telebot.voice.books import Entry
from telebot.voice.done import Done
from telebot.voice.offers import Offer
from telebot.voice.preferences import ANYBODY, Preferences
from telebot.voice.routing import Wish
from telebot.voice.service import Voice
from telebot.voice.tailoring import PLAINLY, Under
from telebot.voice.waiting import Waited

FIRST_S, STALL_S = 20.0, 15.0  # to the first word, between two pieces
WHOLE_S = 300.0
LETTERS_A_TOKEN = 64  # at most: a reply that is longer than its tokens can be does not end


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, and who may answer it. `wish.local` is this machine's own answer."""

    question: Question
    wish: Wish
    under: Under = PLAINLY  # what its user and the flags chose

    @classmethod
    def of(
        cls, question: Question, model: str | None = None, prefers: Preferences = ANYBODY
    ) -> Asked:
        """By `model` and `prefers` of a request."""
        return cls(question, Wish("llm", model, prefers, needs(question)))


@dataclass(frozen=True, slots=True)
class Replied:
    """A whole reply, `cut` where it would have been longer than asked for; `done` is the record."""

    text: str
    cut: bool
    done: Done


def needs(question: Question) -> frozenset[str]:
    """The abilities that a question's wishes ask for."""
    wanted = {
        "temperature": question.temperature is not None,
        "schema": question.schema is not None,
    }
    return frozenset(name for name, asked in wanted.items() if asked)


async def whole(voice: Voice, key_id: str, asked: Asked) -> Replied:
    """The reply at once, for the owner of an API key. Raises `ApiError`. Cancelling it ends the
    vendor's request."""
    left = await who_may(voice, key_id, asked)
    async with voice.within_budget(key_id, left, expected(asked.question)):
        return await _whole(voice.entry("llm", key_id, asked.under), asked, left)


async def _whole(entry: Entry, asked: Asked, left: list[Offer]) -> Replied:
    while True:
        reply = await _begun(entry, asked, left)
        try:
            async with aclosing(reply):
                async for _ in reply.pieces:
                    pass
            return Replied(reply.text, reply.cut, entry.done(reply.offer, reply.billed))
        except ApiError as error:
            left = left[left.index(reply.offer) + 1 :]
            if not left:
                entry.failed(error.code)
                raise
        except asyncio.CancelledError:
            entry.cancelled(reply.offer, reply.billed)
            raise


async def begun(
    voice: Voice, key_id: str, asked: Asked, offers: list[Offer] | None = None
) -> Reply:
    """A reply whose first word has come, by one of `offers` (else of all that may). Close it
    (`aclosing`). Raises `ApiError`."""
    entry = voice.entry("llm", key_id, asked.under)
    if offers is None:
        offers = await who_may(voice, key_id, asked)
    reply = await _begun(entry, asked, offers)
    reply.entry = entry
    return reply


class Reply:
    """A reply on its way. `pieces` are its text as it comes and raise `ApiError` where it breaks
    off; `text` is what has come, `done` the record once it is over."""

    def __init__(
        self,
        offer: Offer,
        question: Question,
        attempts: Attempts,
        first: str,
        rest: AsyncGenerator[str | Finished, None],
        *,
        waited: Waited,
    ) -> None:
        """`first` are its first words, for which it was `waited`; `rest` is where the others come
        from."""
        self.offer = offer
        self.text = ""
        self.cut = False
        self.uses: tuple[Use, ...] | None = None  # None as long as the vendor has not said it
        self.entry: Entry | None = None  # where this is to be written down as it ends
        self.done: Done | None = None
        self._question = question
        self._attempts = attempts
        self._source = rest
        self._waited = waited
        self.pieces: AsyncGenerator[str, None] = self._passed_on(first, rest)

    @property
    def billed(self) -> tuple[Use, ...]:
        """What the vendor bills, or an estimate of it."""
        return estimated(self._question, self.text) if self.uses is None else self.uses

    async def aclose(self) -> None:
        """End the vendor's request and give its place in the queue back. Idempotent. One that is
        closed before its end is written down as cancelled."""
        try:
            await self.pieces.aclose()
            await self._source.aclose()  # a generator that was never begun closes nothing
        finally:
            self._attempts.let_go()
            if self.entry is not None and self.done is None:
                self.done = self.entry.cancelled(self.offer, self.billed)

    async def _passed_on(
        self, first: str, rest: AsyncGenerator[str | Finished, None]
    ) -> AsyncGenerator[str, None]:
        most = self._question.most_tokens * LETTERS_A_TOKEN
        try:
            with as_failures(self.offer):
                self.text = first
                yield first
                async for piece in _in_time(rest, STALL_S, waited=self._waited):
                    if isinstance(piece, Finished):
                        self.uses, self.cut = piece.uses, piece.cut
                        break
                    self.text += piece
                    if len(self.text) > most:
                        raise lost(Cause.ERROR, "a reply longer than its tokens can be")
                    yield piece
                else:
                    raise lost(Cause.STALLED, "the reply broke off")
            breaker = self._attempts.router.breaker(self.offer)
            breaker.worked(len(self.text), self._waited.s)
        except ClipFailed as failed:
            raise self._late(failed) from failed
        finally:
            await rest.aclose()
        if self.entry is not None:
            self.done = self.entry.done(self.offer, self.billed)

    def _late(self, failed: ClipFailed) -> ApiError:
        self._attempts.failed_late(self.offer, failed)
        error = self._attempts.given_up(failed)
        if self.entry is not None:  # what had been said is paid all the same
            self.done = self.entry.failed(error.code, self.offer, self.billed)
        return error


async def who_may(voice: Voice, key_id: str, asked: Asked) -> list[Offer]:
    """Who may answer, the first one first. Raises `ApiError`."""
    work = None if asked.wish.at_home else asked.wish.work
    return voice.router.ordered(asked.wish, await voice.keys(key_id, work))


async def _begun(entry: Entry, asked: Asked, offers: list[Offer]) -> Reply:
    """By the first of `offers` from which a word has come."""
    options = asked.wish.prefers.options
    entry.attempts.told_how = frozenset(options)

    async def work(offer: Offer) -> tuple[str, AsyncGenerator[str | Finished, None], Waited]:
        question = replace(asked.question, options=options.get(offer.provider, {}))
        stream, waited = _bounded(offer.answers, question), Waited()
        async with AsyncExitStack() as undo:
            undo.push_async_callback(stream.aclose)
            first = await _first_word(stream, waited)
            undo.pop_all()
        return first, stream, waited

    with entry.while_asked():
        offer, (first, rest, waited) = await entry.attempts.first_that_can(offers, work, keep=True)
    entry.first()
    return Reply(offer, asked.question, entry.attempts, first, rest, waited=waited)


async def _first_word(stream: AsyncIterator[str | Finished], waited: Waited) -> str:
    """The text up to the first that is no blank. Raises `ClipFailed` where there is none."""
    text = ""
    async for piece in _in_time(stream, FIRST_S, Cause.SLOW_FIRST, waited=waited):
        if isinstance(piece, Finished):
            break
        text += piece
        if text.strip():
            return text
    raise lost(Cause.EMPTY, "no words in reply")


async def _bounded(replier: Replier, question: Question) -> AsyncGenerator[str | Finished, None]:
    deadline = asyncio.get_running_loop().time() + WHOLE_S
    async with aclosing(replier.reply(question)) as pieces:  # type: ignore[type-var]
        async for piece in pieces:
            yield piece
            if asyncio.get_running_loop().time() > deadline:
                raise lost(Cause.STALLED, f"no end within {WHOLE_S:.0f} s")


async def _in_time(
    stream: AsyncIterator[str | Finished],
    within_s: float,
    cause: Cause = Cause.STALLED,
    *,
    waited: Waited,
) -> AsyncIterator[str | Finished]:
    while True:
        try:
            with waited:
                async with asyncio.timeout(within_s):
                    piece = await anext(stream)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise lost(cause, f"no word for {within_s:.0f} s") from None
        if piece:
            yield piece
