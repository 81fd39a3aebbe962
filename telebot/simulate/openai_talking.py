"""OpenAI's realtime sessions that hear and talk: the conversation and its items. What the model
says is made in `openai_response.py`.

https://developers.openai.com/api/docs/guides/realtime-conversations,
https://developers.openai.com/api/reference/resources/realtime/client-events
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from telebot.simulate.openai_hearing import FORMATS, INPUT, PCM, Fault, Hears
from telebot.simulate.openai_response import Response
from telebot.simulate.openai_socket import Event, Socket

OUTPUT: Mapping[str, Any] = {"format": {"type": None, "rate": None}, "voice": None, "speed": None}
MODALITIES = (["audio"], ["text"])
ITEMS = ("message", "function_call", "function_call_output")


class Talks(Hears):
    """A session of type ``realtime``."""

    kind = "realtime"
    known: Mapping[str, Any] = {
        **dict.fromkeys(
            ("type", "object", "id", "model", "output_modalities", "instructions", "tools",
             "tool_choice", "max_output_tokens", "tracing", "prompt", "expires_at", "include",
             "reasoning", "truncation", "parallel_tool_calls")
        ),
        "audio": {"input": INPUT, "output": OUTPUT},
    }  # fmt: skip

    def __init__(self, socket: Socket, model: str) -> None:
        self.talks = model
        super().__init__(socket)
        self.conversation = socket.name("conv")
        self.items: dict[str, Event] = {}
        self.audio_ms: dict[str, int] = {}  # of the items that were said
        self.response: Response | None = None
        self.handlers |= {
            "conversation.item.create": self.create,
            "conversation.item.retrieve": self.retrieve,
            "conversation.item.truncate": self.truncate,
            "conversation.item.delete": self.delete,
            "response.create": self.respond,
            "response.cancel": self.cancel,
        }

    def defaults(self) -> dict[str, Any]:
        session = super().defaults()
        voice = {"format": PCM, "voice": "marin", "speed": 1.0}
        return {
            **session,
            "object": "realtime.session",
            "type": "realtime",
            "model": self.talks,
            "output_modalities": ["audio"],
            "instructions": "",
            "tools": [],
            "tool_choice": "auto",
            "max_output_tokens": "inf",
            "truncation": "auto",
            "tracing": None,
            "prompt": None,
            "audio": {**session["audio"], "output": voice},
        }

    def wrong(self, update: Any) -> Fault | None:
        if fault := super().wrong(update):
            return fault
        if update.get("model", self.talks) != self.talks:
            return "invalid_value", "The model of a session stays.", "session.model"
        if update.get("output_modalities", ["audio"]) not in MODALITIES:
            why = "There are ['audio'] and ['text']."
            return "invalid_value", why, "session.output_modalities"
        spoken = (update.get("audio") or {}).get("output") or {}
        if spoken.get("voice", "marin") not in self.socket.wire.voices:
            return "invalid_value", "There is no such voice.", "session.audio.output.voice"
        if (spoken.get("format") or PCM).get("type") not in FORMATS:
            return "invalid_value", "No such format.", "session.audio.output.format.type"
        return None

    async def close(self) -> None:
        if self.response is not None:
            await self.response.stop()

    # --- items ---------------------------------------------------------------------------------

    async def add(self, item: Event, previous: str | None, *, done: bool = True) -> None:
        """Put an item at the end of the conversation."""
        self.items[item["id"]] = item
        self.last_item = item["id"]
        for kind in ("added", "done") if done else ("added",):
            await self.socket.say(f"conversation.item.{kind}", previous_item_id=previous, item=item)

    async def create(self, event: Event) -> None:
        item = event.get("item")
        if not isinstance(item, dict) or item.get("type") not in ITEMS:
            await self.socket.error("invalid_value", "No such kind of item.", "item.type")
            return
        if item["type"] == "function_call_output" and not self._called(item.get("call_id")):
            why = "There is no call of a function with this call_id."
            await self.socket.error("invalid_value", why, "item.call_id")
            return
        whole = {"object": "realtime.item", "status": "completed", **item}
        whole.setdefault("id", self.socket.name("item"))
        await self.add(whole, self.last_item)

    def _called(self, call: Any) -> bool:
        return any(item.get("call_id") == call for item in self.items.values())

    async def retrieve(self, event: Event) -> None:
        if item := await self._item(event, "retrieve"):
            await self.socket.say("conversation.item.retrieved", item=item)

    async def delete(self, event: Event) -> None:
        if item := await self._item(event, "delete"):
            del self.items[item["id"]]
            await self.socket.say("conversation.item.deleted", item_id=item["id"])

    async def _item(self, event: Event, what: str) -> Event | None:
        name = str(event.get("item_id"))
        if name in self.items:
            return self.items[name]
        error = {
            "type": "invalid_request_error",
            "code": f"item_{what}_invalid_item_id",
            "message": f"There is no item '{name}' to {what}.",
            "param": "item_id",
            "event_id": event.get("event_id"),
        }
        await self.socket.say("error", error=error)
        return None

    async def truncate(self, event: Event) -> None:
        """The caller has heard so much of what was said; the text of the rest is forgotten."""
        item = await self._item(event, "truncate")
        if item is None:
            return
        end_ms, said_ms = event.get("audio_end_ms"), self.audio_ms.get(item["id"])
        if said_ms is None:
            await self.socket.error("invalid_value", "This item was not said.", "item_id")
        elif not isinstance(end_ms, int) or not 0 <= end_ms <= said_ms:
            why = f"{said_ms}ms of audio were said, which is less than {end_ms}ms."
            await self.socket.error("invalid_value", why, "audio_end_ms")
        else:
            item["content"] = [{"type": "output_audio"}]
            names = {"item_id": item["id"], "content_index": event.get("content_index", 0)}
            await self.socket.say("conversation.item.truncated", **names, audio_end_ms=end_ms)

    # --- turns ---------------------------------------------------------------------------------

    @property
    def talking(self) -> bool:
        return self.response is not None and not self.response.done

    async def interrupted(self) -> None:
        turns = self.input.get("turn_detection") or {}
        if self.talking and turns.get("interrupt_response", True):
            await self._stop("turn_detected")

    async def answer(self, item: str, text: str) -> None:
        part = {"type": "input_audio", "transcript": text}
        message = {"type": "message", "role": "user", "status": "completed", "content": [part]}
        self.items[item] = {"id": item, "object": "realtime.item", **message}
        turns = self.input.get("turn_detection") or {}
        if turns and turns.get("create_response", True) is not False and not self.talking:
            self._begin({})

    async def respond(self, event: Event) -> None:
        if self.talking:
            why = "A response is under way; wait until it is done."
            await self.socket.error("conversation_already_has_active_response", why)
            return
        asked = event.get("response") or {}
        if asked.get("output_modalities", ["audio"]) not in MODALITIES:
            why = "There are ['audio'] and ['text']."
            await self.socket.error("invalid_value", why, "response.output_modalities")
            return
        self._begin(asked)

    def _begin(self, asked: Mapping[str, Any]) -> None:
        self.response = Response(self, asked)
        self.response.start()

    async def cancel(self, event: Event) -> None:
        named = event.get("response_id")
        if not self.talking or (named and self.response and named != self.response.name):
            await self.socket.error("response_cancel_not_active", "There is nothing to cancel.")
            return
        await self._stop("client_cancelled")

    async def _stop(self, reason: str) -> None:
        assert self.response is not None
        await self.response.stop()
        await self.response.finish("cancelled", {"type": "cancelled", "reason": reason})
