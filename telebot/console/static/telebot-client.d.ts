/** Types of telebot-client.js: what goes over `WS /v1/voice/realtime`, what an application does. */

export type Rate = 8000 | 16000 | 24000 | 48000;

/** Who does which work, each a provider or `provider/model`; preferences as in docs/voice.md. */
export interface Providers {
  stt?: string;
  llm?: string;
  tts?: string;
  realtime?: string;
  order?: string[];
  only?: string[];
  ignore?: string[];
  allow_fallbacks?: boolean;
  require_parameters?: boolean;
  sort?: "price" | "latency" | "throughput";
  max_price?: {
    minute?: number;
    million_characters?: number;
    million_input_tokens?: number;
    million_output_tokens?: number;
  };
  data_collection?: "allow" | "deny";
  /** Seconds. */
  preferred_max_latency?: number;
  /** Settings of one provider each. */
  options?: Record<string, Record<string, string | number | boolean | (string | number | boolean)[]>>;
}

/** Who could have been asked, and why they are not. */
export interface Skipped {
  kind: "stt" | "llm" | "tts" | "realtime";
  provider: string;
  why: string;
}

/** What `session` resolves with: the answer of `POST /v1/voice/realtime/session`, or its token. */
export type Session = string | { token: string; url?: string };

export interface Reconnect {
  /** Tries one after another before it is given up; 8. They count anew after `stableMs`. */
  attempts?: number;
  /** The longest wait before the first try, doubled for each further one; 500. */
  firstDelayMs?: number;
  /** No wait is longer, but where the server asks for it; 30000. */
  longestDelayMs?: number;
  /** A session that lasted so long was a good one; 10000. */
  stableMs?: number;
}

export interface Queue {
  /** Messages kept while there is no session; 64. More are refused with `queue_full`. */
  messages?: number;
  /** How long a message is kept; 60000. */
  messageMs?: number;
  /** How much and how old speech may be that is sent late; 1000. Older is dropped. */
  audioMs?: number;
  /** How much speech may wait in a socket whose network is slow; 3000. More is dropped. */
  unsentMs?: number;
}

export interface Options {
  /** The server: `https://bot.example.com`, or the whole address of its socket. */
  url?: string;
  /**
   * Fetches a fresh one-time token, for every try anew: from the application's own server, which
   * has the API key. An error with a `status` of 400 to 499 (but 408, 425, 429) or `final: true` is
   * the end of it.
   */
  session?: (about: { attempt: number; signal: AbortSignal }) => Promise<Session> | Session;
  /** The key itself, for programs that are nobody else's (needs `url`). Refused in pages. */
  apiKey?: string;
  agent?: string;
  mode?: "chain" | "direct";
  /** Of the audio, both ways: what the token was made for, else this, else 16000. */
  sampleRate?: Rate;
  language?: string;
  provider?: Providers;
  model?: string;
  voice?: string;
  instructions?: string;
  /** Ends everything when it aborts. */
  signal?: AbortSignal;
  reconnect?: false | Reconnect;
  queue?: Queue;
  /** In browsers: play what the bot says; true. */
  playback?: boolean;
  /** An AudioContext of the application's own; it is not closed. */
  audioContext?: AudioContext;
  /** Where the worklets are loaded from, for pages whose policy allows no Blob: this very file. */
  workletUrl?: string;
  /** Where the platform has none (Node before 22): the class of the package `ws`. */
  WebSocket?: new (url: string, protocols: string[]) => unknown;
  fetch?: typeof fetch;
  /** From the socket's opening to `ready`, and for the token; 15000. */
  connectTimeoutMs?: number;
  /** For the answer to a message; 20000, since a change waits for what is being said. */
  answerTimeoutMs?: number;
  /** How often the line is tried while it is up; 15000. 0: never. */
  heartbeatMs?: number;
  /** How long `disconnect` waits for the server's goodbye; 2000. */
  leaveMs?: number;
  /** For tests. */
  clock?: {
    now(): number;
    setTimeout(call: () => void, ms: number): unknown;
    clearTimeout(timer: unknown): void;
  };
  /** For tests: 0 ≤ n < 1. */
  random?: () => number;
}

export interface Ready {
  type: "ready";
  session: string;
  call: string | null;
  sample_rate: Rate;
  mode: "chain" | "direct";
  agent: string | null;
  language: string | null;
  providers: { stt?: string; llm?: string; tts?: string; realtime?: string };
  skipped: Skipped[];
}

export interface Turn {
  type: "turn";
  turn: number;
  /** What was said to the bot; null for a greeting. */
  text: string | null;
  reply: string;
  interrupted: boolean;
  latency_ms: Record<string, number | null>;
  providers: Record<string, string | null>;
  usage: { kind: string; provider: string; quantity: number; unit: string }[];
}

export interface Ok {
  type: "ok";
  id?: string;
  of: string;
  language?: string | null;
  providers?: Ready["providers"];
  /** Of `setProvider`. */
  skipped?: Skipped[];
}

/** The server's, or the client's own (`bad_message`, `playback`, `unsupported`). */
export interface Failure {
  type: "error";
  code: string;
  message: string;
  id?: string;
  fatal: boolean;
}

export interface Connection {
  state: State;
  /** How many tries this is after the first one; 0 while all is well. */
  attempt: number;
  /** While `waiting`: how long. */
  delayMs?: number;
  /** The close code, where a socket closed. */
  code?: number;
  reason?: string;
  /** When `closed`: why, null after `disconnect`. */
  error?: TelebotError | null;
}

export type State = "idle" | "connecting" | "ready" | "waiting" | "closed";

export interface Events {
  ready: Ready;
  state: { type: "state"; state: "listening" | "thinking" | "speaking" };
  partial: { type: "partial"; text: string };
  transcript: { type: "transcript"; turn: number; text: string };
  reply: { type: "reply"; turn: number; text: string; final: boolean };
  clear: { type: "clear" };
  turn: Turn;
  failover: { type: "failover"; kind: string; provider: string; cause: string };
  ok: Ok;
  pong: { type: "pong"; id?: string };
  error: Failure;
  ended: { type: "ended"; reason: string };
  /** Every message of the server, also of types that this version does not know. */
  message: { type: string; [field: string]: unknown };
  /** What the bot says, as it comes; browsers play it as well. */
  audio: { samples: Int16Array; rate: Rate };
  connection: Connection;
  /**
   * The loudspeaker of a browser begins or falls silent. `blocked`: the browser does not let the
   * page play before its user touched it; after `resumePlayback()` in a click it goes on.
   */
  playback: { playing: boolean; playedMs: number; blocked: boolean };
  /** The microphone of a browser. */
  listening: { listening: boolean; reason?: string };
  /** Speech that was not sent. */
  dropped: { ms: number; reason: "offline" | "closed" | "slow network" };
}

export class TelebotError extends Error {
  constructor(code: string, message: string, details?: Record<string, unknown>);
  /**
   * The server's, or `aborted`, `closed`, `disconnected`, `gave_up`, `listening`, `microphone`,
   * `no_token`, `not_connected`, `queue_full`, `refused`, `timed_out`, `unsupported`, `usage`.
   */
  code: string;
  closeCode?: number;
  status?: number;
  retryAfterMs?: number;
  cause?: unknown;
}

export class TelebotClient {
  constructor(options: Options);
  readonly state: State;
  readonly session: Ready | null;
  readonly listening: boolean;
  readonly output: GainNode | null;
  readonly droppedMs: number;
  on<Name extends keyof Events>(event: Name, listener: (what: Events[Name]) => void): () => void;
  once<Name extends keyof Events>(event: Name, listener: (what: Events[Name]) => void): () => void;
  off<Name extends keyof Events>(event: Name, listener: (what: Events[Name]) => void): void;
  connect(): Promise<Ready>;
  disconnect(): Promise<void>;
  sendAudio(samples: Int16Array | Float32Array, rate?: number): boolean;
  sendText(text: string): Promise<Ok>;
  setLanguage(language: string): Promise<Ok>;
  setProvider(provider: Providers): Promise<Ok>;
  reset(): Promise<Ok>;
  interrupt(): Promise<Ok>;
  ping(): Promise<number>;
  startListening(options?: {
    stream?: MediaStream;
    constraints?: MediaTrackConstraints;
  }): Promise<void>;
  stopListening(): void;
  resumePlayback(): void;
}

/** One stream of samples to another rate, without a seam between the pieces. */
export class Resampler {
  constructor(fromHz: number, toHz: number);
  push(samples: Float32Array): Float32Array;
}

/** How long to wait before try number `attempt`, from 1. */
export function backoffMs(
  attempt: number,
  limits: { firstDelayMs: number; longestDelayMs: number },
  random?: () => number,
): number;
