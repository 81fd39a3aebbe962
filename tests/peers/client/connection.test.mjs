// The way of a connection: tokens, tries, what is queued, what is answered, how it ends.
import assert from "node:assert/strict";
import { test } from "node:test";

import { backoffMs, TelebotClient, TelebotError } from "../../../telebot/console/static/telebot-client.js";
import { Clock, network, settled } from "./virtual.mjs";

process.on("unhandledRejection", (error) => {
  console.error("nobody heard of", error);
  process.exit(3);
});

function setUp(options = {}) {
  const net = network();
  const clock = new Clock();
  const asked = [];
  const session = (about) => {
    asked.push(about.attempt);
    return { token: `t${asked.length}`, url: "https://bot.example.com" };
  };
  const client = new TelebotClient({ session, WebSocket: net.Socket, clock, random: () => 1, ...options });
  const events = [];
  for (const name of ["connection", "error", "dropped", "ended"]) client.on(name, (what) => events.push([name, what]));
  const states = () => events.filter(([name]) => name === "connection").map(([, { state }]) => state);
  return { client, clock, asked, events, states, ...net };
}

async function ready(options, message) {
  const all = setUp(options);
  const connected = all.client.connect();
  await settled();
  await all.last().open(message);
  await connected;
  return all;
}

const rejects = (promise, code) => assert.rejects(promise, (error) => error instanceof TelebotError && error.code === code);
const second = (value = 0.1) => new Float32Array(16000).fill(value);

// --- waiting -------------------------------------------------------------------------------------

test("waits double up to a bound, and half of each is chance", () => {
  const limits = { firstDelayMs: 500, longestDelayMs: 30_000 };
  const most = [1, 2, 3, 4, 5, 6, 7, 8, 50].map((attempt) => backoffMs(attempt, limits, () => 1));
  assert.deepEqual(most, [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
  assert.equal(backoffMs(3, limits, () => 0), 1000);
  for (let n = 0; n < 100; n++) {
    const ms = backoffMs(4, limits);
    assert.ok(ms >= 2000 && ms <= 4000);
  }
});

// --- beginning -----------------------------------------------------------------------------------

test("the token goes as a subprotocol, and the start message after the upgrade", async () => {
  const { client, last, states } = await ready({ agent: "front-desk", language: "de-DE", sampleRate: 24000 });
  assert.equal(last().url, "wss://bot.example.com/v1/voice/realtime");
  assert.deepEqual(last().protocols, ["telebot.realtime", "telebot.token.t1"]);
  assert.deepEqual(last().sent[0], { type: "start", agent: "front-desk", language: "de-DE", sample_rate: 24000 });
  assert.deepEqual(states(), ["connecting", "ready"]);
  assert.equal(client.state, "ready");
  assert.equal(client.session.session, "s");
});

test("what is not asked for is left to the token", async () => {
  const { client, last } = await ready({}, { sample_rate: 24000 });
  assert.deepEqual(last().sent[0], { type: "start" });
  client.sendAudio(new Int16Array(2400));
  assert.equal(last().audio[0].length, 2400);
});

test("an address may be the server's or the socket's", async () => {
  for (const [url, expected] of [
    ["http://127.0.0.1:8080", "ws://127.0.0.1:8080/v1/voice/realtime"],
    ["http://127.0.0.1:8080/", "ws://127.0.0.1:8080/v1/voice/realtime"],
    ["wss://bot.example.com/deep/v1/voice/realtime", "wss://bot.example.com/deep/v1/voice/realtime"],
  ]) {
    const { last } = await ready({ url, session: async () => "token" });
    assert.equal(last().url, expected);
  }
});

test("what cannot work is said at once", () => {
  const wrong = [{}, { session: "token" }, { apiKey: "tb_x" }, { apiKey: "tb_x", url: "bot" }, { session() {}, sampleRate: 44100 }];
  for (const options of wrong) {
    assert.throws(() => new TelebotClient(options), (error) => error.code === "usage");
  }
});

for (const sign of ["document", "WorkerGlobalScope"]) {
  test(`an API key in a page is refused (${sign})`, () => {
    globalThis[sign] = {};
    try {
      const made = () => new TelebotClient({ apiKey: "tb_x", url: "https://bot.example.com" });
      assert.throws(made, /everybody's/);
    } finally {
      delete globalThis[sign];
    }
  });
}

test("with a key the token is fetched for each try", async () => {
  const asked = [];
  const fetch = async (url, { headers, body }) => {
    asked.push([url, headers.Authorization, JSON.parse(body)]);
    return { ok: true, json: async () => ({ token: `k${asked.length}` }) };
  };
  const options = { session: undefined, apiKey: "tb_k", url: "https://bot.example.com", fetch, agent: "echo" };
  const { last, clock, sockets } = await ready(options);
  assert.deepEqual(asked[0], [
    "https://bot.example.com/v1/voice/realtime/session",
    "Bearer tb_k",
    { agent: "echo" },
  ]);
  assert.deepEqual(last().sent[0], { type: "start" });
  await last().hangUp(1006);
  await clock.pass(500);
  assert.equal(sockets.length, 2);
  assert.equal(last().protocols[1], "telebot.token.k2");
});

test("connect twice is one connection", async () => {
  const { client, last, sockets } = setUp();
  const [one, other] = [client.connect(), client.connect()];
  await settled();
  await last().open();
  assert.equal(await one, await other);
  assert.equal(sockets.length, 1);
});

test("no ready in time is a broken connection", async () => {
  const { clock, client, sockets } = setUp();
  client.connect();
  await settled();
  await clock.pass(15_000);
  assert.ok(sockets[0].isClosed);
  assert.equal(client.state, "waiting");
});

test("an error without a close is a broken connection too", async () => {
  const { clock, client, sockets } = setUp();
  client.connect();
  await settled();
  sockets[0].onerror({});
  await clock.pass(100);
  assert.equal(client.state, "waiting");
  await clock.pass(500);
  sockets[1].onerror({});
  await sockets[1].hangUp(4401);
  assert.equal(client.state, "closed");
});

test("a socket that cannot be made ends it", async () => {
  const session = () => ({ token: "bad token", url: "https://bot.example.com" });
  class Socket {
    constructor() {
      throw new SyntaxError("the subprotocol is invalid");
    }
  }
  const { client } = setUp({ session, WebSocket: Socket });
  await rejects(client.connect(), "refused");
  assert.equal(client.state, "closed");
});

// --- tries ---------------------------------------------------------------------------------------

test("after a break it comes back with a fresh token, later each time, and gives up", async () => {
  const { client, clock, sockets, asked, events, states } = await ready({ reconnect: { attempts: 3 } });
  await sockets[0].hangUp(1006);
  for (let n = 1; n <= 3; n++) {
    await clock.pass(500 * 2 ** (n - 1) - 1);
    assert.equal(sockets.length, n);
    await clock.pass(1);
    assert.equal(sockets.length, n + 1);
    await sockets[n].hangUp(1006);
  }
  await clock.pass(100_000);
  assert.equal(sockets.length, 4);
  assert.deepEqual(asked, [0, 1, 2, 3]);
  assert.deepEqual(sockets.map((one) => one.protocols[1]), ["t1", "t2", "t3", "t4"].map((t) => `telebot.token.${t}`));
  const [, over] = events.filter(([name]) => name === "connection").pop();
  assert.equal(over.error.code, "gave_up");
  assert.equal(over.code, 1006);
  assert.equal(states().filter((state) => state === "waiting").length, 3);
  assert.equal(client.state, "closed");
  assert.equal(clock.waiting, 0);
});

test("a session that lasted counts as a success, one that did not does not", async () => {
  const { clock, last, sockets, events } = await ready({ heartbeatMs: 0 });
  const waited = () => events.filter(([, what]) => what.state === "waiting").pop()[1].delayMs;
  await clock.pass(10_000);
  await last().hangUp(1006);
  assert.equal(waited(), 500);
  await clock.pass(500);
  await last().open();
  await clock.pass(9_999);
  await last().hangUp(1006);
  assert.equal(waited(), 1000);
  await clock.pass(1000);
  await last().open();
  await clock.pass(10_000);
  await last().hangUp(1006);
  assert.equal(waited(), 500);
  assert.equal(sockets.length, 3);
});

for (const code of [1000, 1008, 4400, 4401, 4402, 4403, 4408]) {
  test(`${code} is the last word`, async () => {
    const { client, clock, last, sockets, events } = await ready();
    await last().hangUp(code, "because");
    await clock.pass(1_000_000);
    assert.equal(sockets.length, 1);
    assert.equal(client.state, "closed");
    const [, over] = events.pop();
    assert.equal(over.code, code);
    assert.match(over.reason, /because/);
  });
}

for (const code of [1001, 1006, 1011, 1012, 4409, 4429]) {
  test(`after ${code} it tries again`, async () => {
    const { clock, last, sockets } = await ready();
    await last().hangUp(code);
    await clock.pass(500);
    assert.equal(sockets.length, 2);
  });
}

test("refused on the first try, connect rejects with the close code", async () => {
  const { client, last } = setUp();
  const connected = client.connect();
  await settled();
  await last().hangUp(4401, "the token was used");
  await assert.rejects(connected, (error) => error.closeCode === 4401 && /was used/.test(error.message));
});

for (const [what, error, final] of [
  ["a 401", { status: 401 }, true],
  ["a 422", { status: 422 }, true],
  ["an error marked final", { final: true }, true],
  ["a 429", { status: 429 }, false],
  ["a 503", { status: 503 }, false],
  ["a network that is away", {}, false],
]) {
  test(`${what} from the application's server ${final ? "ends it" : "is tried again"}`, async () => {
    const session = async () => {
      throw Object.assign(new Error("the backend said so"), error);
    };
    const { client, clock, states } = setUp({ session, reconnect: { attempts: 2 } });
    const connected = client.connect();
    await settled();
    assert.equal(client.state, final ? "closed" : "waiting");
    await clock.pass(100_000);
    await assert.rejects(connected, /the backend said so/);
    assert.equal(states().filter((state) => state === "connecting").length, final ? 1 : 3);
  });
}

test("Retry-After is kept to", async () => {
  let asked = 0;
  const headers = new Headers({ "retry-after": "7" });
  const busy = { ok: false, status: 429, headers, json: async () => ({ error: { message: "too many" } }) };
  const fetch = async () => {
    asked += 1;
    return busy;
  };
  const { client, clock } = setUp({ session: undefined, apiKey: "k", url: "https://b.example", fetch });
  client.connect();
  await clock.pass(6_999);
  assert.equal(asked, 1);
  await clock.pass(1);
  assert.equal(asked, 2);
});

test("a source of tokens that never answers is given up on, and its signal fires at the end", async () => {
  let signal;
  const session = (about) => new Promise(() => (signal = about.signal));
  const { client, clock } = setUp({ session, reconnect: false });
  const connected = client.connect();
  await settled();
  assert.ok(!signal.aborted);
  await clock.pass(15_000);
  await rejects(connected, "gave_up");
  assert.ok(signal.aborted);
});

test("a token that comes too late is not used", async () => {
  let give;
  const session = () => new Promise((resolve) => (give = resolve));
  const { client, sockets } = setUp({ session });
  client.connect();
  await settled();
  await client.disconnect();
  give("late");
  await settled();
  assert.equal(sockets.length, 0);
});

test("reconnect: false tries once", async () => {
  const { client, last, states } = await ready({ reconnect: false });
  await last().hangUp(1006);
  assert.equal(client.state, "closed");
  assert.deepEqual(states(), ["connecting", "ready", "closed"]);
});

test("a device that is back on the network does not wait", async () => {
  const target = new EventTarget();
  globalThis.addEventListener = target.addEventListener.bind(target);
  globalThis.removeEventListener = target.removeEventListener.bind(target);
  try {
    const { clock, last, sockets } = await ready();
    await last().hangUp(1006);
    target.dispatchEvent(new Event("online"));
    await settled();
    assert.equal(sockets.length, 2);
    await clock.pass(10_000);
    target.dispatchEvent(new Event("online"));
    await settled();
    assert.equal(sockets.length, 2);
  } finally {
    delete globalThis.addEventListener;
    delete globalThis.removeEventListener;
  }
});

test("a dead line is noticed by a ping without an answer", async () => {
  const { clock, last, sockets, client } = await ready();
  await clock.pass(15_000);
  const [ping] = last().told("ping");
  last().say({ type: "pong", id: ping.id });
  await clock.pass(15_000);
  assert.equal(last().told("ping").length, 2);
  await clock.pass(20_000);
  assert.ok(sockets[0].isClosed);
  assert.equal(client.state, "waiting");
});

test("a line that is alive but slow with its pongs stays", async () => {
  const { clock, last, sockets } = await ready();
  for (let n = 0; n < 60; n++) {
    last().say({ type: "partial", text: "still here" });
    await clock.pass(1_000);
  }
  assert.equal(sockets.length, 1);
});

// --- messages ------------------------------------------------------------------------------------

test("each message is answered by its own answer", async () => {
  const { client, last } = await ready();
  const language = client.setLanguage("de-DE");
  const provider = client.setProvider({ stt: "deepgram/nova-3" });
  const [asked] = last().told("setLanguage");
  const [other] = last().told("setProvider");
  assert.equal(asked.language, "de-DE");
  last().say({ type: "error", code: "unknown_provider", message: "no such", id: other.id, fatal: false });
  last().say({ type: "ok", id: asked.id, of: "setLanguage" });
  assert.equal((await language).of, "setLanguage");
  await rejects(provider, "unknown_provider");
});

test("ping tells the time there and back", async () => {
  const { client, clock, last } = await ready();
  const pinged = client.ping();
  await clock.pass(42);
  last().say({ type: "pong", id: last().told("ping")[0].id });
  assert.equal(await pinged, 42);
});

test("a message without an answer times out", async () => {
  const { client, clock } = await ready({ heartbeatMs: 0 });
  const asked = client.reset();
  await clock.pass(20_000);
  await rejects(asked, "timed_out");
});

test("every message of the server is an event, unknown ones too", async () => {
  const { client, last } = await ready();
  const seen = [];
  for (const name of ["transcript", "reply", "turn", "state", "message"]) client.on(name, (what) => seen.push([name, what.type]));
  last().say({ type: "transcript", turn: 1, text: "hello" });
  last().say({ type: "of_tomorrow" });
  assert.deepEqual(seen, [["transcript", "transcript"], ["message", "transcript"], ["message", "of_tomorrow"]]);
  assert.throws(() => client.on("of_tomorrow", () => {}), /no event/);
});

test("listeners come and go, and one that throws stops nobody", async () => {
  const { client, last } = await ready();
  const seen = [];
  const told = console.error;
  console.error = (...words) => seen.push(words[0]);
  const off = client.on("partial", ({ text }) => seen.push(text));
  client.once("partial", () => {
    throw new Error("a fault of the application");
  });
  last().say({ type: "partial", text: "one" });
  last().say({ type: "partial", text: "two" });
  off();
  last().say({ type: "partial", text: "three" });
  console.error = told;
  assert.deepEqual(seen, ["one", "telebot: a listener of partial failed", "two"]);
});

test("what is no message is told and survived", async () => {
  const { client, last, events } = await ready();
  for (const data of ["{", "[]", "null", '{"type": 5}']) last().onmessage({ data });
  assert.deepEqual(events.filter(([name]) => name === "error").map(([, { code }]) => code), Array(4).fill("bad_message"));
  assert.equal(client.state, "ready");
});

test("messages wait for the connection, in order, up to a number", async () => {
  const { client, last } = setUp({ queue: { messages: 2 } });
  client.connect();
  const kept = [client.setLanguage("fr-FR"), client.sendText("bonjour")];
  await rejects(client.sendText("too much"), "queue_full");
  await rejects(client.interrupt(), "not_connected");
  await rejects(client.ping(), "not_connected");
  await settled();
  await last().open();
  assert.deepEqual(last().sent.map(({ type }) => type), ["start", "setLanguage", "text"]);
  for (const { id, type } of last().sent.slice(1)) last().say({ type: "ok", id, of: type });
  await Promise.all(kept);
});

test("a message is not kept for ever", async () => {
  const { client, clock, last } = await ready({ reconnect: { attempts: 100 }, session: tokens() });
  await last().hangUp(1006);
  const asked = client.setLanguage("fr-FR");
  await clock.pass(60_000);
  await rejects(asked, "timed_out");
});

/** Answers once, and then no more. */
function tokens() {
  let given = 0;
  return async () => {
    if (given++) throw new Error("away");
    return { token: "t", url: "https://bot.example.com" };
  };
}

test("nothing is kept before connect or after the end", async () => {
  const { client } = setUp();
  await rejects(client.setLanguage("fr-FR"), "closed");
  assert.equal(client.sendAudio(second()), false);
});

test("what broke off unanswered: settings are sent again, words are not", async () => {
  const { client, clock, last } = await ready({ heartbeatMs: 0 });
  const language = client.setLanguage("it-IT");
  const text = client.sendText("half said");
  await last().hangUp(1006);
  await rejects(text, "disconnected");
  await clock.pass(500);
  await last().open();
  assert.deepEqual(last().sent.map(({ type }) => type), ["start", "setLanguage"]);
  last().say({ type: "ok", id: last().sent[1].id, of: "setLanguage" });
  assert.equal((await language).of, "setLanguage");
});

test("the next session is set as the last one was", async () => {
  const { client, clock, last } = await ready({ heartbeatMs: 0 });
  for (const language of ["it-IT", "fr-FR"]) {
    const asked = client.setLanguage(language);
    last().say({ type: "ok", id: last().told("setLanguage").pop().id, of: "setLanguage" });
    await asked;
  }
  const refused = client.setProvider({ tts: "nobody" });
  last().say({ type: "error", code: "no", message: "no", id: last().told("setProvider")[0].id });
  await rejects(refused, "no");
  for (let n = 0; n < 2; n++) {
    await last().hangUp(1006);
    await clock.pass(1000);
    await last().open();
    assert.deepEqual(last().sent.slice(1).map(({ type, language }) => [type, language]), [["setLanguage", "fr-FR"]]);
  }
});

// --- audio ---------------------------------------------------------------------------------------

test("speech goes out at the session's rate, little-endian, in frames the wire allows", async () => {
  const { client, last } = await ready();
  assert.equal(client.sendAudio(Float32Array.of(0, 0.5, -1, 1, 2, NaN)), true);
  assert.deepEqual([...last().audio[0]], [0, 16384, -32768, 32767, 32767, 0]);
  client.sendAudio(Int16Array.of(1, -2), 16000);
  assert.deepEqual([...last().audio[1]], [1, -2]);
  client.sendAudio(new Int16Array(40_000));
  assert.deepEqual(last().audio.slice(2).map(({ length }) => length), [16384, 16384, 7232]);
  for (let n = 0; n < 50; n++) client.sendAudio(new Float32Array(960), 48000);
  const made = last().audio.slice(5).reduce((sum, { length }) => sum + length, 0);
  assert.ok(Math.abs(made - 16000) <= 20, `${made}`);
});

test("samples of another kind and rates that are none are refused", async () => {
  const { client } = await ready();
  for (const [samples, rate] of [[[1, 2], 16000], [new Uint8Array(4), 16000], [second(), 0], [second(), 16000.5]]) {
    assert.throws(() => client.sendAudio(samples, rate), (error) => error.code === "usage");
  }
});

test("of speech while offline the last second is kept, and only while it is fresh", async () => {
  const { client, clock, last, events } = await ready({ heartbeatMs: 0 });
  await last().hangUp(1006);
  for (let n = 0; n < 20; n++) client.sendAudio(new Float32Array(1600).fill(n / 100)); // 2 s at once
  assert.equal(client.droppedMs, 1000);
  await clock.pass(500);
  await last().open();
  assert.equal(last().audio.length, 10);
  assert.equal(last().audio[0][0], Math.round(0.1 * 32768));
  await last().hangUp(1006);
  client.sendAudio(new Float32Array(1600));
  await clock.pass(1001);
  await last().open();
  assert.equal(last().audio.length, 0);
  assert.equal(client.droppedMs, 1100);
  assert.ok(events.some(([name, what]) => name === "dropped" && what.reason === "offline"));
});

test("what is kept is a copy: a recorder may use its buffer again", async () => {
  const { client, last } = setUp();
  client.connect();
  const samples = new Int16Array([1, 2, 3]);
  client.sendAudio(samples);
  samples.fill(9);
  await settled();
  await last().open();
  assert.deepEqual([...last().audio[0]], [1, 2, 3]);
});

test("a slow network drops speech rather than sending it late", async () => {
  const { client, last } = await ready();
  last().bufferedAmount = 2 * 16000 * 3 + 2;
  assert.equal(client.sendAudio(second()), false);
  assert.equal(client.droppedMs, 1000);
  last().bufferedAmount = 0;
  assert.equal(client.sendAudio(second()), true);
});

test("what the bot says is an event", async () => {
  const { client, last } = await ready({}, { sample_rate: 24000 });
  const heard = [];
  client.on("audio", (what) => heard.push(what));
  last().play([1, -2, 32767]);
  assert.deepEqual(heard, [{ samples: Int16Array.of(1, -2, 32767), rate: 24000 }]);
});

test("without web audio the microphone is the application's", async () => {
  const { client } = await ready();
  await rejects(client.startListening(), "unsupported");
});

// --- the end -------------------------------------------------------------------------------------

test("disconnect says goodbye and waits for the server's", async () => {
  const { client, clock, last, events } = await ready();
  const asked = client.sendText("never answered");
  const gone = client.disconnect();
  assert.equal(gone, client.disconnect());
  assert.equal(last().sent.pop().type, "end");
  assert.equal(client.sendAudio(second()), false);
  last().say({ type: "ended", reason: "client" });
  await last().hangUp(1000);
  await gone;
  await rejects(asked, "closed");
  assert.equal(clock.waiting, 0);
  const [, over] = events.pop();
  assert.deepEqual([over.state, over.reason, over.error], ["closed", "client", null]);
});

test("a server that does not say goodbye is not waited for", async () => {
  const { client, clock, last } = await ready();
  const gone = client.disconnect();
  await clock.pass(2_000);
  await gone;
  assert.ok(last().isClosed);
  assert.equal(client.state, "closed");
});

test("disconnect while it waits or connects ends it there", async () => {
  const { client, clock, last, sockets } = await ready();
  await last().hangUp(1006);
  await client.disconnect();
  await clock.pass(100_000);
  assert.equal(sockets.length, 1);
  const connected = client.connect();
  await settled();
  await client.disconnect();
  await rejects(connected, "closed");
  assert.ok(sockets[1].isClosed);
  await client.disconnect();
});

test("a client may be used again", async () => {
  const { client, last } = await ready();
  client.disconnect();
  await last().hangUp(1000);
  const connected = client.connect();
  await settled();
  await last().open({ session: "second" });
  assert.equal((await connected).session, "second");
});

test("the signal ends everything at once", async () => {
  for (const when of ["before", "while connecting", "ready", "waiting"]) {
    const giveUp = new AbortController();
    const { client, clock, last } = setUp({ signal: giveUp.signal });
    if (when === "before") giveUp.abort();
    const connected = client.connect();
    await settled();
    if (when === "ready" || when === "waiting") await last().open();
    if (when === "waiting") await last().hangUp(1006);
    giveUp.abort();
    if (when === "before" || when === "while connecting") await rejects(connected, "aborted");
    await settled();
    assert.equal(client.state, "closed", when);
    assert.equal(clock.waiting, 0, when);
  }
});

test("what an old socket still says is not heard", async () => {
  const { client, clock, last, sockets } = await ready();
  const seen = [];
  client.on("partial", ({ text }) => seen.push(text));
  const said = sockets[0].onmessage;
  const closed = sockets[0].onclose;
  await last().hangUp(1006);
  await clock.pass(500);
  await last().open();
  said({ data: '{"type": "partial", "text": "a ghost"}' });
  closed({ code: 4401 });
  assert.deepEqual(seen, []);
  assert.equal(client.state, "ready");
});
