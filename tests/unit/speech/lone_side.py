"""One side of a conversation by itself: real turn taking and timers, and a note of what the rest of
the conversation was asked for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

from scripted_floor import Scene

from telebot.call.session import Move
from telebot.speech.course import Course
from telebot.speech.moments import Moments
from telebot.speech.reply import Reply
from telebot.speech.timers import Timers


class Rest:
    """Everything but the side. `done` is what it was asked for, in order."""

    def __init__(self) -> None:
        self.scene = Scene()
        self.done: list[str] = []
        self.effects: list[Callable[[], Awaitable[None]]] = []
        self.firm = self.taking = self.over = False
        self.current: Reply | None = None
        self.committed: list[Any] = []
        self.parts = SimpleNamespace(
            voice=SimpleNamespace(
                talking=False, held=False, hold=self._does("hold"), release=self._does("release")
            ),
            turns=self.scene.turns,
            ear=SimpleNamespace(
                stream_ms=lambda sample: sample / 8,
                since=lambda _: 0.2,
                stream=None,
                turn_over=self._does("turn over"),
            ),
            agent=SimpleNamespace(digits_wait_s=2.0),
            speech=SimpleNamespace(vad_start_s=0.1, vad_stop_s=0.2, reply_timeout_s=10.0),
            fillers=None,
            providers={"llm": "acme"},
            pause_stt=self._does("pause"),
            resume_stt=self._does("resume"),
            replies=SimpleNamespace(want=self._want, drop=self._drop),
            gate=SimpleNamespace(
                add_turn=lambda text: self.done.append(f"context {text}"),
                take_back=self._does("context back"),
                run_turn=None,
                interrupt=None,
            ),
            mind=SimpleNamespace(discard=self._does("discard"), commit=self._commit),
            call=SimpleNamespace(id="id0"),
        )
        self.course = self._course()

    def _course(self) -> Course:
        course = SimpleNamespace(
            outside=SimpleNamespace(clock=self.scene.time.clock, later=self.scene.time.later),
            parts=self.parts,
            timers=Timers(self.scene.time.later),
            effects=SimpleNamespace(do=self.effects.append),
            diary=SimpleNamespace(
                event=lambda name, **_: self.done.append(f"event {name}"),
                note=lambda record: self.done.append(f"note {record.kind}"),
                turn=self._does("turn"),
            ),
            moments=Moments(),
            mailbox=self,
            silence=SimpleNamespace(
                broken=self._does("silence broken"), begin=self._does("silence")
            ),
            closing=self,
            move=self._move,
        )
        return cast(Course, course)

    def _does(self, what: str) -> Callable[..., None]:
        return lambda *_, **__: self.done.append(what)

    def _move(self, move: Move) -> None:
        self.done.append(move.value)

    def _want(self, text: str, providers: dict[str, str | None]) -> Reply:
        now = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
        self.current = Reply(text, self.scene.time.now, now, dict(providers))
        return self.current

    def _drop(self, *, through_pipeline: bool, taken_back: bool) -> None:
        self.done.append("drop")
        self.current = None

    def _commit(self) -> list[Any]:
        self.done.append("commit")
        return self.committed

    # the mailbox, and the ending

    def speech_started(self, at_s: float) -> None:
        self.done.append(f"mailbox: speech from {at_s}")

    def speech_stopped(self, at_s: float) -> None:
        self.done.append(f"mailbox: speech to {at_s}")

    def heard(self, text: str) -> None:
        self.done.append(f"mailbox: {text}")

    def finish(self) -> None:
        self.done.append("mailbox: finish")

    def asked(self) -> None:
        self.done.append("mailbox: asked")

    def take_back(self) -> None:
        self.done.append("ending taken back")

    def goodbye(self, reason: str) -> None:
        self.done.append(f"goodbye {reason}")

    def after_reply(self, actions: list[Any]) -> None:
        self.done.append(f"after reply: {len(actions)}")

    def reply_was_heard(self) -> bool:
        self.done.append("reply was heard")
        return False
