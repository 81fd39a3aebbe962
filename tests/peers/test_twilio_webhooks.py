"""Twilio's webhooks over HTTP: signatures in every variant, proxies, refusals, broken requests."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import random
from urllib.parse import urlsplit

import pytest
from edge_server import AUTH_TOKEN, edge
from twilio_peer import Twilio, call_sid, offer
from yarl import URL

from telebot.carriers.sentences import APOLOGY, SENTENCES

pytestmark = pytest.mark.peers

PUBLIC = "https://voice.example"
FORM = "application/x-www-form-urlencoded"


@pytest.fixture
async def public(tmp_path, http):
    """A server behind a public URL, and Twilio that knows it by that."""
    async with edge(tmp_path, server__public_url=PUBLIC) as running:
        yield running, Twilio(http, running.url, AUTH_TOKEN)


@pytest.mark.parametrize(
    "url",
    [
        "https://voice.example/twilio/voice",
        "https://voice.example:443/twilio/voice",
        "https://voice.example/twilio/voice?agent=echo",
        "https://voice.example:443/twilio/voice?agent=echo&x=%20y&x=z",
        "https://voice.example/twilio/voice?x=&agent=echo",
        "https://voice.example/twilio/voice?x=a%2Fb+c%C3%A9",
    ],
)
async def test_the_signature_covers_the_public_url(public, url):
    server, twilio = public
    parts = urlsplit(url)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    reply = await twilio.webhook(target, offer(call_sid()), signed_as=url)
    assert reply.status == 200
    assert reply.stream_url == "wss://voice.example/twilio/media"
    assert reply.redirect == "https://voice.example/twilio/fallback?after=stream"
    assert server.log.calls[-1].agent == ("echo" if "agent=echo" in url else "front-desk")


@pytest.mark.parametrize(
    "extra",
    [
        [("Unknown", "1"), ("", "")],
        [("Repeated", "b"), ("Repeated", "a"), ("Repeated", "b")],
        [("CallerName", "Zoë & Söhne +=%"), ("Blank", "")],
        [("StirVerstat", "TN-Validation-Passed-A"), ("AddOns", '{"status":"successful"}')],
    ],
)
async def test_whatever_fields_come_with_it(server, twilio, extra):
    fields = [*offer(call_sid()).items(), *extra]
    assert (await twilio.webhook("/twilio/voice", fields)).verbs == ["Connect", "Redirect"]


async def test_a_wrong_or_missing_signature_is_403(public):
    server, twilio = public
    fields = offer(call_sid())
    good = f"{PUBLIC}/twilio/voice"
    for reply in (
        await twilio.webhook("/twilio/voice", fields, signature=""),
        await twilio.webhook("/twilio/voice", fields, signature="Zm9v"),
        await twilio.webhook("/twilio/voice", fields, signature="\udcff\u00e9"),
        await twilio.webhook("/twilio/voice", fields),  # signed for the address it was sent to
        await twilio.webhook("/twilio/voice", fields, signed_as=good + "?agent=echo"),
        await twilio.webhook("/twilio/status", fields, signed_as=good),
        await twilio.webhook("/twilio/fallback", fields, signature=""),
        await Twilio(twilio.http, twilio.server, "another token").webhook(
            "/twilio/voice", fields, signed_as=good
        ),
    ):
        assert reply.status == 403
        assert json.loads(reply.text)["error"]["code"] == "forbidden"
    assert server.log.calls == []


async def _json(twilio, body, *, digest=None, kind="application/json", path="/twilio/voice"):
    digest = hashlib.sha256(body).hexdigest() if digest is None else digest
    url = f"{twilio.server}{path}" + (f"?bodySHA256={digest}" if digest else "")
    headers = {"Content-Type": kind}
    headers["X-Twilio-Signature"] = twilio.validator.compute_signature(url, {})
    return await twilio.post(url, body, headers)


async def test_json_bodies_are_verified_by_their_hash(server, twilio):
    body = json.dumps(offer(call_sid())).encode()
    assert (await _json(twilio, body)).verbs == ["Connect", "Redirect"]
    assert (await _json(twilio, body, digest="0" * 64)).status == 403
    assert (await _json(twilio, body, digest="")).status == 403
    assert (await _json(twilio, body, path="/twilio/fallback")).verbs == ["Say", "Hangup"]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"[1, 2]", "application/json"),
        (b"{", "application/json"),
        (b"\xff\xfe{}", "application/json"),
        (b'{"CallSid": 7}', "application/json"),
        (b"CallSid=CA1", "text/plain"),
        (b"--x\r\n\r\nCallSid\r\n--x--", "multipart/form-data; boundary=x"),
        (b"CallSid=CA%ff", FORM),
        (b"\xff\xfe=CA1", FORM),
        (b"&".join(b"a%d=1" % n for n in range(2000)), FORM),
        (b"[" * 50_000, "application/json"),
        (b"CallSid=CA1", ""),
        (b"", FORM),
    ],
)
async def test_what_cannot_be_read_is_a_4xx(server, twilio, body, kind):
    assert (await _json(twilio, body, kind=kind)).status in (400, 403)
    assert server.log.calls == []


@pytest.mark.parametrize("sid", ["", "CA", "SM" + "0" * 32, "CA../../x", "CA" + "0" * 99, "CA\n0"])
async def test_a_call_id_that_is_none_is_400(server, twilio, sid):
    assert (await twilio.webhook("/twilio/voice", {**offer("CA1"), "CallSid": sid})).status == 400


async def test_two_different_call_ids_are_400(server, twilio):
    fields = [*offer("CA1").items(), ("CallSid", "CA2")]
    assert (await twilio.webhook("/twilio/voice", fields)).status == 400
    twice = [*offer("CA1").items(), ("CallSid", "CA1")]
    assert (await twilio.webhook("/twilio/voice", twice)).status == 200


async def test_a_body_over_the_limit_is_413_even_without_a_length(server, twilio):
    async def chunks():
        for _ in range(40):
            yield b"a" * 4096

    url = server.url + "/twilio/voice"
    for data in (b"a" * 70_000, chunks()):
        async with twilio.http.post(url, data=data, headers={"Content-Type": FORM}) as response:
            assert response.status == 413


async def test_a_compressed_body_counts_uncompressed_and_a_broken_one_is_400(server, twilio):
    url = server.url + "/twilio/voice"
    headers = {"Content-Type": FORM, "Content-Encoding": "gzip"}
    bomb = gzip.compress(b"a" * 10_000_000)
    assert (await twilio.post(url, bomb, headers)).status in (400, 413)
    assert (await twilio.post(url, b"not gzip at all", headers)).status == 400
    assert (await twilio.call())[1].status == 200


async def test_random_requests_never_make_a_500(server, twilio):
    chance = random.Random(7)
    kinds = [FORM, "application/json", "text/plain", "multipart/form-data", "x", ""]
    for _ in range(60):
        body = chance.randbytes(chance.randrange(200))
        path = chance.choice(["voice", "status", "fallback"])
        headers = {
            "Content-Type": chance.choice(kinds),
            "X-Twilio-Signature": chance.choice(["", "Zm9v", "é"]),
        }
        query = chance.choice(["", "?", "?agent=%00", "?bodySHA256=", "?%ff", "?agent=a&agent=b"])
        reply = await twilio.post(f"{server.url}/twilio/{path}{query}", body, headers)
        assert 400 <= reply.status < 500


@pytest.mark.parametrize("host", ["[::1", "a:b", "x:99999", "é", "a b", "", "%", "[::1]:80"])
async def test_a_strange_host_is_a_4xx(server, host):
    reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rpartition(":")[2]))
    head = f"POST /twilio/voice HTTP/1.1\r\nHost: {host}\r\nX-Twilio-Signature: x\r\n"
    writer.write(f"{head}Content-Length: 0\r\nConnection: close\r\n\r\n".encode())
    answer = await asyncio.wait_for(reader.read(), 30)
    assert answer.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4"))
    writer.close()
    await writer.wait_closed()


async def test_only_what_exists_answers(server, twilio):
    assert (await twilio.webhook("/nobody/voice", offer("CA1"))).status == 404
    async with twilio.http.get(server.url + "/twilio/voice") as response:
        assert response.status == 405
        assert response.headers["Allow"] == "POST"
        assert (await response.json())["error"]["code"] == "method_not_allowed"


async def test_without_an_auth_token_the_carrier_is_off(tmp_path, http):
    async with edge(tmp_path, environ={"TWILIO_AUTH_TOKEN": ""}) as server:
        twilio = Twilio(http, server.url, "")
        assert server.carriers.get("twilio").off() == "TWILIO_AUTH_TOKEN is not set"
        assert (await twilio.webhook("/twilio/voice", offer("CA1"))).status == 404
        async with http.get(server.url + "/twilio/media") as response:
            assert response.status == 404


@pytest.mark.parametrize(
    ("headers", "base"),
    [
        (
            {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "a.example"},
            "https://a.example",
        ),
        (
            {"X-Forwarded-Proto": "http, https", "X-Forwarded-Host": "evil, a.example"},
            "https://a.example",
        ),
        ({"Forwarded": 'for="[2001:db8::1]:4711";proto=https;host=a.example'}, "https://a.example"),
        (
            {"Forwarded": "for=evil;host=evil;proto=http, host=a.example;proto=https"},
            "https://a.example",
        ),
        ({"X-Forwarded-Proto": "https", "Host": "b.example"}, "https://b.example"),
        ({"X-Forwarded-Host": "bad host/../", "Host": "b.example"}, "http://b.example"),
    ],
)
async def test_a_trusted_proxy_tells_the_url(tmp_path, http, headers, base):
    async with edge(tmp_path, server__trusted_proxies="127.0.0.0/8") as server:
        twilio = Twilio(http, server.url, AUTH_TOKEN)
        reply = await twilio.webhook(
            "/twilio/voice", offer(call_sid()), signed_as=f"{base}/twilio/voice", headers=headers
        )
        assert reply.status == 200
        assert reply.stream_url == f"{base.replace('http', 'ws', 1)}/twilio/media"


async def test_anybody_else_does_not(tmp_path, http):
    async with edge(tmp_path, server__trusted_proxies="10.0.0.0/8") as server:
        reply = await Twilio(http, server.url, AUTH_TOKEN).webhook(
            "/twilio/voice",
            offer(call_sid()),
            signed_as="https://a.example/twilio/voice",
            headers={"X-Forwarded-Proto": "https", "X-Forwarded-Host": "a.example"},
        )
        assert reply.status == 403


async def test_refusals_are_spoken(tmp_path, http):
    async with edge(tmp_path, max_calls=1) as server:
        twilio = Twilio(http, server.url, AUTH_TOKEN)
        _, unknown = await twilio.call("/twilio/voice?agent=nobody")
        assert (unknown.verbs, unknown.status) == (["Say", "Hangup"], 200)
        assert unknown.twiml.findtext("Say") == SENTENCES["unknown_number"]
        assert (await twilio.call())[1].verbs == ["Connect", "Redirect"]
        _, full = await twilio.call()
        assert full.twiml.findtext("Say") == SENTENCES["capacity"]
        server.admission.draining = True
        _, late = await twilio.call()
        assert late.twiml.findtext("Say") == SENTENCES["draining"]
        assert server.log.reasons() == ["unknown_number", "capacity", "draining"]


async def test_a_webhook_delivered_again_is_the_same_call(server, twilio):
    sid, first = await twilio.call()
    _, again = await twilio.call(CallSid=sid)
    assert len(server.log.calls) == 1
    async with twilio.socket(first.stream_url) as stream:
        await stream.start(sid, first.token)
        assert await stream.closed() == 1008  # the newer token counts
    async with twilio.stream(sid, again) as stream:
        await stream.next()
        _, third = await twilio.call(CallSid=sid)
        assert (third.status, third.verbs) == (200, [])
        assert not stream.socket.closed
    assert len(server.log.calls) == 1


@pytest.mark.parametrize("status", ["completed", "busy", "failed", "no-answer", "canceled"])
async def test_a_status_ends_a_call_whose_stream_never_came(server, twilio, status):
    sid, reply = await twilio.call()
    ringing = {**offer(sid), "CallStatus": "in-progress"}
    assert (await twilio.webhook("/twilio/status", ringing)).status == 200
    assert server.log.endings == []
    over = {**offer(sid), "CallStatus": status}
    assert (await twilio.webhook("/twilio/status", over)).status == 200
    assert (await twilio.webhook("/twilio/status", over)).status == 200
    assert server.log.reasons() == ["carrier_ended"]
    async with twilio.socket(reply.stream_url) as stream:
        await stream.start(sid, reply.token)
        assert await stream.closed() == 1008


async def test_a_fallback_apologises_and_gives_the_slot_back(server, twilio):
    sid, _ = await twilio.call()
    error = {"ErrorCode": "11200", "ErrorUrl": f"{server.url}/twilio/voice"}
    reply = await twilio.webhook("/twilio/fallback", {**offer(sid), **error})
    assert reply.status == 200
    assert reply.twiml.findtext("Say") == APOLOGY
    assert reply.verbs == ["Say", "Hangup"]
    assert server.log.reasons() == ["no_media"]
    stranger = await twilio.webhook("/twilio/fallback", {"CallSid": "nonsense", "AccountSid": "A"})
    assert (stranger.status, stranger.verbs) == (200, ["Say", "Hangup"])


async def test_a_fault_of_ours_is_an_apology_not_an_error_page(server, twilio, monkeypatch):
    def broken(*_):
        raise RuntimeError("our own code is broken")

    monkeypatch.setattr(type(server.admission), "admit", broken)
    _, reply = await twilio.call()
    assert (reply.status, reply.verbs) == (200, ["Say", "Hangup"])


async def test_health_metrics_and_keys(server, twilio):
    await twilio.call()
    async with twilio.http.get(server.url + "/health/live") as response:
        assert response.status == 200
    async with twilio.http.get(server.url + "/health/ready") as response:
        assert (response.status, (await response.json())["calls"]) == (200, {"live": 1, "max": 10})
    server.admission.draining = True
    async with twilio.http.get(server.url + "/health/ready") as response:
        assert (response.status, (await response.json())["ready"]) == (503, False)
    async with twilio.http.get(server.url + "/metrics") as response:
        text = await response.text()
    assert 'telebot_calls{state="ringing"} 1.0' in text
    assert 'telebot_webhooks_total{carrier="twilio",kind="voice",status="200"} 1.0' in text
    for key, status in ((None, 401), ("wrong", 401), ("é", 401), ("secret-key", 404)):
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        async with twilio.http.get(server.url + "/v1/other", headers=headers) as response:
            assert response.status == status
            assert set(await response.json()) == {"error"}
    for path in ("/v1", "/v1/", "/%761/calls", "/v1/../v1/calls", "/v1/%2e%2e/x"):
        url = URL(server.url + path, encoded=True)
        async with twilio.http.get(url) as response:
            assert response.status == 401
