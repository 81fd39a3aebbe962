// A server that stops and is there again a while later: URL KEY. States are printed as they come.
import { TelebotClient } from "../../../telebot/console/static/telebot-client.js";
import { happens, webSockets } from "./platform.mjs";

const [url, apiKey] = process.argv.slice(2);
const [, WebSocket] = webSockets().pop();
const client = new TelebotClient({ url, apiKey, WebSocket, reconnect: { firstDelayMs: 50, longestDelayMs: 200, attempts: 500 } });
client.on("connection", ({ state, attempt }) => console.log(`${state} ${attempt}`));
await client.connect();
await happens(client, "ready");
await client.disconnect();
