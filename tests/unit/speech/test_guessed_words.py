"""Words placed by a guess are placed exactly where the caller interrupts them, and only there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest
from pipecat.frames.frames import Frame
from telephone import WORD_S, TestAgent, Voice, exchange
from virtual_time import run

from telebot.providers.frames import Word, WordTimesFrame

pytestmark = pytest.mark.unit

ANSWER = "We are open from noon to ten every day but Monday and we have a car park too."
QUESTION = "Are you open on Mondays?"


class Guesser(Voice):
    """Guesses its words at twice their pace, and knows better when asked."""

    asked = 0

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        async for frame in super().run_tts(text, context_id):
            if isinstance(frame, WordTimesFrame):
                guess = tuple(Word(w.start_s / 2, w.end_s / 2, w.text) for w in frame.words)
                yield self._guessed(guess, frame)
            else:
                yield frame

    def _guessed(self, guess: tuple[Word, ...], known: WordTimesFrame) -> WordTimesFrame:
        async def exactly() -> tuple[Word, ...]:
            self.asked += 1
            return known.words

        return WordTimesFrame("", guess, known.audio_s, at_s=0.0, replaces=True, exactly=exactly)


class Guessing(TestAgent):
    def tts(self, _listener: object, _line: object = None) -> Voice:
        self.voice = Guesser(self.tts_delay_s)
        return self.voice


def test_they_are_where_the_caller_interrupts(spoken):
    async def scene() -> None:
        agent = Guessing([ANSWER, "Five it is."], hears=[QUESTION, "Actually, make it five."])
        async with exchange(agent) as line:
            phone = await line.dial()
            await phone.quiet()
            _, end = await phone.say(spoken(QUESTION))
            await phone.until(lambda: phone.conversation.parts.voice.talking)
            await asyncio.sleep(1.5)
            begin = phone.bot_from(end - 0.5)
            await phone.say(spoken("Actually, make it five people on Friday."))
            await phone.until(lambda: len(line.log.turns) == 3)
            heard = line.log.turns[1].bot_text_heard.split()
            cleared = phone.carrier.clears[0] - phone.carrier.began
            assert abs(len(heard) - (cleared - begin) / WORD_S) <= 1.5
            assert agent.voice.asked == 1

    run(scene())


def test_what_is_heard_to_its_end_asks_nobody(spoken):
    async def scene() -> None:
        agent = Guessing([ANSWER], hears=[QUESTION])
        async with exchange(agent) as line:
            phone = await line.dial()
            await phone.quiet()
            await phone.say(spoken(QUESTION))
            await phone.until(lambda: len(line.log.turns) == 2)
            assert line.log.turns[1].bot_text_heard == ANSWER
            assert agent.voice.asked == 0

    run(scene())
