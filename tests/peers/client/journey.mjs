// A whole conversation over a real network: URL KEY. The server breaks the line in the middle, once
// without a word and once by going silent; what was heard and told is printed as JSON.
import { TelebotClient } from "../../../telebot/console/static/telebot-client.js";
import { happens, webSockets } from "./platform.mjs";

const [url, apiKey] = process.argv.slice(2);

async function journey(WebSocket) {
  const client = new TelebotClient({
    url,
    apiKey,
    WebSocket,
    agent: "front-desk",
    sampleRate: 24000,
    heartbeatMs: 200,
    answerTimeoutMs: 500,
    reconnect: { firstDelayMs: 20 },
  });
  const states = [];
  let samples = 0;
  client.on("connection", ({ state, code }) => states.push(code ? `${state} ${code}` : state));
  client.on("audio", (piece) => (samples += piece.samples.length));
  const ready = await client.connect();
  await client.setLanguage("de-DE");
  const pingMs = await client.ping();

  const second = Float32Array.from({ length: 48000 }, (_, n) => Math.sin((2 * Math.PI * 440 * n) / 48000) / 2);
  for (let at = 0; at < second.length; at += 960) client.sendAudio(second.subarray(at, at + 960), 48000);
  await client.sendText("say it"); // answered by a second of sound, which comes before this does
  const heard = samples;

  const again = happens(client, "ready");
  const broken = client.sendText("break").then(() => "answered", ({ code }) => code);
  await broken;
  client.sendAudio(new Int16Array(2400)); // 100 ms, while nobody is there
  const kept = client.setProvider({ tts: "local" });
  await again;
  await kept;

  const third = happens(client, "ready");
  client.sendText("fall silent");
  await third;
  await client.disconnect();
  return { ready, pingMs, heard, broken: await broken, states, end: client.state };
}

async function refusals(WebSocket) {
  const failed = (options) =>
    new TelebotClient({ url, WebSocket, ...options }).connect().then(() => "connected", ({ code, status, closeCode }) => ({ code, status, closeCode }));
  return {
    key: await failed({ apiKey: "tb_guessed" }),
    token: await failed({ session: () => "a-guess" }),
    nobody: await failed({ session: () => ({ token: "t", url: "http://127.0.0.1:9" }), reconnect: { attempts: 1, firstDelayMs: 1 } }),
  };
}

const told = {};
for (const [name, WebSocket] of webSockets()) {
  told[name] = { ...(await journey(WebSocket)), refused: await refusals(WebSocket) };
}
console.log(JSON.stringify(told));
