// Compiled, not run: the declarations say what the module takes and gives, and refuse the rest.
import { backoffMs, Resampler, TelebotClient, TelebotError } from "../../../telebot/console/static/telebot-client.js";

export async function everything(Socket: new (url: string, protocols: string[]) => WebSocket) {
  const giveUp = new AbortController();
  const client = new TelebotClient({
    url: "https://bot.example.com",
    session: async ({ attempt, signal }) => {
      const answer = await fetch(`/token?try=${attempt}`, { signal });
      return (await answer.json()) as { token: string };
    },
    agent: "front-desk",
    mode: "chain",
    sampleRate: 24000,
    provider: { stt: "deepgram/nova-3", allow_fallbacks: false },
    reconnect: { attempts: 3 },
    queue: { audioMs: 500 },
    signal: giveUp.signal,
    WebSocket: Socket,
  });
  const off = client.on("transcript", ({ turn, text }) => console.log(turn.toFixed(), text.trim()));
  client.once("connection", ({ state, error }) => state === "closed" && error?.code.length);
  client.on("audio", ({ samples, rate }) => client.sendAudio(samples, rate));
  client.on("turn", ({ usage }) => usage.map(({ quantity }) => quantity + 1));
  const ready = await client.connect();
  const rate: 8000 | 16000 | 24000 | 48000 = ready.sample_rate;
  const ms: number = await client.ping();
  const { of } = await client.setLanguage("de-DE");
  await client.setProvider({ tts: "local" });
  await client.startListening({ constraints: { deviceId: "x" } });
  client.output?.gain.setValueAtTime(0.5, 0);
  off();
  await client.disconnect();
  return [rate, ms, of, new Resampler(8000, 16000).push(new Float32Array(1)), backoffMs(1, { firstDelayMs: 1, longestDelayMs: 2 })];
}

export function refused(client: TelebotClient, error: unknown) {
  // @ts-expect-error no event of this name
  client.on("transcripts", () => {});
  // @ts-expect-error a rate that the wire does not know
  new TelebotClient({ session: () => "t", sampleRate: 44100 });
  // @ts-expect-error not samples
  client.sendAudio([1, 2, 3]);
  // @ts-expect-error set by the client alone
  client.state = "ready";
  return error instanceof TelebotError ? error.closeCode : undefined;
}
