"""A client of realtime sessions that talks and listens in real time, as a browser's page does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from types import TracebackType
from typing import Any

import aiohttp

from telebot.audio import g711
from telebot.audio.resample import resample
from telebot.audio.wideband import Widen
from telebot.phone.voices import LocalSpeech

FRAME_S = 0.02
WAIT_S = 60.0


class SessionClient:
    """One session. `messages` is all that was said in JSON, `audio` what would have been played:
    a `clear` takes back what was not played yet."""

    def __init__(
        self,
        url: str,
        speech: LocalSpeech,
        *,
        rate: int = 16_000,
        key: str = "",
        token: str = "",
        origin: str = "",
        **start: Any,
    ) -> None:
        self._url = url.replace("http", "ws", 1) + "/v1/voice/realtime"
        self._speech = speech
        self._start = {"sample_rate": rate, **start}
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        if origin:
            self._headers["Origin"] = origin
        self._protocols = ["telebot.realtime", *([f"telebot.token.{token}"] if token else [])]
        self.rate = rate
        self.messages: list[dict[str, Any]] = []
        self.heard: list[bytes] = []  # by the reply's turns: reset by `listen`
        self._playing: list[tuple[float, bytes]] = []  # when it is played
        self._plays_until = 0.0
        self.received = 0  # bytes of audio
        self.ahead_s = 0.0  # the most that lay before its time
        self._mic: asyncio.Queue[bytes] = asyncio.Queue()
        self.microphone = True
        self._new = asyncio.Event()
        self.closed: int | None = None

    async def __aenter__(self) -> SessionClient:
        self._http = aiohttp.ClientSession(trust_env=False)
        self.ws = await self._http.ws_connect(
            self._url, headers=self._headers, protocols=self._protocols, max_msg_size=1 << 20
        )
        await self.send(type="start", **self._start)
        self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._talk())]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(ConnectionError):
            await self.ws.close()
        await self._http.close()

    async def send(self, **message: Any) -> None:
        await self.ws.send_json(message)

    async def say(self, text: str) -> None:
        """Speak, at the pace of speech; returns when it is said."""
        ulaw = g711.encode((await self._speech.speak(text)).pcm16)
        await self.say_pcm(Widen(self.rate).feed(ulaw))

    async def say_pcm(self, pcm16: bytes) -> None:
        """Speak in a sound of one's own, at the session's rate."""
        size = round(self.rate * FRAME_S) * 2
        for at in range(0, len(pcm16), size):
            self._mic.put_nowait(pcm16[at : at + size].ljust(size, b"\0"))
        await self._mic.join()

    async def until(self, true: Callable[[dict[str, Any]], bool], since: int = 0) -> dict[str, Any]:
        """The first message from `since` on of which this is true."""
        try:
            async with asyncio.timeout(WAIT_S):
                while True:
                    self._new.clear()
                    for message in self.messages[since:]:
                        if true(message):
                            return message
                    assert self.closed is None, (self.closed, self.messages)
                    await self._new.wait()
        except TimeoutError:
            raise AssertionError(f"not among {self.messages[since:]}") from None

    async def of(self, kind: str, since: int = 0, **fields: Any) -> dict[str, Any]:
        """The first message of a kind, with these fields."""
        return await self.until(
            lambda m: m["type"] == kind and all(m.get(k) == v for k, v in fields.items()), since
        )

    async def ask(self, kind: str, name: str = "x", **fields: Any) -> dict[str, Any]:
        """An order and what is answered to it."""
        since = len(self.messages)
        await self.send(type=kind, id=name, **fields)
        return await self.until(lambda m: m.get("id") == name, since)

    async def until_closed(self) -> int:
        async with asyncio.timeout(WAIT_S):
            while self.closed is None:
                self._new.clear()
                await self._new.wait()
        return self.closed

    async def words(self) -> str:
        """What was played since this was asked last, recognised."""
        return await self._speech.hear(g711.encode(resample(await self.played(), self.rate, 8000)))

    async def played(self) -> bytes:
        """The same as sound."""
        now = asyncio.get_running_loop().time()
        await asyncio.sleep(max(0.0, self._plays_until - now))
        pcm16 = b"".join(audio for _, audio in self._playing)
        self._playing.clear()
        return pcm16

    async def _talk(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        silence = b"\0" * (round(self.rate * FRAME_S) * 2)
        while True:
            spoken = not self._mic.empty()
            frame = self._mic.get_nowait() if spoken else silence
            if spoken or self.microphone:
                await self.ws.send_bytes(frame)
            if spoken:
                self._mic.task_done()
            due += FRAME_S
            await asyncio.sleep(max(0.0, due - loop.time()))

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        async for message in self.ws:
            now = loop.time()
            if message.type is aiohttp.WSMsgType.BINARY:
                begins = max(now, self._plays_until)
                self._playing.append((begins, message.data))
                self._plays_until = begins + len(message.data) / 2 / self.rate
                self.ahead_s = max(self.ahead_s, self._plays_until - now)
                self.received += len(message.data)
                continue
            told = message.json()
            if told["type"] == "clear":
                self._playing = [(at, audio) for at, audio in self._playing if at <= now]
                self._plays_until = now
            self.messages.append(told)
            self._new.set()
        self.closed = self.ws.close_code
        self._new.set()
