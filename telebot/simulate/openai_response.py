"""One response of OpenAI's realtime model: text, speech with its transcript, or a function call.

The order of the events is that of
https://developers.openai.com/api/reference/resources/realtime/server-events; audio comes faster
than it is played, as the real one's does.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from telebot.simulate.faults import Dropped, Garbage, Refused
from telebot.simulate.openai_socket import Event, merged
from telebot.simulate.speech import encode
from telebot.simulate.tools import call_for

if TYPE_CHECKING:
    from telebot.simulate.openai_talking import Talks

PACE_S = 0.01  # between two pieces of 0.1 s of audio
TOKENS_A_SECOND = 20
DONE = {"completed": "completed", "cancelled": "incomplete", "failed": "incomplete"}
RATES = {"audio/pcm": 24000, "audio/pcmu": 8000}


class Response:
    """Makes the events of a response in a task of its own, which an interruption stops."""

    def __init__(self, session: Talks, asked: Mapping[str, Any]) -> None:
        self.session = session
        self.socket = session.socket
        self.name = self.socket.name("resp")
        self.done = False
        self._config = merged(session.session, asked)
        self._output: list[Event] = []
        self._said_s = 0.0
        self._task: asyncio.Task[None] | None = None

    @property
    def modalities(self) -> list[str]:
        return list(self._config["output_modalities"])

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Say no more."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def finish(self, status: str, details: Event | None = None) -> None:
        """The last event, whatever became of the response."""
        self.done = True
        for item in self._output:
            if item["status"] == "in_progress":
                item["status"] = DONE[status]
        whole = self._whole(status, details, self._usage())
        await self.socket.say("response.done", response=whole)
        limit = {"name": "tokens", "limit": 40000, "remaining": 39000, "reset_seconds": 1.5}
        await self.socket.say("rate_limits.updated", rate_limits=[limit])

    def _whole(self, status: str, details: Event | None, usage: Event | None) -> Event:
        return {
            "object": "realtime.response",
            "id": self.name,
            "status": status,
            "status_details": details,
            "output": self._output,
            "conversation_id": self.session.conversation,
            "output_modalities": self.modalities,
            "max_output_tokens": self._config["max_output_tokens"],
            "audio": {"output": self._config["audio"]["output"]},
            "usage": usage,
            "metadata": None,
        }

    def _usage(self) -> Event:
        text = sum(len(str(item)) for item in self._output) // 4
        audio = round(self._said_s * TOKENS_A_SECOND)
        sent = sum(len(str(item)) for item in self.session.items.values()) // 4
        none = {"text_tokens": 0, "audio_tokens": 0, "image_tokens": 0}
        cached = {"cached_tokens": 0, "cached_tokens_details": none}
        return {
            "total_tokens": sent + text + audio,
            "input_tokens": sent,
            "output_tokens": text + audio,
            "input_token_details": {**none, "text_tokens": sent, **cached},
            "output_token_details": {"text_tokens": text, "audio_tokens": audio},
        }

    async def _run(self) -> None:
        try:
            await self.socket.say(
                "response.created", response=self._whole("in_progress", None, None)
            )
            await self._say_it()
            await self.finish("completed")
        except Refused as fault:
            await self._refused(fault.status)
        except Garbage:
            await self.socket.babble()
        except Dropped:
            self.socket.cut()
        except ConnectionError:
            self.done = True  # the client has gone

    async def _refused(self, status: int) -> None:
        if status == 401:
            await self.socket.refuse(status)
            return
        error = self.socket.wire.error(status)
        words = {"type": error["type"], "code": error["code"], "message": error["message"]}
        await self.finish("failed", {"type": "failed", "error": words})

    async def _say_it(self) -> None:
        messages = [_message(item) for item in self.session.items.values()]
        tools = self._config.get("tools") or []
        last = messages[-1] if messages else {"role": "user", "content": ""}
        if tools and last["role"] == "user" and self._config.get("tool_choice") != "none":
            named = [(tool["name"], tool.get("parameters") or {}) for tool in tools]
            must = self._config.get("tool_choice") == "required"
            if call := call_for(named, str(last["content"]), must=must):
                await self._call(*call)
                return
        text = "".join(self.socket.wire.sim.answers.tokens(messages or [last]))
        await (self._speak(text) if self.modalities == ["audio"] else self._write(text))

    # --- an item -------------------------------------------------------------------------------

    async def _begin(self, item: Event) -> Event:
        whole = {
            "id": self.socket.name("item"),
            "object": "realtime.item",
            "status": "in_progress",
            **item,
        }
        self._output.append(whole)
        await self._of_response("output_item.added", item=whole)
        await self.session.add(whole, self.session.last_item, done=False)
        return whole

    async def _end(self, item: Event) -> None:
        item["status"] = "completed"
        await self.socket.say("conversation.item.done", previous_item_id=None, item=item)
        await self._of_response("output_item.done", item=item)

    async def _of_response(self, kind: str, **fields: Any) -> None:
        names = {"response_id": self.name, "output_index": 0}
        await self.socket.say(f"response.{kind}", **names, **fields)

    async def _write(self, text: str) -> None:
        item = await self._begin({"type": "message", "role": "assistant", "content": []})
        names = {"item_id": item["id"], "content_index": 0}
        await self._of_response("content_part.added", **names, part={"type": "text", "text": ""})
        async for token in self.socket.exchange.outputs(text.split(" ")):
            space = "" if text.startswith(token) else " "
            await self._of_response("output_text.delta", **names, delta=f"{space}{token}")
        await self._of_response("output_text.done", **names, text=text)
        await self._of_response("content_part.done", **names, part={"type": "text", "text": text})
        item["content"] = [{"type": "output_text", "text": text}]
        await self._end(item)

    async def _speak(self, text: str) -> None:
        item = await self._begin({"type": "message", "role": "assistant", "content": []})
        names = {"item_id": item["id"], "content_index": 0}
        empty = {"type": "audio", "transcript": ""}
        await self._of_response("content_part.added", **names, part=empty)
        spoken = self._config["audio"]["output"]["format"]["type"]
        said = await self.socket.wire.sim.speech.say(text, RATES[spoken])
        words = [(word.end_s, word.text) for word in said.words]
        encoding = "pcmu" if spoken == "audio/pcmu" else "linear16"
        sent = 0
        async for piece in self.socket.exchange.outputs(said.pieces()):
            self._said_s += len(piece) / 2 / said.rate_hz
            self.session.audio_ms[item["id"]] = round(self._said_s * 1000)
            while sent < len(words) and words[sent][0] <= self._said_s:
                delta = f"{' ' if sent else ''}{words[sent][1]}"
                sent += 1
                await self._of_response("output_audio_transcript.delta", **names, delta=delta)
            sound = base64.b64encode(encode(piece, encoding)).decode()
            await self._of_response("output_audio.delta", **names, delta=sound)
            await asyncio.sleep(PACE_S)
        for _, word in words[sent:]:
            await self._of_response("output_audio_transcript.delta", **names, delta=f" {word}")
        await self._of_response("output_audio.done", **names)
        await self._of_response("output_audio_transcript.done", **names, transcript=text)
        part = {"type": "audio", "transcript": text}
        await self._of_response("content_part.done", **names, part=part)
        item["content"] = [{"type": "output_audio", "transcript": text}]
        await self._end(item)

    async def _call(self, name: str, arguments: Mapping[str, Any]) -> None:
        said, call = json.dumps(arguments), self.socket.name("call")
        item = await self._begin(
            {"type": "function_call", "name": name, "call_id": call, "arguments": ""}
        )
        names = {"item_id": item["id"], "call_id": call}
        pieces = [said[i : i + 8] for i in range(0, len(said), 8)]
        async for piece in self.socket.exchange.outputs(pieces):
            await self._of_response("function_call_arguments.delta", **names, delta=piece)
        await self._of_response("function_call_arguments.done", **names, name=name, arguments=said)
        item["arguments"] = said
        await self._end(item)


def _message(item: Event) -> Event:
    """An item of the conversation as a chat's message."""
    if item["type"] != "message":
        return {"role": "tool", "content": str(item.get("output") or item.get("arguments"))}
    parts = item.get("content") or []
    said = [str(part.get("text") or part.get("transcript") or "") for part in parts]
    return {"role": item.get("role", "user"), "content": " ".join(said)}
