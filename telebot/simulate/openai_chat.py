"""Chat completions on OpenAI's wire: whole or streamed, text or function calls.

https://platform.openai.com/docs/api-reference/chat/create,
https://platform.openai.com/docs/api-reference/chat-streaming
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiohttp import web

from telebot.simulate.brain import text
from telebot.simulate.faults import Exchange, Garbage, Refused
from telebot.simulate.tools import call_for, closed, objects

if TYPE_CHECKING:
    from telebot.simulate.openai import OpenAIWire

ROLES = {"system", "developer", "user", "assistant", "tool"}
CALL = "call_simulated1"
ID = "chatcmpl-simulated"
PIECE = 12  # characters of a function's arguments in a chunk
GARBAGE = b"data: {\x00\xff not json\n\n"


@dataclass(frozen=True, slots=True)
class Turn:
    """What the model says: tokens, or a call of a function (its name and its arguments' JSON)."""

    tokens: tuple[str, ...]
    call: tuple[str, str] | None
    finish: str

    @property
    def message(self) -> dict[str, Any]:
        said: dict[str, Any] = {"role": "assistant", "refusal": None, "annotations": []}
        if self.call is None:
            return {**said, "content": "".join(self.tokens)}
        function = {"name": self.call[0], "arguments": self.call[1]}
        calls = [{"id": CALL, "type": "function", "function": function}]
        return {**said, "content": None, "tool_calls": calls}

    @property
    def deltas(self) -> list[dict[str, Any]]:
        """The same in the pieces of a stream."""
        if self.call is None:
            begun = {"role": "assistant", "content": "", "refusal": None}
            return [begun, *({"content": token} for token in self.tokens)]
        name, arguments = self.call
        head = {"index": 0, "id": CALL, "type": "function"}
        first = {**head, "function": {"name": name, "arguments": ""}}
        pieces = [arguments[i : i + PIECE] for i in range(0, len(arguments), PIECE)]
        return [
            {"role": "assistant", "content": None, "tool_calls": [first]},
            *({"tool_calls": [{"index": 0, "function": {"arguments": p}}]} for p in pieces),
        ]


def turn_of(wire: OpenAIWire, asked: Mapping[str, Any]) -> Turn:
    """The reply to a conversation."""
    messages = asked["messages"]
    choice = asked.get("tool_choice", "auto")
    tools = [t["function"] for t in asked.get("tools") or () if choice != "none"]
    if isinstance(choice, dict):
        tools = [t for t in tools if t["name"] == choice["function"]["name"]]
    if tools and messages[-1]["role"] == "user":
        must = choice == "required" or isinstance(choice, dict)
        named = [(t["name"], t.get("parameters") or {}) for t in tools]
        if call := call_for(named, text(messages[-1]), must=must):
            return Turn((), (call[0], json.dumps(call[1])), "tool_calls")
    form = (asked.get("response_format") or {}).get("json_schema") or {}
    tokens = tuple(wire.sim.answers.tokens(messages, form.get("schema")))
    longest = asked.get("max_completion_tokens") or asked.get("max_tokens")
    if longest and len(tokens) > longest:
        return Turn(tokens[:longest], None, "length")
    return Turn(tokens, None, "stop")


def usage_of(asked: Mapping[str, Any], turn: Turn) -> dict[str, Any]:
    """Tokens: four characters each of what was sent, a word each of what was said."""
    sent = sum(len(text(message)) for message in asked["messages"]) // 4 + 1
    said = len(turn.tokens) or len(turn.deltas)
    return {
        "prompt_tokens": sent,
        "completion_tokens": said,
        "total_tokens": sent + said,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }


async def reply(
    wire: OpenAIWire, request: web.Request, asked: Mapping[str, Any], exchange: Exchange
) -> web.StreamResponse:
    """The answer to a request that is right."""
    turn = turn_of(wire, asked)
    if asked.get("stream"):
        return await _stream(wire, request, asked, turn, exchange)
    async for _ in exchange.outputs(turn.deltas):
        pass
    if exchange.silent:
        await exchange.stay()
    choice = {"index": 0, "message": turn.message, "logprobs": None, "finish_reason": turn.finish}
    whole = {**_head(asked, "chat.completion"), "choices": [choice], "usage": usage_of(asked, turn)}
    return web.json_response(wire.stamp(whole, first=True, usage=None))


def _head(asked: Mapping[str, Any], kind: str) -> dict[str, Any]:
    return {
        "id": ID,
        "object": kind,
        "created": int(time.time()),
        "model": asked["model"],
        "service_tier": "default",
        "system_fingerprint": "fp_simulated",
    }


@asynccontextmanager
async def events(wire: OpenAIWire, answer: web.StreamResponse) -> AsyncIterator[None]:
    """A stream of server-sent events, whose faults come as its last event."""
    try:
        yield
    except Garbage:
        await answer.write(GARBAGE)
    except Refused as fault:
        error = {"error": wire.error(fault.status)}
        await answer.write(b"data: " + json.dumps(error).encode() + b"\n\n")


async def _stream(
    wire: OpenAIWire,
    request: web.Request,
    asked: Mapping[str, Any],
    turn: Turn,
    exchange: Exchange,
) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
    head, usage = _head(asked, "chat.completion.chunk"), usage_of(asked, turn)
    counted = bool((asked.get("stream_options") or {}).get("include_usage"))
    first = True

    async def send(delta: Mapping[str, Any] | None, finish: str | None = None) -> None:
        nonlocal first
        if exchange.silent:
            return
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        event = {**head, "choices": [] if delta is None else [choice]}
        if counted:
            event["usage"] = usage if delta is None else None
        event = wire.stamp(event, first=first, usage=usage if finish else None)
        first = False
        await answer.write(b"data: " + json.dumps(event).encode() + b"\n\n")

    await answer.prepare(request)
    async with events(wire, answer):
        async for delta in exchange.outputs(turn.deltas):
            await send(delta)
        await send({}, turn.finish)
        if counted:
            await send(None)
        if exchange.silent:
            await exchange.stay()
        await answer.write(b"data: [DONE]\n\n")
    return answer


def fault(wire: OpenAIWire, asked: Mapping[str, Any]) -> web.Response | None:
    """The refusal of a request that is not right."""
    return next(_faults(wire, asked), None)


def _faults(wire: OpenAIWire, asked: Mapping[str, Any]) -> Iterator[web.Response]:
    model = asked.get("model")
    if not isinstance(model, str):
        yield wire.refusal(400, "'model' is missing.", "model", "missing_required_parameter")
    if model not in wire.chat_models:
        yield wire.refusal(404, f"There is no chat model `{model}` for this account.")
    messages = asked.get("messages")
    if not isinstance(messages, list) or not messages:
        code = "missing_required_parameter" if messages is None else "empty_array"
        yield wire.refusal(400, "'messages' must hold messages.", "messages", code)
    if wrong := _wrong_message(messages or []):
        number, why = wrong
        yield wire.refusal(400, f"Message {number}: {why}.", f"messages.[{number}]")
    for name, low, high in (("temperature", 0, 2), ("top_p", 0, 1), ("max_tokens", 1, 1 << 20)):
        value = asked.get(name)
        if value is not None and not (isinstance(value, int | float) and low <= value <= high):
            yield wire.refusal(400, f"'{name}' is out of range.", name, "invalid_value")
    for tool in asked.get("tools") or ():
        if not (tool.get("function") or {}).get("name"):
            code = "missing_required_parameter"
            yield wire.refusal(400, "A tool has no name.", "tools[0].function.name", code)
    if unknown := _wrong_form(asked.get("response_format")):
        yield wire.refusal(400, unknown, "response_format")
    if refused := wire.chat_fault(asked):
        yield refused


def _wrong_form(form: Any) -> str | None:
    """Why a form of the answer is refused
    (https://platform.openai.com/docs/guides/structured-outputs#supported-schemas)."""
    form = {"type": "text"} if form is None else form
    kind = form.get("type") if isinstance(form, dict) else None
    if kind not in ("text", "json_object", "json_schema"):
        return "Unknown type of 'response_format'."
    named = form.get("json_schema") if kind == "json_schema" else {"name": "", "schema": {}}
    if not isinstance(named, dict) or not {"name", "schema"} <= named.keys():
        return "Missing required parameter: 'response_format.json_schema'."
    if named.get("strict") and not all(map(closed, objects(named["schema"]))):
        return (
            f"Invalid schema for response_format '{named['name']}': every object names all of its "
            "properties in 'required', and has 'additionalProperties' false."
        )
    return None


def _wrong_message(messages: list[Any]) -> tuple[int, str] | None:
    """The first message that may not stand where it does, and why: every call of a function is
    answered at once, and nothing else is."""
    waiting: set[str] = set()
    for number, message in enumerate(messages):
        if not isinstance(message, dict) or message.get("role") not in ROLES:
            return number, "its role is not known"
        if message["role"] == "tool":
            if message.get("tool_call_id") not in waiting:
                return number, "it answers no call of a tool"
            waiting.discard(message["tool_call_id"])
            continue
        if waiting:
            return number, "calls of tools before it are not answered"
        if message.get("content") is None and not message.get("tool_calls"):
            return number, "it has no content"
        waiting = {call.get("id") for call in message.get("tool_calls") or ()}
    return (len(messages), "calls of tools are not answered") if waiting else None
