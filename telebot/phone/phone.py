"""A phone that calls a server and talks with its bot; the command and the tests hold one.

    async with Phone(Destination("http://127.0.0.1:8080", secret), speech) as phone:
        await phone.heard()                       # the greeting
        turn = await phone.say("Are you open on Mondays?")
        print(turn.heard, turn.latency_ms)

Everything is measured in samples of the call's own clock (`phone.stream`), not in wall time.
"""

from __future__ import annotations

import time
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType

import aiohttp

from telebot.audio.g711 import RATE_HZ
from telebot.phone import sound, turns
from telebot.phone.destination import CannotCall, Destination
from telebot.phone.exchange import exchange_class
from telebot.phone.line import Clock, Line
from telebot.phone.microphone import Microphone, Spoken, Utterance
from telebot.phone.playout import Span
from telebot.phone.stream import CarrierStream
from telebot.phone.turns import Turn
from telebot.phone.voices import Speech

QUIET_S = 0.7  # a bot that says nothing for so long has finished
QUIET_AFTER_OVERLAP_S = 1.6  # one that was spoken over may only be holding its breath
REPLY_TIMEOUT_S = 15.0
LONGEST_REPLY_S = 60.0
NOISE_DBFS = -62.0
KEY_GAP_S = 0.25


class Phone:
    """One call from the caller's side. Entering it dials; leaving it hangs up.

    Raises `CannotCall` where there is no call to be had, `CallRefused` where it is turned away."""

    def __init__(
        self,
        to: Destination,
        speech: Speech,
        *,
        noise_dbfs: float | None = NOISE_DBFS,
        reply_timeout_s: float = REPLY_TIMEOUT_S,
        clock: Clock = time.monotonic,
    ) -> None:
        self.to = to
        self.speech = speech
        self.turns: list[Turn] = [Turn("greeting", None, 0)]
        self.apology = ""  # what the carrier said after the bot had hung up
        self._noise_dbfs = noise_dbfs
        self._reply_timeout_s = reply_timeout_s
        self._clock = clock
        self._exchange = exchange_class(to.carrier)(to)
        self._session: aiohttp.ClientSession | None = None
        self._line: Line | None = None
        self._understood: dict[tuple[int, int], str] = {}  # what was played stays as it was

    async def __aenter__(self) -> Phone:
        self._session = session = aiohttp.ClientSession(trust_env=False)
        async with AsyncExitStack() as undo:
            undo.push_async_callback(session.close)
            self._line = await self._dial(session)
            undo.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.hang_up()

    @property
    def line(self) -> Line:
        if self._line is None:
            raise CannotCall("the phone has not dialled")
        return self._line

    @property
    def stream(self) -> CarrierStream:
        return self.line.stream

    @property
    def greeting(self) -> Turn:
        return self.turns[0]

    @property
    def over(self) -> bool:
        return self.line.over.is_set()

    async def heard(self, timeout_s: float | None = None) -> str:
        """Wait until the bot has answered and is silent; the words it said, '' where it said
        none within `timeout_s`."""
        await self.listen(timeout_s)
        await self.understand()
        return self.turns[-1].heard

    async def listen(self, timeout_s: float | None = None, quiet_s: float | None = None) -> bool:
        """The same without understanding a word; False where the bot said nothing in time. It has
        finished when it was silent for `quiet_s`."""
        turn = self.turns[-1]
        usual_s = QUIET_AFTER_OVERLAP_S if turn.over_bot else QUIET_S
        quiet = round((usual_s if quiet_s is None else quiet_s) * RATE_HZ)
        wait_s = self._reply_timeout_s if timeout_s is None else timeout_s
        if not await self.line.until(lambda: self._reply_began(turn), wait_s):
            return False
        await self.line.until(lambda: turns.quiet_for(self.stream) >= quiet, LONGEST_REPLY_S)
        return True

    async def say(self, text: str, pauses: tuple[tuple[int, float], ...] = ()) -> Turn:
        """Say something and hear the answer."""
        turn = await self.speak(text, pauses)
        await self.heard()
        return turn

    async def speak(self, text: str, pauses: tuple[tuple[int, float], ...] = ()) -> Turn:
        """Say something; returns when the last word is out."""
        return await self.utter(await self.speech.speak(text, pauses))

    async def utter(self, utterance: Utterance, kind: str = "say") -> Turn:
        """Say an utterance made before; returns when its last word is out."""
        turn, spoken = self.begin(utterance, kind)
        await self.line.until(lambda: spoken.done, len(utterance.pcm16) / 2 / RATE_HZ + 5.0)
        return turn

    def begin(self, utterance: Utterance, kind: str = "say") -> tuple[Turn, Spoken]:
        """Begin to say an utterance with the next frame."""
        spoken = self.stream.microphone.speak(utterance)
        # the next frame is the one being recorded now
        start = self.stream.frames_sent * 160
        caller = Span(start + utterance.start, start + utterance.end)
        return self._open_turn(kind, utterance.text, caller), spoken

    async def interrupt(self, text: str, after_s: float) -> Turn:
        """Speak over the bot, `after_s` after its reply began, and hear what comes of it."""
        utterance = await self.speech.speak(text)
        await self.into_reply(after_s)
        turn = await self.utter(utterance)
        await self.heard()
        return turn

    async def into_reply(self, after_s: float) -> bool:
        """Wait until `after_s` into the bot's reply; False where there is none."""
        turn, stream = self.turns[-1], self.stream
        if not await self.line.until(lambda: self._reply_began(turn), self._reply_timeout_s):
            return False
        start = turns.first_voice(stream, turn.origin) or stream.position
        at = start + round(after_s * RATE_HZ)
        return await self.line.until(lambda: stream.position >= at, after_s + 1.0)

    async def press(self, digits: str) -> Turn:
        """Press keys; the reply counts from the last one."""
        turn = self._open_turn("dtmf", digits, None)
        for digit in digits:
            await self.line.press(digit)
            turn.origin = self.stream.position
            await self.wait(KEY_GAP_S)
        return turn

    async def wait(self, seconds: float) -> None:
        """Be silent for so long, or until the call is over."""
        await self.line.until(lambda: False, seconds)

    async def silence(self, seconds: float) -> Turn:
        """A turn in which the caller says nothing; hears what the bot makes of it."""
        turn = self._open_turn("wait", None, None)
        await self.wait(seconds)
        quiet = round(QUIET_S * RATE_HZ)
        if turns.speaking(self.stream):
            await self.line.until(lambda: turns.quiet_for(self.stream) >= quiet, LONGEST_REPLY_S)
        await self.understand()
        return turn

    async def until_over(self, timeout_s: float) -> bool:
        """Wait for the bot to hang up; False where it did not."""
        await self.line.until(lambda: self.over, timeout_s)
        return self.over

    async def understand(self) -> None:
        """Measure every turn as of now and put the bot's words down."""
        for turn in self.turns:
            turns.measure(self.stream, turn)
            if turn.clear_at is not None:
                self._give_way(turn.clear_at, before=turn)
        for turn in self.turns:
            turns.measure(self.stream, turn)
            if not turn.went_on:
                turn.heard = await self.words(turns.reply_range(turn, self.stream))

    async def words(self, span: Span | None = None) -> str:
        """The words the bot was heard saying between two positions (the whole call by default)."""
        span = span or Span(0, self.stream.position)
        texts = [await self._words(piece) for piece in turns.pieces(self.stream, span)]
        return " ".join(text for text in texts if text)

    async def _words(self, piece: Span) -> str:
        """Those of one piece, which is heard once."""
        place = (piece.start, piece.end)
        if place not in self._understood:
            self._understood[place] = await self.speech.hear(self.stream.playout.heard(*place))
        return self._understood[place]

    async def hang_up(self) -> None:
        """Put the phone down; where the bot was first, do what the answer says for that case.
        Safe to call again."""
        if self._line:
            await self._line.hang_up()
        if self._session and not self._session.closed:
            if self.line.ended_by == "bot":
                self.apology = await self._exchange.after(self._session)
            await self._session.close()

    async def drop(self) -> None:
        """Lose the connection: no stop, no closing handshake."""
        await self.line.abandon()
        if self._session:
            await self._session.close()

    def record(self, path: Path) -> None:
        """Write the call as a stereo WAV: caller left, bot as it was played right."""
        sound.write_wav(path, self.stream.microphone.said(), self.stream.playout.heard())

    def _open_turn(self, kind: str, said: str | None, caller: Span | None) -> Turn:
        over_bot = caller is not None and turns.speaking(self.stream)
        now = caller.start if caller else self.stream.position
        turn = Turn(kind, said, caller.end if caller else now, caller, over_bot)
        if not over_bot:
            self._give_way(now)
        self.turns.append(turn)
        return turn

    def _reply_began(self, turn: Turn) -> bool:
        turns.measure(self.stream, turn)
        # what a bot said into the caller's sentence is not its answer to the whole of it
        return turn.audible_at is not None or (turn.answered and turn.went_on)

    def _give_way(self, position: int, before: Turn | None = None) -> None:
        """The replies that had not ended, of the turns before one, end here."""
        for turn in self.turns:
            if turn is before:
                return
            if turn.until is None:
                turn.until = position

    async def _dial(self, session: aiohttp.ClientSession) -> Line:
        connection = await self._exchange.dial(session, Microphone(self._noise_dbfs))
        line = Line(connection, self._clock)
        await line.open()
        return line
