// The telephone of `/console/talk`: the client, the words as they come, and a field for who has no
// microphone. Words are only ever set as text.
import { TelebotClient } from "/console/telebot-client.js";

const find = (id) => document.getElementById(id);
const NO_MICROPHONE = "No microphone: it needs HTTPS or this very machine, and your permission. You can write instead.";
let client = null;

function show(text) {
  find("state").textContent = text;
}

function warn(text) {
  find("notice").textContent = text;
}

function up(isUp) {
  find("talk").hidden = find("agent").disabled = isUp;
  find("stop").hidden = find("write").hidden = !isUp;
}

/** One line a side and turn; what comes later replaces it. */
function lines() {
  const shown = new Map();
  return (who, turn, text, dim = "") => {
    const name = `${who} ${turn}`;
    if (!shown.has(name)) {
      const item = find("said").appendChild(document.createElement("li"));
      item.className = "said";
      const parts = ["who", who === "You" ? "caller" : "", "dim"].map((one) => {
        const part = item.appendChild(document.createElement("span"));
        part.className = one;
        return part;
      });
      parts[0].textContent = who;
      shown.set(name, parts);
    }
    const [, words, beside] = shown.get(name);
    if (text !== null) words.textContent = text;
    if (dim) beside.textContent = ` ${dim}`;
  };
}

async function session(agent) {
  const answer = await fetch("/console/talk", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ agent, sample_rate: 24000, origin: location.origin }),
  });
  if (answer.status === 401) location.reload();
  if (!answer.ok) {
    const why = await answer.json().catch(() => null);
    throw Object.assign(new Error(why?.error?.message ?? `HTTP ${answer.status}`), { status: answer.status });
  }
  const given = await answer.json();
  const there = new URL(given.url);
  if (there.host !== location.host) { // its pages alone may talk
    const page = `${there.protocol.replace("ws", "http")}//${there.host}${location.pathname}`;
    throw Object.assign(new Error(`This server is known by another address: open ${page}`), { final: true });
  }
  return given;
}

function listen(one) {
  const say = lines();
  one.on("state", ({ state }) => show(state));
  one.on("transcript", ({ turn, text }) => say("You", turn, text));
  one.on("reply", ({ turn, text }) => say("Bot", turn, text));
  one.on("turn", ({ turn, latency_ms }) => {
    if (latency_ms.heard) say("Bot", turn, null, `after ${Math.round(latency_ms.heard)} ms`);
  });
  one.on("failover", ({ provider, cause }) => warn(`${provider} failed (${cause}); another one goes on`));
  one.on("error", ({ message }) => warn(message));
  one.on("playback", ({ blocked }) => blocked && warn("Click into the page to hear the bot."));
  one.on("connection", ({ state, error }) => {
    if (error) warn(error.message);
    if (state !== "ready") show(state === "closed" ? "the call is over" : state);
    if (state === "closed") up(false);
  });
}

find("call").onsubmit = async (event) => { // a click, so that the browser lets it play and listen
  event.preventDefault();
  find("said").replaceChildren();
  warn("");
  const agent = find("agent").value;
  client = new TelebotClient({ session: () => session(agent), workletUrl: "/console/telebot-client.js" });
  listen(client);
  up(true);
  try {
    await client.connect();
  } catch (error) {
    up(false);
    return warn(error.message);
  }
  try {
    await client.startListening();
  } catch {
    warn(NO_MICROPHONE);
    find("words").focus();
  }
};
find("stop").onclick = () => client.disconnect();
document.addEventListener("click", () => client?.resumePlayback());
find("write").onsubmit = async (event) => {
  event.preventDefault();
  const text = find("words").value.trim();
  if (!text) return;
  find("words").value = "";
  try {
    await client.sendText(text);
  } catch (error) {
    warn(error.message);
  }
};
find("talk").disabled = false;
