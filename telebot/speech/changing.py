"""Other services for a live conversation: another agent's, another language's, or a fresh start.

The new pipeline is built and started beside the old one, then put in its place between two turns,
so that nothing that is being said or heard is lost. Context, voice, ear and turn taking stay.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from functools import partial

from telebot.call.errors import ProviderError
from telebot.call.session import Move
from telebot.speech.agents import Agent
from telebot.speech.brain import go_on
from telebot.speech.conversation import Conversation
from telebot.speech.works import Works

START_S = 8.0  # a vendor that cannot be connected to by then is given up
QUIET_S = 10.0  # what is being said or heard is cut off then
LOOK_S = 0.05


class Changing:
    """Changes one conversation, one change after another. Ends with whoever awaits it."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self._one = asyncio.Lock()

    async def to(self, agent: Agent) -> None:
        """The services of `agent` go on from the next turn. Raises `ProviderConfigError` and
        `ProviderError`; everything is as it was then."""
        async with self._one:
            parts = self._conversation.parts
            works = await self._started(agent)
            go_on(works.mind, parts.mind)
            await self._put(works, agent, at_once=False)

    async def afresh(self, agent: Agent) -> None:
        """Forget what was said, and begin again with the greeting. Raises as `to`."""
        async with self._one:
            works = await self._started(agent)
            await self._put(works, agent, at_once=True)
            parts = self._conversation.parts
            parts.replies.context.set_messages([])
            if not self._conversation.say("greeting"):
                self._conversation.move(Move.BOT_DONE)

    async def _started(self, agent: Agent) -> Works:
        works = self._conversation.parts.builder.build(agent)
        works.pipeline.start()
        async with AsyncExitStack() as undo:
            undo.push_async_callback(works.pipeline.cancel)
            try:
                async with asyncio.timeout(START_S):
                    await works.pipeline.started()
            except TimeoutError:
                raise ProviderError("the services did not start in time") from None
            undo.pop_all()
        return works

    async def _put(self, works: Works, agent: Agent, *, at_once: bool) -> None:
        """In the place of what was there, as soon as nothing is under way."""
        async with AsyncExitStack() as undo:
            undo.push_async_callback(works.pipeline.cancel)
            old = await self._adopted(works, agent, 0.0 if at_once else QUIET_S)
            undo.pop_all()
        await old.pipeline.cancel()

    async def _adopted(self, works: Works, agent: Agent, patience_s: float) -> Works:
        """The works that were there."""
        loop = asyncio.get_running_loop()
        until = loop.time() + patience_s
        while True:
            late = loop.time() >= until
            if late and not self._quiet():
                self._conversation.hush()
                self._conversation.move(Move.BOT_DONE)
            if late or self._quiet():
                done: asyncio.Future[Works | None] = loop.create_future()
                swap = partial(self._swap_if, works, agent, late, done)
                self._conversation.do(swap)  # behind what was asked of the old ones
                try:
                    old = await done
                finally:
                    done.cancel()
                if old is not None:
                    return old
            await asyncio.sleep(LOOK_S)

    async def _swap_if(
        self, works: Works, agent: Agent, late: bool, done: asyncio.Future[Works | None]
    ) -> None:
        if done.done():
            return  # nobody waits for it any more
        reply = self._conversation.parts.replies.current
        made = reply is None or reply.generated
        done.set_result(self._swap(works, agent) if self._quiet() or (late and made) else None)

    def _quiet(self) -> bool:
        """Nobody is in the middle of anything that the services are needed for."""
        parts = self._conversation.parts
        turns = parts.turns
        return parts.replies.settled and not (turns.open or turns.contested or turns.speaking)

    def _swap(self, works: Works, agent: Agent) -> Works:
        conversation, parts = self._conversation, self._conversation.parts
        parts.settle_stt()
        old = Works(**Works.named(parts))
        old.let_go()
        parts.put(works)
        parts.ear.phone_input = works.phone_input
        parts.replies.forget_dropped()
        parts.builder.failovers.providers.update(agent.providers)
        conversation.watch_pipeline()
        return old
