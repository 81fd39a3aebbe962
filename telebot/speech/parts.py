"""What a conversation is made of, and what it asks of the rest of the house.

`factory.py` and `assembly.py` fill them in, `conversation.py` lives by them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from telebot.agent_settings import AgentCall
from telebot.call.model import Call
from telebot.call.ports import CallLog, Clock, WallClock
from telebot.call.session import Session
from telebot.dialog.actions import Transfer
from telebot.settings import SpeechSettings
from telebot.speech.budget import Budget
from telebot.speech.ear import Ear
from telebot.speech.filler import Fillers
from telebot.speech.phrases import Phrase
from telebot.speech.replies import Replies
from telebot.speech.timers import Later
from telebot.speech.transfers import Transfers
from telebot.speech.turn_model import TurnModelProcess
from telebot.speech.turns import TurnTaking
from telebot.speech.voice import Voice
from telebot.speech.works import Works, WorksBuilder


@dataclass(slots=True, kw_only=True)
class Parts(Works):
    """What a conversation is made of; `assembly.py` puts them together, the conversation owns
    `ear`, `voice` and `pipeline` and closes them. `builder` makes other works for it."""

    call: Call
    ear: Ear
    voice: Voice
    replies: Replies
    turns: TurnTaking
    session: Session
    builder: WorksBuilder
    phrases: Mapping[str, Phrase]
    agent: AgentCall
    speech: SpeechSettings
    providers: Mapping[str, str | None]
    turn_model: TurnModelProcess | None
    fillers: Fillers | None
    transfers: Transfers
    person: Transfer | None  # who takes the call over when nothing of ours works
    budget: Budget | None = None


@dataclass(frozen=True, slots=True)
class Outside:
    """What a conversation asks of the rest of the house."""

    log: CallLog
    clock: Clock
    wall_clock: WallClock
    later: Later
    hang_up: Callable[[], Awaitable[None]]  # close the stream; the carrier's leg follows
    end: Callable[[str], None]  # the call's record is closed with this reason
    gone: Callable[[], None]  # nothing of this conversation is left
    held: Callable[[], bool] = lambda: False  # the caller has put us on hold
