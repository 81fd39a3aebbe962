"""`/v1/voice/chat`: asked aloud or in words, answered in words and aloud, turn by turn."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import aiohttp
import pytest
from edge_server import OneKey
from voice_server import SECRET, VoiceServer, voice_server

from telebot.audio import files, resample, wav
from telebot.dialog.brain import Brain
from telebot.records.choices import Choices
from telebot.records.keys import ApiKey, Scope
from telebot.records.store import Store
from telebot.simulate.brain import plain
from telebot.voice.chat_agents import ChatAgent

pytestmark = pytest.mark.peers

PATH = "/v1/voice/chat"
HZ = 16_000
OTHER = "tb_key-of-somebody-else"
AGENT = Path(__file__).parents[2] / "config" / "agents" / "front-desk.yaml"
QUESTION = "What are your opening hours?"
PLAIN = {"instructions": "You answer for a restaurant."}


class TwoKeys(OneKey):
    async def check(self, secret: str | None, wanted: Scope) -> ApiKey:
        if secret == OTHER:
            now = datetime.now(UTC)
            return ApiKey("other", "other", Scope.VIEWER, "created", now, None, None)
        return await super().check(secret, wanted)


@pytest.fixture(scope="module")
def agents():
    brain = Brain.load(AGENT)
    zone = ZoneInfo("Europe/London")
    calls_alone = ChatAgent("calls-alone", brain, zone, ())
    prompted = ChatAgent(
        "prompted", brain, zone, ("openai", "anthropic", "local"), "You answer for Harbour Street."
    )
    return {
        "front-desk": ChatAgent("front-desk", brain, zone),
        "prompted": prompted,
        "calls-alone": calls_alone,
    }


@pytest.fixture(scope="module")
def question(speech):
    async def spoken() -> bytes:
        clips = [clip.pcm16 async for clip in speech.tts.stream(QUESTION, rate_hz=HZ)]
        return wav.written(b"".join(clips), HZ)

    return asyncio.run(spoken())


async def words(speech, sound: bytes, media_type: str = "") -> str:
    pcm16, rate_hz = files.decoded(sound, media_type, longest_s=120)
    at_16k = resample.resample(pcm16, rate_hz, HZ)
    return (await speech.stt.transcribe(at_16k, HZ)).text.lower()


async def events(server: VoiceServer, **asked: object) -> AsyncIterator[tuple[str, dict]]:
    body = {"stream": True, **asked}
    async with server.session.post(server.url + PATH, json=body) as answer:
        assert answer.status == 200, await answer.text()
        assert answer.content_type == "text/event-stream"
        name = ""
        async for line in answer.content:
            text = line.decode().rstrip("\n")
            if text.startswith("event: "):
                name = text.removeprefix("event: ")
            elif text.startswith("data: "):
                yield name, json.loads(text.removeprefix("data: "))


async def ask(server: VoiceServer, **asked: object) -> tuple[int, dict]:
    status, told, _ = await server.post(PATH, json=asked)
    return status, told


async def test_this_machine_alone_hears_answers_and_speaks(speech, agents, question):
    async with voice_server(speech, agents=agents) as server:
        sent = aiohttp.FormData({"format": "wav", "model": '{"stt": "local", "tts": "local"}'})
        sent.add_field("file", io.BytesIO(question), filename="a.wav")
        status, told, _ = await server.post(PATH, data=sent)
        assert status == 200, told
        assert "opening hours" in told["transcript"].lower()
        assert "noon" in told["text"].lower()
        assert told["media_type"] == "audio/wav"
        heard = await words(speech, base64.b64decode(told["audio"]))
        assert "noon" in heard
        assert [work["kind"] for work in told["works"]] == ["stt", "llm", "tts"]
        assert [work["provider"] for work in told["works"]] == ["local"] * 3
        assert (told["cost"], told["turn"]) == (0, 1)
        assert [(done.work, done.error) for done in server.done] == [
            ("stt", ""), ("llm", ""), ("tts", ""),
        ]  # fmt: skip


async def test_an_agents_own_brain_keeps_its_state_from_turn_to_turn(speech, agents):
    async with voice_server(speech, agents=agents) as server:
        session, told = None, {}
        for said, answered in (
            ("I'd like to book a table.", "how many"),
            ("For four people.", "day"),
            ("This Saturday at half past seven.", "name"),
            ("My name is Anna Miller.", "?"),
            ("Yes, that is right.", ""),
        ):
            status, told = await ask(server, text=said, answer="text", session=session)
            assert status == 200, told
            assert answered in told["text"].lower(), told["text"]
            session = told["session"]
            if any(action["type"] == "record" for action in told["actions"]):
                break
        actions = [action for action in told["actions"] if action["type"] == "record"]
        assert actions[0]["kind"] == "booking"
        assert 4 in actions[0]["fields"].values()
        _, told = await ask(server, text="Goodbye.", answer="text", session=session)
        assert [action["type"] for action in told["actions"]] == ["end_call"]


async def test_asked_aloud_through_vendors_as_events(speech, agents, question):
    async with voice_server(speech, "openai", "deepgram", agents=agents) as server:
        asked = {
            **PLAIN,
            "audio": base64.b64encode(question).decode(),
            "model": {"stt": "deepgram", "llm": "gpt-6-luna", "tts": "openai"},
            "format": "mp3",
        }
        came = [each async for each in events(server, **asked)]
        names = [name for name, _ in came]
        assert names[0] == "transcript"
        assert names[-1] == "done"
        assert "opening hours" in came[0][1]["text"].lower()
        text = "".join(told["text"] for name, told in came if name == "delta")
        done = came[-1][1]
        assert done["text"] == text.strip()
        assert text.startswith("We are open from Tuesday")
        sound = b"".join(base64.b64decode(t["audio"]) for name, t in came if name == "audio")
        assert "kitchen rests" in await words(speech, sound)
        assert [work["provider"] for work in done["works"]] == [
            "deepgram/nova-3", "openai/gpt-6-luna", "openai/gpt-4o-mini-tts",
        ]  # fmt: skip
        assert done["works"][1]["usage"]["output_tokens"] == len(text.split())
        assert done["works"][2]["usage"]["characters"] >= len(text.strip()) - 1
        assert done["audio"] is None
        assert done["media_type"] == "audio/mpeg"
        costs = [work["usage"]["cost"] for work in done["works"]]
        assert costs[1] > 0
        # billed by tokens that nobody tells: about so many a character (0.25 in, 1.34 out)
        a_character = (0.25 * 0.6 + 1.34 * 12.0) / 1_000_000
        characters = done["works"][2]["usage"]["characters"]
        assert costs[2] == pytest.approx(characters * a_character, rel=1e-6)
        assert done["cost"] == pytest.approx(sum(costs), rel=1e-6)
        assert [each.work for each in server.done] == ["stt", "llm", "tts"]


async def test_the_first_sentence_is_heard_while_the_rest_is_written(speech, agents):
    async with voice_server(speech, "openai", agents=agents) as server:
        server.vendors.sim.answers.answer = lambda _: (
            "Good evening, you are welcome. " + "There is more to say about that. " * 2
        )
        server.vendors.fault("openai.llm=latency:4@end")
        names = [name async for name, _ in events(server, text="Hello.", **PLAIN)]
        first_sound = names.index("audio")
        assert "delta" in names[first_sound:]


async def test_a_conversation_goes_on_and_is_ones_own(speech, agents):
    async with voice_server(speech, "openai", agents=agents, key_store=TwoKeys(SECRET)) as server:
        seen = []

        def answer(messages):
            seen.append([(m["role"], m["content"]) for m in messages])
            return f"Answer {len(seen)}."

        server.vendors.sim.answers.answer = answer
        _, first = await ask(server, text="My name is Anna.", answer="text", **PLAIN)
        session = first["session"]
        _, second = await ask(server, text="What is my name?", answer="text", session=session)
        assert (second["session"], second["turn"], second["text"]) == (session, 2, "Answer 2.")
        assert seen[1] == [
            ("system", PLAIN["instructions"]), ("user", "My name is Anna."),
            ("assistant", "Answer 1."), ("user", "What is my name?"),
        ]  # fmt: skip
        other = {"Authorization": f"Bearer {OTHER}"}
        status, _, _ = await server.post(
            PATH, json={"text": "Hi.", "session": session}, headers=other
        )
        assert status == 404
        url = f"{server.url}{PATH}"
        async with server.session.get(f"{url}/sessions", headers=other) as listed:
            assert (await listed.json())["data"] == []
        async with server.session.delete(f"{url}/{session}", headers=other) as gone:
            assert gone.status == 404
        _, mine = await server.get(f"{PATH}/sessions")
        assert [(row["id"], row["turns"]) for row in mine["data"]] == [(session, 2)]
        assert "Anna" not in json.dumps(mine)
        async with server.session.delete(f"{url}/{session}") as gone:
            assert gone.status == 204
        assert (await ask(server, text="Hi.", session=session))[0] == 404


async def test_old_turns_are_summed_up_when_there_are_too_many(speech, agents):
    async with voice_server(speech, "openai", agents=agents, chat_history_characters=400) as server:
        seen = []

        def answer(messages):
            seen.append(messages)
            if "Sum up" in messages[0]["content"]:
                return "The user is called Anna and wants a table."
            return "That is good to know, and I will keep it in mind for later on."

        server.vendors.sim.answers.answer = answer
        session, told = None, {}
        for number in range(6):
            said = f"Number {number}: " + "something long about the weather of today. " * 2
            status, told = await ask(server, text=said, answer="text", session=session, **PLAIN)
            assert status == 200
            session = told["session"]
        summaries = [each for each in seen if "Sum up" in each[0]["content"]]
        assert summaries
        assert "Number 0" in summaries[0][1]["content"]
        last = "\n".join(message["content"] for message in seen[-1])
        assert "called Anna and wants a table" in last
        assert "Number 0" not in last
        assert "Number 5" in last
        _, listed = await server.get(f"{PATH}/sessions")
        (row,) = listed["data"]
        assert row["summed_up"]
        assert row["characters"] < 800
        paid = [done for done in server.done if done.work == "llm"]
        assert len(paid) == 6 + len(summaries)


async def test_a_summary_that_fails_loses_nothing(speech, agents):
    async with voice_server(speech, "openai", agents=agents, chat_history_characters=200) as server:
        seen = []

        def answer(messages):
            seen.append(messages)
            return "" if "Sum up" in messages[0]["content"] else "Fine."

        server.vendors.sim.answers.answer = answer
        _, told = await ask(server, text="First. " + "a" * 250, answer="text", **PLAIN)
        status, _ = await ask(server, text="Second.", answer="text", session=told["session"])
        assert status == 200
        assert any("First." in message["content"] for message in seen[-1])


async def test_a_model_that_breaks_off_is_followed_by_one_that_goes_on(speech, agents):
    asked = {"text": QUESTION, "answer": "text", **PLAIN}
    whole = plain([{"role": "user", "content": QUESTION}])
    for stream in (True, False):
        async with voice_server(speech, "openai", "anthropic", agents=agents) as server:
            server.vendors.fault("openai.llm=drop@middle")
            if stream:
                came = [each async for each in events(server, **asked)]
                told = came[-1][1]
                shown = "".join(each["text"] for name, each in came if name == "delta")
                assert shown.strip() == told["text"]
                works = [(each["provider"], each["attempts"][0]["cause"]) for each in told["works"]]
                assert works == [
                    ("openai/gpt-6-luna", "unreachable"), ("anthropic/claude-haiku-5-5", None),
                ]  # fmt: skip
            else:
                _, told = await ask(server, **asked)
                (work,) = told["works"]
                assert work["provider"] == "anthropic/claude-haiku-5-5"
                assert [made["cause"] for made in work["attempts"]] == ["unreachable", None]
            assert told["text"] == whole
            assert told["turn"] == 1


async def test_where_nobody_can_go_on_the_turn_ends_in_an_error(speech, agents, capsys):
    async with voice_server(speech, "openai", agents=agents) as server:
        server.vendors.fault("openai.llm=drop@middle")
        came = [each async for each in events(server, text=QUESTION, answer="text", **PLAIN)]
        assert [name for name, _ in came][-1] == "error"
        error = came[-1][1]["error"]
        assert error["code"] == "all_providers_failed"
        assert error["metadata"]["attempts"][0]["provider"] == "openai/gpt-6-luna"
        assert (await server.get(f"{PATH}/sessions"))[1]["data"] == []
        assert [(done.work, done.error) for done in server.done] == [("llm", error["code"])]
    logged = capsys.readouterr().out
    assert "voice_attempt_failed" in logged
    assert not any(words in logged for words in ("opening hours", "restaurant", "We are open"))


async def test_a_turn_that_fails_leaves_its_session_as_it_was(speech, agents):
    async with voice_server(speech, "openai", agents=agents) as server:
        _, told = await ask(server, text=QUESTION, answer="text", **PLAIN)
        server.vendors.fault("openai.llm=500@connect")
        status, _ = await ask(server, text="And?", answer="text", session=told["session"])
        assert status == 502
        server.vendors.fault()
        status, again = await ask(server, text="And?", answer="text", session=told["session"])
        assert (status, again["turn"]) == (200, 2)


async def test_an_agent_answers_by_its_models_then_by_its_own_brain(speech, agents):
    async with voice_server(speech, "openai", "anthropic", agents=agents) as server:
        seen = []

        def answer(messages):
            seen.append(messages[0]["content"])
            return plain(messages)

        server.vendors.sim.answers.answer = answer
        asked = {"text": QUESTION, "answer": "text", "agent": "prompted"}
        _, told = await ask(server, **asked)
        assert told["works"][0]["provider"] == "openai/gpt-6-luna"
        assert seen[0] == "You answer for Harbour Street."
        server.vendors.fault("openai.llm=500@connect", "anthropic.llm=500@connect")
        _, told = await ask(server, **asked, session=told["session"])
        assert told["works"][0]["provider"] == "local"
        assert "noon" in told["text"].lower()


async def test_an_agent_hears_and_speaks_as_its_file_says_unless_the_request_does(
    speech, agents, question
):
    own = replace(agents["prompted"], hears=("local",), speaks=("local",), voices={"openai": "x"})
    async with voice_server(speech, "openai", agents={"own": own}) as server:
        asked = {"audio": base64.b64encode(question).decode()}
        _, told = await ask(server, **asked)
        providers = [work["provider"] for work in told["works"]]
        assert providers == ["local", "openai/gpt-6-luna", "local"]
        openai = {"stt": {"order": ["openai"]}, "tts": {"only": ["openai"]}}
        _, told = await ask(server, **asked, provider=openai, voice="nova")
        providers = [work["provider"].partition("/")[0] for work in told["works"]]
        assert providers == ["openai"] * 3
        status, refused = await ask(server, **asked, provider=openai)  # its voice there is none
        assert (status, refused["error"]["code"]) == (400, "provider_refused")


async def test_a_voice_that_fails_is_followed_by_the_next_at_its_next_sentence(speech, agents):
    async with voice_server(speech, "openai", agents=agents) as server:
        server.vendors.fault("openai.tts=500@connect")
        came = [each async for each in events(server, text=QUESTION, **PLAIN)]
        done = came[-1][1]
        tts = [work for work in done["works"] if work["kind"] == "tts"]
        assert [work["provider"] for work in tts] == ["local"]
        assert [made["cause"] for made in tts[0]["attempts"]] == ["server", None]


@pytest.mark.parametrize("stream", [True, False])
async def test_who_goes_away_ends_the_vendors_work(speech, agents, stream):
    async with voice_server(speech, "openai", agents=agents) as server:
        ended, begin = asyncio.Event(), server.vendors.sim.exchange
        begun = asyncio.Event()

        def exchange(*named):
            found = begin(*named)

            async def without_end(items):
                begun.set()
                try:
                    while True:
                        yield items[1]
                        await asyncio.sleep(0.01)
                finally:
                    ended.set()

            found.outputs = without_end
            return found

        server.vendors.sim.exchange = exchange
        body = {"text": QUESTION, "answer": "text", "stream": stream, **PLAIN}
        asking = asyncio.create_task(server.post(PATH, json=body))
        await begun.wait()
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        async with asyncio.timeout(30):
            await ended.wait()
        await server.vendors.until(lambda: bool(server.done))
        assert [(done.work, done.error) for done in server.done] == [("llm", "cancelled")]


async def test_what_a_user_prefers_holds_where_the_request_says_nothing(speech, agents, tmp_path):
    store = Store("", tmp_path)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(store.close)
        await store.open()
        choices = Choices(store, lambda: datetime.now(UTC), time.monotonic)
        server = await stack.enter_async_context(
            voice_server(speech, "openai", agents=agents, choices=choices)
        )
        url = f"{server.url}/v1/voice/preferences?user=anna"
        wanted = {
            "agent": "prompted",
            "format": "flac",
            "provider": {"llm": {"order": ["openai"]}, "tts": {"only": ["local"]}},
            "privacy": {"keep": False},
        }
        async with server.session.put(url, json=wanted) as answer:
            assert answer.status == 200, await answer.text()
        _, told = await ask(server, text=QUESTION, user="anna")
        assert told["session"] is None
        assert told["media_type"] == "audio/flac"
        providers = {work["kind"]: work["provider"] for work in told["works"]}
        assert providers == {"llm": "openai/gpt-6-luna", "tts": "local"}
        assert {done.user for done in server.done} == {"anna"}
        _, other = await ask(server, text=QUESTION, user="bob", answer="text")
        assert other["works"][0]["provider"] == "local"
        assert other["session"] is not None


async def test_a_turn_that_is_sent_again_is_done_once(speech, agents):
    async with voice_server(speech, agents=agents) as server:
        body = {"text": QUESTION, "answer": "text"}
        again = {"Idempotency-Key": "turn-1"}
        _, first, _ = await server.post(PATH, json=body, headers=again)
        _, second, headers = await server.post(PATH, json=body, headers=again)
        assert first == second
        assert headers["Idempotent-Replayed"] == "true"
        assert len(server.done) == 1
        assert len((await server.get(f"{PATH}/sessions"))[1]["data"]) == 1


async def test_nothing_is_kept_where_that_is_not_wanted(speech, agents):
    async with voice_server(speech, agents=agents) as server:
        _, told = await ask(server, text=QUESTION, answer="text", store=False)
        assert told["session"] is None
        assert (await server.get(f"{PATH}/sessions"))[1]["data"] == []


@pytest.mark.parametrize(
    ("asked", "status", "param"),
    [
        ({}, 400, "text"),
        ({"text": "Hi.", "url": "http://example.com/a.wav"}, 400, "text"),
        ({"text": ""}, 400, "text"),
        ({"text": "Hi.", "agent": "nobody"}, 404, "agent"),
        ({"text": "Hi.", "agent": "calls-alone"}, 400, "agent"),
        ({"text": "Hi.", "model": "{"}, 400, "model"),
        ({"text": "Hi.", "model": ""}, 400, "model.all"),
        ({"text": "Hi.", "agent": "front-desk", "instructions": "x"}, 400, "instructions"),
        ({"text": "Hi.", "agent": "front-desk", "model": "openai"}, 400, "model"),
        ({"text": "Hi.", "session": "chat_none"}, 404, "session"),
        ({"text": "Hi.", "model": {"llm": "x", "more": "y"}}, 400, "model.each.more"),
        ({"text": "Hi.", "provider": {"llm": {"order": 1}}}, 400, "provider.each.llm.order"),
        ({"text": "Hi.", "provider": {"ordre": []}}, 400, "provider.all.ordre"),
        ({"text": "Hi.", "instructions": "x"}, 400, "provider"),
        ({"text": "Hi.", "model": {"tts": "no-such-voice"}}, 404, "model"),
        ({"text": "Hi.", "max_tokens": 0}, 400, "max_tokens"),
    ],
)
async def test_what_cannot_be_answered_is_refused_before_anything_is_paid(
    speech, agents, asked, status, param
):
    async with voice_server(speech, agents=agents) as server:
        got, told = await ask(server, **asked)
        assert (got, told["error"]["param"]) == (status, param), told
        assert server.done == []


async def test_a_recording_without_words_is_told(speech, agents):
    async with voice_server(speech, agents=agents) as server:
        silence = base64.b64encode(wav.written(bytes(2 * HZ), HZ)).decode()
        status, told = await ask(server, audio=silence)
        assert (status, told["error"]["code"]) == (422, "nothing_heard")


@pytest.mark.parametrize("stream", [True, False])
async def test_content_filters_are_asked_of_every_sentence_of_a_reply(speech, agents, stream):
    rules = {"rules": [{"words": ["kitchen"], "replace": "house"}, {"words": ["lighthouse"]}]}
    async with voice_server(speech, "openai", agents=agents, filters=rules) as server:
        asked = {"text": QUESTION, "answer": "text", **PLAIN}
        if stream:
            told = [each async for each in events(server, **asked)][-1][1]
        else:
            _, told = await ask(server, **asked)
        assert "the house rests" in told["text"]
        status, refused = await ask(server, **{**asked, "text": "Where?", "stream": stream})
        assert (status, refused["error"]["code"]) == (422, "content_refused")


async def test_two_turns_of_one_session_at_once_are_not_mixed(speech, agents):
    async with voice_server(speech, "openai", agents=agents) as server:
        _, told = await ask(server, text=QUESTION, answer="text", **PLAIN)
        server.vendors.fault("openai.llm=latency:2@first x1")
        first = asyncio.create_task(
            ask(server, text="One.", answer="text", session=told["session"])
        )
        await server.vendors.until(lambda: len(server.vendors.sim.requests) == 2)
        status, busy = await ask(server, text="Two.", answer="text", session=told["session"])
        assert (status, busy["error"]["code"]) == (409, "session_busy")
        assert (await first)[0] == 200
