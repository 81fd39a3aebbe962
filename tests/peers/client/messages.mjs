// Every message of the wire to a real server: URL KEY. How each was answered is printed as JSON.
import { TelebotClient } from "../../../telebot/console/static/telebot-client.js";
import { happens, webSockets } from "./platform.mjs";

const [url, apiKey] = process.argv.slice(2);
const [, WebSocket] = webSockets().pop();
const headers = { Authorization: `Bearer ${apiKey}`, "Content-Type": "application/json" };
const asked = await fetch(`${url}/v1/voice/realtime/session`, { method: "POST", headers, body: '{"agent": "front-desk"}' });
const given = await asked.json();

const client = new TelebotClient({ session: () => given, WebSocket, reconnect: false });
let samples = 0;
client.on("audio", (piece) => (samples += piece.samples.length));
const unknown = [];
const known = new Set("ready state partial transcript reply clear turn failover ok pong error ended".split(" "));
client.on("message", ({ type }) => known.has(type) || unknown.push(type));
const settled = (promise) => promise.then(({ of }) => of, ({ code }) => `refused: ${code}`);

const told = {};
const greeted = happens(client, "turn");
const { providers } = await client.connect();
told.providers = providers;
await greeted;
told.ping = (await client.ping()) < 5000;
told.setProvider = await settled(client.setProvider({ tts: "local" }));
told.nobody = await settled(client.setProvider({ tts: "nobody-there" }));
told.setLanguage = await settled(client.setLanguage("en-GB"));
const speaking = happens(client, "state", ({ state }) => state === "speaking");
told.text = await settled(client.sendText("What are your opening hours, and where can I park?"));
await speaking;
const cut = happens(client, "turn");
told.interrupt = await settled(client.interrupt());
told.interrupted = (await cut).interrupted;
told.reset = await settled(client.reset());
const ended = happens(client, "ended");
await client.disconnect();
told.ended = (await ended).reason;
told.heard = samples > 8000;
told.unknown = unknown;

const again = new TelebotClient({ session: () => given, WebSocket, reconnect: false });
told.again = await again.connect().then(() => "let in", ({ closeCode, code }) => `${code} ${closeCode}`);
console.log(JSON.stringify(told));
