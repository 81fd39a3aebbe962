/**
 * A spoken conversation with telebot from a browser, Node, React, React Native or Electron: the
 * client of `WS /v1/voice/realtime` (docs/realtime.md; how to use it: docs/client.md).
 *
 * One ES module without a dependency or a build step. It asks for a one-time token, opens the
 * socket, speaks the wire, and comes back by itself after a break, each time with a fresh token. A
 * browser's microphone and speaker are run here; elsewhere the application hands samples in by
 * `sendAudio` and takes them from the `audio` event. Words that this file cannot do without are
 * left out on purpose: `import.meta` (React Native's engine does not know it) and the `URL` class
 * (React Native has half of it).
 *
 * `TelebotClient` owns everything that it opens, and `disconnect()` (or the signal that was handed
 * in) closes it: socket, timers, microphone, audio context. No promise of it is ever left to reject
 * unheard.
 */

const PROTOCOL = "telebot.realtime";
const TOKEN_PREFIX = "telebot.token.";
const PATH = "/v1/voice/realtime";
const OWN_FILE = "/console/telebot-client.js";
const USUAL_HZ = 16000; // what the wire takes where nobody says more
const RATES = [8000, 16000, 24000, 48000];
const FRAME_BYTES = 32 * 1024; // the wire allows 64 KiB
const SERVER_MESSAGES = new Set(
  "ready state partial transcript reply clear turn failover ok pong error ended".split(" "),
);
const OWN_EVENTS = "connection message audio playback listening dropped".split(" ");
/** Asked again after a break, since it does no harm twice. */
const REPEATABLE = new Set(["setLanguage", "setProvider"]);
/**
 * Close codes after which another try would only meet the same answer: the wire's own, and those of
 * RFC 6455 section 7.4.1 by which a peer says that it does not like what it was sent.
 */
const FINAL = new Set([1000, 1002, 1003, 1007, 1008, 1009, 1010, 4400, 4401, 4402, 4403, 4408]);
const ERROR_MS = 100;
const DEFAULTS = {
  playback: true,
  connectTimeoutMs: 15_000,
  answerTimeoutMs: 20_000, // a change waits up to ten seconds for what is being said
  heartbeatMs: 15_000,
  leaveMs: 2_000,
};
const RECONNECT = { attempts: 8, firstDelayMs: 500, longestDelayMs: 30_000, stableMs: 10_000 };
const QUEUE = { messages: 64, messageMs: 60_000, audioMs: 1_000, unsentMs: 3_000 };

/** What went wrong by `code`; a refused session has a `status`, a closed socket a `closeCode`. */
export class TelebotError extends Error {
  constructor(code, message, details = {}) {
    super(message);
    this.name = "TelebotError";
    this.code = code;
    Object.assign(this, details);
  }
}

// --- samples ---------------------------------------------------------------------------------

const ZERO_CROSSINGS = 16; // on each side of the filter: more is sharper, later and dearer
const PASS = 0.9; // of the lower rate's half

/**
 * Changes the rate of one stream of samples, piece by piece and without a seam: a windowed sinc
 * (Blackman), one row of it for each phase between the two rates, made when first needed.
 */
export class Resampler {
  #up;
  #down;
  #cutoff;
  #taps;
  #rows;
  #kept;
  #phase = 0;

  constructor(fromHz, toHz) {
    const common = commonDivisor(fromHz, toHz);
    this.#up = toHz / common;
    this.#down = fromHz / common;
    this.#cutoff = PASS * Math.min(1, toHz / fromHz);
    this.#taps = 2 * Math.ceil(ZERO_CROSSINGS / this.#cutoff);
    this.#rows = new Map();
    this.#kept = new Float32Array(this.#taps / 2 - 1); // silence before the first sample
  }

  /** What can be known so far: all but the last millisecond or two. */
  push(samples) {
    const input = new Float32Array(this.#kept.length + samples.length);
    input.set(this.#kept);
    input.set(samples, this.#kept.length);
    const room = Math.max(0, input.length - this.#taps + 1);
    const output = new Float32Array(Math.ceil((room * this.#up) / this.#down) + 1);
    let at = 0;
    let count = 0;
    while (at < room) {
      output[count++] = this.#filtered(input, at);
      this.#phase += this.#down;
      at += Math.floor(this.#phase / this.#up);
      this.#phase %= this.#up;
    }
    this.#kept = input.slice(at); // never beyond its end: a step is shorter than the filter
    return output.subarray(0, count);
  }

  #filtered(input, at) {
    const row = this.#row(this.#phase);
    let sum = 0;
    for (let tap = 0; tap < row.length; tap++) sum += input[at + tap] * row[tap];
    return sum;
  }

  #row(phase) {
    const made = this.#rows.get(phase);
    if (made) return made;
    const row = new Float32Array(this.#taps);
    const middle = this.#taps / 2 - 1 + phase / this.#up;
    let sum = 0;
    for (let tap = 0; tap < row.length; tap++) {
      const away = tap - middle;
      const turn = Math.PI * this.#cutoff * away;
      const window = Math.PI * (away / (this.#taps / 2));
      const sinc = turn === 0 ? 1 : Math.sin(turn) / turn;
      row[tap] = sinc * (0.42 + 0.5 * Math.cos(window) + 0.08 * Math.cos(2 * window));
      sum += row[tap];
    }
    for (let tap = 0; tap < row.length; tap++) row[tap] /= sum;
    this.#rows.set(phase, row);
    return row;
  }
}

function commonDivisor(one, other) {
  return other === 0 ? one : commonDivisor(other, one % other);
}

function toFloat(samples) {
  if (samples instanceof Float32Array) return samples;
  const floats = new Float32Array(samples.length);
  for (let n = 0; n < samples.length; n++) floats[n] = samples[n] / 32768;
  return floats;
}

/** Samples as they go over the wire: 16 bits, little-endian whatever the machine. */
function toWire(samples) {
  const view = new DataView(new ArrayBuffer(2 * samples.length));
  const whole = samples instanceof Int16Array;
  for (let n = 0; n < samples.length; n++) {
    const level = whole ? samples[n] : Math.round(samples[n] * 32768) || 0; // a NaN is silence
    view.setInt16(2 * n, Math.max(-32768, Math.min(32767, level)), true);
  }
  return view.buffer;
}

function fromWire(bytes) {
  const view = ArrayBuffer.isView(bytes)
    ? new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    : new DataView(bytes);
  const samples = new Int16Array(view.byteLength >> 1);
  for (let n = 0; n < samples.length; n++) samples[n] = view.getInt16(2 * n, true);
  return samples;
}

/** One stream of samples to one rate; begins anew where the incoming rate changes. */
class ToRate {
  #toHz;
  #fromHz = 0;
  #resampler = null;

  constructor(toHz) {
    this.#toHz = toHz;
  }

  convert(samples, fromHz) {
    if (fromHz === this.#toHz) return samples;
    if (fromHz !== this.#fromHz) {
      this.#fromHz = fromHz;
      this.#resampler = new Resampler(fromHz, this.#toHz);
    }
    return this.#resampler.push(toFloat(samples));
  }
}

// --- waiting and queueing --------------------------------------------------------------------

/**
 * How long to wait before try number `attempt` (from 1): twice as long each time up to a bound, a
 * random half of it left out, so that the clients of a server that went do not come back at once.
 */
export function backoffMs(attempt, { firstDelayMs, longestDelayMs }, random = Math.random) {
  const most = Math.min(longestDelayMs, firstDelayMs * 2 ** (attempt - 1));
  return Math.round(most / 2 + (random() * most) / 2);
}

/** What waits for a connection: messages up to a number and an age, of audio the youngest alone. */
class Outbox {
  #limits;
  #now;
  #messages = [];
  #audio = [];
  #audioMs = 0;

  constructor(limits, now) {
    this.#limits = limits;
    this.#now = now;
  }

  /** False where it is full. */
  add(message) {
    if (this.#messages.length >= this.#limits.messages) return false;
    this.#messages.push(message);
    return true;
  }

  /** What was sent before, and must be sent again, goes first. */
  putBack(messages) {
    this.#messages.unshift(...messages);
  }

  remove(message) {
    this.#messages = this.#messages.filter((other) => other !== message);
  }

  /** Keeps a copy; returns how many milliseconds of older speech had to go. */
  addAudio(samples, rate) {
    const ms = (1000 * samples.length) / rate;
    this.#audio.push({ samples: samples.slice(), rate, ms, at: this.#now() });
    this.#audioMs += ms;
    return this.#forget();
  }

  takeMessages() {
    const taken = this.#messages;
    this.#messages = [];
    return taken;
  }

  /** The audio that is still young enough, and how many milliseconds were not. */
  takeAudio() {
    const dropped = this.#forget();
    const taken = this.#audio;
    this.#audio = [];
    this.#audioMs = 0;
    return { taken, dropped };
  }

  #forget() {
    const oldest = this.#now() - this.#limits.audioMs;
    let dropped = 0;
    while (this.#audio.length) {
      const [first] = this.#audio;
      if (first.at >= oldest && this.#audioMs <= this.#limits.audioMs) break;
      this.#audio.shift();
      this.#audioMs -= first.ms;
      dropped += first.ms;
    }
    return dropped;
  }
}

// --- a browser's microphone and speaker ------------------------------------------------------

/**
 * Both processors, in the browser's audio thread. Its text is also what a Blob is made of, so it
 * uses nothing of this module.
 */
function worklet() {
  if (globalThis.telebotProcessors) return; // two clients may share one context
  globalThis.telebotProcessors = true;
  const LEAD_S = 0.04; // gathered before the first sound, so that an uneven network leaves no gap
  const LONGEST_S = 60;

  class Play extends AudioWorkletProcessor {
    constructor() {
      super();
      this.pieces = [];
      this.at = 0;
      this.queued = 0;
      this.played = 0;
      this.hold = 0;
      this.playing = false;
      this.port.onmessage = ({ data }) => (data === "clear" ? this.clear() : this.add(data));
    }

    add(piece) {
      if (this.queued > LONGEST_S * sampleRate) return;
      if (!this.queued && !this.playing) this.hold = LEAD_S * sampleRate;
      this.pieces.push(piece);
      this.queued += piece.length;
    }

    /** Silent at once: what is left fades within three milliseconds, since a hard cut clicks. */
    clear() {
      const rest = new Float32Array(this.playing ? Math.min(128, this.queued) : 0);
      this.take(rest);
      for (let n = 0; n < rest.length; n++) rest[n] *= 1 - (n + 1) / rest.length;
      this.pieces = rest.length ? [rest] : [];
      this.queued = rest.length;
      this.at = 0;
    }

    /** Fills `target` as far as the queue goes. */
    take(target) {
      let count = 0;
      while (count < target.length && this.pieces.length) {
        const [piece] = this.pieces;
        const length = Math.min(piece.length - this.at, target.length - count);
        target.set(piece.subarray(this.at, this.at + length), count);
        count += length;
        this.at += length;
        this.queued -= length;
        if (this.at === piece.length) {
          this.pieces.shift();
          this.at = 0;
        }
      }
      return count;
    }

    process(_, [[output]]) {
      const lacks = this.queued < LEAD_S * sampleRate;
      if (this.hold > 0 && this.queued && lacks) {
        this.hold -= output.length;
        return true;
      }
      this.hold = 0;
      const count = this.take(output);
      this.played += count;
      if (count > 0 !== this.playing) {
        this.playing = count > 0;
        this.port.postMessage({ playing: this.playing, played: this.played });
      }
      return true;
    }
  }

  class Listen extends AudioWorkletProcessor {
    constructor() {
      super();
      this.piece = new Float32Array(Math.ceil(0.02 * sampleRate));
      this.filled = 0;
    }

    process([input]) {
      const channels = input.length;
      if (!channels) return true; // nothing is connected yet
      for (let n = 0; n < input[0].length; n++) {
        let sum = 0;
        for (let channel = 0; channel < channels; channel++) sum += input[channel][n];
        this.piece[this.filled++] = sum / channels;
        if (this.filled === this.piece.length) {
          this.port.postMessage(this.piece);
          this.filled = 0;
        }
      }
      return true;
    }
  }

  registerProcessor("telebot-play", Play);
  registerProcessor("telebot-listen", Listen);
}

/**
 * Loads the processors into a context by the first way that the page's Content-Security-Policy
 * allows: the address that the application names, a Blob, a data URL, this file on the server.
 */
async function loadWorklet(context, named, served) {
  if (!context.audioWorklet) {
    throw new TelebotError("unsupported", "no AudioWorklet: the page must come over HTTPS");
  }
  const text = `(${worklet})()`;
  const inline = `data:text/javascript,${encodeURIComponent(text)}`;
  const ways = [() => named, () => madeOf(text), () => inline, served];
  let last = null;
  for (const way of ways) {
    const url = await way();
    if (!url) continue;
    try {
      await context.audioWorklet.addModule(url);
      return;
    } catch (error) {
      last = error;
    } finally {
      if (url.startsWith("blob:")) URL.revokeObjectURL(url);
    }
  }
  throw new TelebotError(
    "unsupported",
    "the page's policy lets no audio worklet load: name one it allows as workletUrl",
    { cause: last },
  );
}

function madeOf(text) {
  return URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
}

const KEPT_S = 2; // of what the bot says, while the browser does not let the page play

/** One audio context with the queue of what is played and, while it listens, the microphone. */
class Sound {
  #context;
  #owned;
  #loaded;
  #told;
  #speaker = null;
  #rate = null;
  #before = [];
  #blocked = false;
  #playedMs = 0;
  #microphone = null;
  #asking = null;
  #closed = false;
  #released = () => this.#catchUp();
  output;

  /** `told(event, what)` is called for everything that happens by itself. */
  constructor(context, owned, load, told) {
    this.#context = context;
    this.#owned = owned;
    this.#told = told;
    this.output = context.createGain();
    this.output.connect(context.destination);
    context.addEventListener("statechange", this.#released);
    this.#loaded = load(context).then(() => this.#started());
    this.#loaded.catch((error) => !this.#closed && told("fault", error));
    this.resume();
  }

  /** Browsers keep a page silent until it was touched: called from a click, this lifts it. */
  resume() {
    if (this.#closed || this.#context.state !== "suspended") return;
    this.#context.resume().catch(() => {}); // it stays suspended until the next touch
  }

  play(samples, rate) {
    if (this.#closed) return;
    this.#rate ??= new ToRate(this.#context.sampleRate);
    const piece = toFloat(this.#rate.convert(samples, rate)).slice();
    if (!piece.length) return;
    this.#before.push(piece);
    this.#catchUp();
  }

  clear() {
    this.#before = [];
    this.#rate = null;
    this.#speaker?.port.postMessage("clear");
  }

  get listening() {
    return this.#microphone !== null;
  }

  /** Hands pieces of about 20 ms to `heard(samples, rate)` until `stopListening`. */
  async listen({ stream, constraints }, heard) {
    if (this.#microphone || this.#asking) throw new TelebotError("listening", "it listens already");
    const asked = (this.#asking = {});
    const theirs = stream !== undefined;
    try {
      stream ??= await askForMicrophone(constraints);
      await this.#loaded;
      if (this.#asking !== asked) throw new TelebotError("closed", "stopped before it began");
      this.#microphone = this.#wired(stream, theirs, heard);
    } catch (error) {
      if (!theirs && stream) for (const track of stream.getTracks()) track.stop();
      throw error;
    } finally {
      if (this.#asking === asked) this.#asking = null;
    }
    this.resume();
    this.#told("listening", { listening: true });
  }

  stopListening(why = "asked") {
    this.#asking = null;
    const microphone = this.#microphone;
    if (!microphone) return;
    this.#microphone = null;
    microphone.source.disconnect();
    microphone.node.disconnect();
    microphone.node.port.onmessage = null;
    for (const track of microphone.stream.getTracks()) {
      track.onended = null;
      if (!microphone.theirs) track.stop();
    }
    this.#told("listening", { listening: false, reason: why });
  }

  close() {
    if (this.#closed) return;
    this.stopListening("disconnected");
    this.#closed = true;
    this.#before = [];
    this.#context.removeEventListener("statechange", this.#released);
    this.#speaker?.disconnect();
    this.output.disconnect();
    if (this.#owned && this.#context.state !== "closed") this.#context.close().catch(() => {});
  }

  #started() {
    if (this.#closed) return;
    const options = { numberOfInputs: 0, numberOfOutputs: 1, outputChannelCount: [1] };
    this.#speaker = new AudioWorkletNode(this.#context, "telebot-play", options);
    this.#speaker.port.onmessage = ({ data }) => {
      this.#playedMs = Math.round((1000 * data.played) / this.#context.sampleRate);
      if (!this.#closed) this.#tellPlayback(data.playing);
    };
    this.#speaker.connect(this.output);
    this.#catchUp();
  }

  /** Hands over what is there, or keeps the youngest of it for when the page may play. */
  #catchUp() {
    if (this.#speaker && this.#context.state === "running") {
      for (const piece of this.#before) this.#speaker.port.postMessage(piece, [piece.buffer]);
      this.#before = [];
      this.#blocked = false;
      return;
    }
    let kept = this.#before.reduce((sum, piece) => sum + piece.length, 0);
    while (kept > KEPT_S * this.#context.sampleRate) kept -= this.#before.shift().length;
    if (!this.#before.length || !this.#speaker || this.#blocked) return;
    this.#blocked = true;
    this.#tellPlayback(false);
  }

  #tellPlayback(playing) {
    this.#told("playback", { playing, playedMs: this.#playedMs, blocked: this.#blocked });
  }

  #wired(stream, theirs, heard) {
    const source = this.#context.createMediaStreamSource(stream);
    const node = new AudioWorkletNode(this.#context, "telebot-listen");
    node.port.onmessage = ({ data }) => heard(data, this.#context.sampleRate);
    source.connect(node);
    node.connect(this.#context.destination); // silent, but some browsers run only what is heard
    for (const track of stream.getTracks()) track.onended = () => this.stopListening("device gone");
    return { stream, source, node, theirs };
  }
}

async function askForMicrophone(constraints) {
  const devices = globalThis.navigator?.mediaDevices;
  if (!devices?.getUserMedia) {
    throw new TelebotError("unsupported", "no microphone here: feed sendAudio instead");
  }
  // without echo cancellation the bot interrupts itself by its own voice from the loudspeaker
  const wanted = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };
  try {
    return await devices.getUserMedia({ audio: { channelCount: 1, ...wanted, ...constraints } });
  } catch (error) {
    throw new TelebotError("microphone", `no microphone: ${error.message}`, { cause: error });
  }
}

// --- the client ------------------------------------------------------------------------------

/** One conversation at a time with one server. Options, methods and events: telebot-client.d.ts. */
export class TelebotClient {
  #options;
  #limits;
  #clock;
  #outbox;
  #listeners = new Map();
  #timers = new Set();
  #pending = new Map();
  #count = 0;
  #state = "idle";
  #life = null; // of one connect() until it is over: what belongs to an older one is not heard
  #socket = null;
  #ready = null; // the server's message of that name, while the session is up
  #readyAt = 0;
  #heardAt = 0;
  #attempt = 0;
  #wire = null;
  #kept = new Map(); // what the last session was set to, for the next one
  #sound = null;
  #leaving = null;
  #ended = null;
  #droppedMs = 0;

  constructor(options) {
    this.#options = { ...DEFAULTS, ...options };
    this.#check();
    const { reconnect, queue, clock } = this.#options;
    const once = { ...RECONNECT, attempts: 0 };
    this.#limits = {
      reconnect: reconnect === false ? once : { ...RECONNECT, ...reconnect },
      queue: { ...QUEUE, ...queue },
    };
    this.#clock = clock ?? {
      now: () => Date.now(),
      setTimeout: (call, ms) => setTimeout(call, ms),
      clearTimeout: (timer) => clearTimeout(timer),
    };
    this.#outbox = new Outbox(this.#limits.queue, () => this.#clock.now());
  }

  /** `idle`, `connecting`, `ready`, `waiting` (for the next try) or `closed`. */
  get state() {
    return this.#state;
  }

  /** The server's `ready` message, null while there is no session. */
  get session() {
    return this.#ready;
  }

  get listening() {
    return this.#sound?.listening ?? false;
  }

  /** In a browser the GainNode through which the bot is heard: to set a volume, draw a meter. */
  get output() {
    return this.#sound?.output ?? null;
  }

  /** Milliseconds of speech that were thrown away rather than sent late. */
  get droppedMs() {
    return Math.round(this.#droppedMs);
  }

  // events

  /** Returns a function that takes the listener away again. */
  on(event, listener) {
    if (!SERVER_MESSAGES.has(event) && !OWN_EVENTS.includes(event)) {
      throw new TelebotError("usage", `no event is called ${event}`);
    }
    if (!this.#listeners.has(event)) this.#listeners.set(event, new Set());
    this.#listeners.get(event).add(listener);
    return () => this.off(event, listener);
  }

  once(event, listener) {
    const off = this.on(event, (what) => {
      off();
      listener(what);
    });
    return off;
  }

  off(event, listener) {
    this.#listeners.get(event)?.delete(listener);
  }

  // the connection

  /**
   * Resolves with the server's `ready`; rejects where the server or the token's source refuses, or
   * when every try has failed. Called in a click, it may also play.
   */
  connect() {
    if (this.#life) {
      this.#sound?.resume();
      return this.#life.connected.promise;
    }
    const controller = new AbortController();
    const life = (this.#life = { connected: deferred(), server: deferred(), controller });
    const { signal } = this.#options;
    const aborted = () => this.#finish(new TelebotError("aborted", "given up by the application"));
    life.release = () => signal?.removeEventListener("abort", aborted);
    this.#attempt = 0;
    this.#ended = null;
    if (signal?.aborted) aborted();
    else {
      signal?.addEventListener("abort", aborted);
      this.#openSound();
      this.#try();
    }
    return life.connected.promise;
  }

  /** Says goodbye, waits a moment for the server's, and closes everything. */
  disconnect() {
    if (!this.#life) {
      this.#closeSound();
      return Promise.resolve();
    }
    if (this.#leaving) return this.#leaving.promise;
    this.#leaving = deferred();
    const { promise } = this.#leaving;
    if (this.#ready) {
      this.#closeSound();
      this.#send({ type: "end" });
      this.#after(this.#options.leaveMs, () => this.#finish(null));
    } else this.#finish(null);
    return promise;
  }

  // what is said

  /**
   * Speech of the user, Int16Array or Float32Array, at any rate from 8000 to 192000 Hz. To be fed
   * as it is recorded: what a slow network leaves unsent is dropped after a while. False where it
   * was.
   */
  sendAudio(samples, rate = this.#rate()) {
    if (!(samples instanceof Int16Array || samples instanceof Float32Array)) {
      throw new TelebotError("usage", "samples are an Int16Array or a Float32Array");
    }
    if (!Number.isInteger(rate) || rate < 8000 || rate > 192_000) {
      throw new TelebotError("usage", "a rate is a whole number from 8000 to 192000");
    }
    if (!this.#life || this.#leaving) return this.#drop((1000 * samples.length) / rate, "closed");
    if (this.#ready) return this.#sendSamples(samples, rate);
    this.#drop(this.#outbox.addAudio(samples, rate), "offline");
    return true;
  }

  /** Typed instead of spoken. */
  sendText(text) {
    return this.#ask("text", { text });
  }

  setLanguage(language) {
    return this.#ask("setLanguage", { language });
  }

  /** Any of `{stt, llm, tts}`, each `vendor/model` or a bare name. */
  setProvider(provider) {
    return this.#ask("setProvider", { provider });
  }

  /** The conversation is forgotten and begins again. */
  reset() {
    return this.#ask("reset", {});
  }

  /** The bot stops speaking: here at once, and at the server. Not kept while offline. */
  interrupt() {
    this.#sound?.clear();
    return this.#ask("interrupt", {}, false);
  }

  /** Resolves with the milliseconds there and back. Not kept while offline. */
  ping() {
    const from = this.#clock.now();
    return quiet(this.#ask("ping", {}, false).then(() => this.#clock.now() - from));
  }

  // a browser's microphone and speaker

  /**
   * Opens the microphone (`constraints` are the browser's), or takes a MediaStream that is there.
   * Goes on over breaks of the connection, until `stopListening` or `disconnect`.
   */
  startListening({ stream, constraints } = {}) {
    if (!this.#openSound(true)) {
      const why = "no web audio here: feed sendAudio instead";
      return quiet(Promise.reject(new TelebotError("unsupported", why)));
    }
    const heard = (samples, rate) => this.sendAudio(samples, rate);
    return quiet(this.#sound.listen({ stream, constraints }, heard));
  }

  stopListening() {
    this.#sound?.stopListening();
  }

  /** For a click, where the browser did not let the page play before. */
  resumePlayback() {
    this.#sound?.resume();
  }

  // --- inside ---

  #check() {
    const { url, session, apiKey, sampleRate } = this.#options;
    if (session !== undefined && typeof session !== "function") {
      throw new TelebotError("usage", "session is a function that resolves with a token");
    }
    if (!session && !apiKey) {
      throw new TelebotError("usage", "session (or, outside browsers, apiKey) is needed");
    }
    if (apiKey && !session && isPage()) {
      throw new TelebotError("usage", "an API key in a page is everybody's: use session");
    }
    if (url !== undefined || apiKey) address(url);
    if (sampleRate !== undefined && !RATES.includes(sampleRate)) {
      throw new TelebotError("usage", `sampleRate is one of ${RATES.join(", ")}`);
    }
  }

  #rate() {
    return this.#ready?.sample_rate ?? this.#options.sampleRate ?? USUAL_HZ;
  }

  #openSound(asked = false) {
    if (this.#sound) {
      this.#sound.resume();
      return true;
    }
    if (!asked && !this.#options.playback) return false;
    const { audioContext, workletUrl } = this.#options;
    const Context = globalThis.AudioContext;
    if (!audioContext && !Context) return false;
    const context = audioContext ?? new Context({ latencyHint: "interactive" });
    const load = (one) => loadWorklet(one, workletUrl, () => this.#ownFile());
    this.#sound = new Sound(context, !audioContext, load, (event, what) => {
      if (event === "fault") this.#fault(what.code ?? "playback", what.message);
      else this.#emit(event, what);
    });
    return true;
  }

  /** Where this file stands on the server; the address may first come with a token. */
  async #ownFile() {
    const url = this.#options.url ?? (await this.#life?.server.promise);
    return url && `${address(url).http}${OWN_FILE}`;
  }

  #closeSound() {
    const sound = this.#sound;
    this.#sound = null;
    sound?.close();
  }

  async #try() {
    const life = this.#life;
    this.#enter("connecting", { attempt: this.#attempt });
    let session;
    try {
      session = await this.#inTime(this.#session(life), this.#options.connectTimeoutMs);
    } catch (error) {
      if (life !== this.#life) return;
      if (isFinal(error)) this.#finish(refusal(error));
      else this.#retry(error);
      return;
    }
    if (life === this.#life) this.#open(session);
  }

  /** The token for one try, from the application or by its key. */
  async #session(life) {
    const { session, apiKey, url } = this.#options;
    if (session) {
      const given = await session({ attempt: this.#attempt, signal: life.controller.signal });
      const { token, url: at = url } = typeof given === "string" ? { token: given } : (given ?? {});
      if (typeof token !== "string" || !token) {
        throw new TelebotError("no_token", "session gave no token", { final: true });
      }
      return { token, url: address(at).ws, start: this.#start() };
    }
    const { http, ws } = address(url);
    const answer = await (this.#options.fetch ?? fetch)(`${http}${PATH}/session`, {
      method: "POST",
      headers: { Authorization: `Bearer ${apiKey}`, "Content-Type": "application/json" },
      body: JSON.stringify(this.#start()),
      signal: life.controller.signal,
    });
    if (!answer.ok) throw await refused(answer);
    const { token } = await answer.json();
    return { token, url: ws, start: {} };
  }

  #start() {
    const { agent, mode, language, provider, model, voice, instructions } = this.#options;
    const all = { agent, mode, language, provider, model, voice, instructions };
    all.sample_rate = this.#options.sampleRate;
    return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
  }

  #open({ token, url, start }) {
    this.#life.server.resolve(url);
    const Socket = this.#options.WebSocket ?? globalThis.WebSocket;
    if (!Socket) {
      this.#finish(new TelebotError("unsupported", "no WebSocket here: hand one in"));
      return;
    }
    let socket;
    try {
      socket = new Socket(url, [PROTOCOL, TOKEN_PREFIX + token]);
    } catch (error) {
      this.#finish(new TelebotError("refused", `cannot open ${url}: ${error.message}`));
      return;
    }
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    const late = this.#after(this.#options.connectTimeoutMs, () =>
      this.#lost(socket, 1006, "no answer in time"),
    );
    socket.onopen = () => socket.send(JSON.stringify({ type: "start", ...start }));
    // a close follows at once, but not in every implementation: Node's own keeps silent
    socket.onerror = () => this.#after(ERROR_MS, () => this.#lost(socket, 1006, "no connection"));
    socket.onclose = ({ code, reason }) => this.#lost(socket, code ?? 1006, String(reason ?? ""));
    socket.onmessage = ({ data }) => {
      if (socket !== this.#socket) return;
      this.#heardAt = this.#clock.now();
      if (typeof data === "string") this.#message(data, late);
      else this.#audio(data);
    };
  }

  #message(text, late) {
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      message = null;
    }
    if (typeof message?.type !== "string") {
      this.#fault("bad_message", "the server sent what is no message");
      return;
    }
    if (message.type === "ready") this.#becomeReady(message, late);
    else if (message.type === "clear") this.#sound?.clear();
    else if (message.type === "ended") this.#ended = message;
    else if (message.type === "ok" || message.type === "pong") this.#answered(message);
    else if (message.type === "error") {
      this.#answered(message, new TelebotError(message.code, message.message));
    }
    if (SERVER_MESSAGES.has(message.type)) this.#emit(message.type, message);
    this.#emit("message", message);
  }

  #becomeReady(message, late) {
    this.#cancel(late);
    this.#ready = message;
    this.#readyAt = this.#clock.now();
    this.#wire = new ToRate(message.sample_rate);
    this.#enter("ready", { attempt: this.#attempt });
    this.#life?.connected.resolve(message);
    this.#beat(this.#socket);
    for (const [type, fields] of this.#kept) this.#ask(type, fields);
    for (const entry of this.#outbox.takeMessages()) this.#transmit(entry);
    const { taken, dropped } = this.#outbox.takeAudio();
    this.#drop(dropped, "offline");
    for (const { samples, rate } of taken) this.#sendSamples(samples, rate);
  }

  #audio(data) {
    if (!this.#ready) return;
    const samples = fromWire(data);
    const rate = this.#ready.sample_rate;
    if (this.#options.playback && !this.#leaving) this.#sound?.play(samples, rate);
    this.#emit("audio", { samples, rate });
  }

  /** The socket is gone, or is given up. */
  #lost(socket, closeCode, reason) {
    if (socket !== this.#socket) return;
    this.#release(socket);
    const wasReady = this.#ready !== null;
    this.#ready = null;
    this.#sound?.clear();
    const lasted = this.#clock.now() - this.#readyAt;
    if (wasReady && lasted >= this.#limits.reconnect.stableMs) this.#attempt = 0;
    const why = [closeCode, reason || this.#ended?.reason].filter(Boolean).join(", ");
    const code = closeCode === 1000 ? "closed" : "disconnected";
    const error = new TelebotError(code, `the connection closed (${why})`, { closeCode });
    if (this.#leaving) this.#finish(null);
    else if (FINAL.has(closeCode)) this.#finish(error);
    else {
      this.#keepUnanswered(error);
      this.#retry(error);
    }
  }

  #keepUnanswered(error) {
    const again = [];
    for (const entry of this.#pending.values()) {
      this.#cancel(entry.timer);
      if (REPEATABLE.has(entry.body.type) && !entry.restores) again.push(entry);
      else entry.reject(error);
    }
    this.#pending.clear();
    for (const entry of again) entry.timer = this.#expires(entry);
    this.#outbox.putBack(again);
  }

  #retry(error) {
    const { reconnect } = this.#limits;
    if (this.#attempt >= reconnect.attempts) {
      const why = this.#attempt ? `given up after ${this.#attempt} more tries: ` : "";
      const { closeCode } = error;
      this.#finish(new TelebotError("gave_up", why + error.message, { cause: error, closeCode }));
      return;
    }
    this.#attempt += 1;
    const life = this.#life;
    const random = this.#options.random ?? Math.random;
    const delayMs = Math.max(error.retryAfterMs ?? 0, backoffMs(this.#attempt, reconnect, random));
    let timer = null;
    const go = () => {
      this.#cancel(timer);
      globalThis.removeEventListener?.("online", go);
      if (life === this.#life && this.#state === "waiting") this.#try();
    };
    timer = this.#after(delayMs, go);
    // a device that is back on the network need not wait; React Native and Node have no such event
    if (!error.retryAfterMs) globalThis.addEventListener?.("online", go);
    life.wake = () => globalThis.removeEventListener?.("online", go);
    const { closeCode: code, message: reason } = error;
    this.#enter("waiting", { attempt: this.#attempt, delayMs, code, reason });
  }

  /** Over, whatever the reason; an `error` is told to whoever still waits for something. */
  #finish(error) {
    const life = this.#life;
    if (!life) return;
    const leaving = this.#leaving;
    this.#life = null;
    this.#leaving = null;
    this.#ready = null;
    life.release();
    life.wake?.();
    life.controller.abort();
    life.server.resolve(undefined);
    if (this.#socket) this.#release(this.#socket);
    for (const timer of this.#timers) this.#clock.clearTimeout(timer);
    this.#timers.clear();
    const told = error ?? new TelebotError("closed", "disconnected");
    const waiting = [...this.#pending.values(), ...this.#outbox.takeMessages()];
    for (const entry of waiting) entry.reject(told);
    this.#pending.clear();
    this.#outbox.takeAudio();
    this.#kept.clear();
    this.#closeSound();
    life.connected.reject(told);
    const reason = this.#ended?.reason ?? told.message;
    this.#enter("closed", { attempt: this.#attempt, code: told.closeCode ?? 1000, reason, error });
    leaving?.resolve();
  }

  #release(socket) {
    this.#socket = null;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.onerror = () => {}; // one that is closed while it connects may still complain
    try {
      socket.close(1000);
    } catch {
      // it was closed already
    }
  }

  /** Browsers do not see the server's pings, so a dead line is noticed by one of ours. */
  #beat(socket) {
    const { heartbeatMs } = this.#options;
    if (!heartbeatMs) return;
    this.#after(heartbeatMs, async () => {
      if (socket !== this.#socket) return;
      const from = this.#clock.now();
      try {
        await this.#ask("ping", {}, false);
      } catch (error) {
        const silent = error.code === "timed_out" && this.#heardAt <= from;
        if (silent) this.#lost(socket, 1006, "no answer to a ping");
      }
      if (socket === this.#socket) this.#beat(socket);
    });
  }

  #ask(type, fields, whileOffline = true) {
    const { promise, resolve, reject } = deferred();
    const body = { type, ...fields, id: `${type}-${++this.#count}` };
    const restores = this.#kept.get(type) === fields;
    const entry = { body, fields, resolve, reject, restores, timer: null };
    if (this.#leaving || !this.#life) reject(new TelebotError("closed", "not connected"));
    else if (this.#ready) this.#transmit(entry);
    else if (!whileOffline) reject(new TelebotError("not_connected", `no ${type} while offline`));
    else if (!this.#outbox.add(entry)) reject(new TelebotError("queue_full", "too much waits"));
    else entry.timer = this.#expires(entry);
    return promise;
  }

  #expires(entry) {
    return this.#after(this.#limits.queue.messageMs, () => {
      this.#outbox.remove(entry);
      const why = `${entry.body.type} waited too long for a connection`;
      entry.reject(new TelebotError("timed_out", why));
    });
  }

  #transmit(entry) {
    this.#cancel(entry.timer);
    const { id, type } = entry.body;
    this.#pending.set(id, entry);
    entry.timer = this.#after(this.#options.answerTimeoutMs, () => {
      this.#pending.delete(id);
      entry.reject(new TelebotError("timed_out", `no answer to ${type}`));
    });
    this.#send(entry.body);
  }

  #answered(message, error) {
    const entry = this.#pending.get(message.id);
    if (!entry) return;
    this.#pending.delete(message.id);
    this.#cancel(entry.timer);
    if (error) entry.reject(error);
    else {
      if (REPEATABLE.has(entry.body.type)) this.#kept.set(entry.body.type, entry.fields);
      entry.resolve(message);
    }
  }

  #send(body) {
    this.#socket?.send(JSON.stringify(body));
  }

  #sendSamples(samples, rate) {
    const unsentMs = ((this.#socket.bufferedAmount || 0) / 2 / this.#ready.sample_rate) * 1000;
    if (unsentMs > this.#limits.queue.unsentMs) {
      return this.#drop((1000 * samples.length) / rate, "slow network");
    }
    const bytes = toWire(this.#wire.convert(samples, rate));
    for (let at = 0; at < bytes.byteLength; at += FRAME_BYTES) {
      this.#socket.send(bytes.slice(at, at + FRAME_BYTES));
    }
    return true;
  }

  /** Always false, which is what became of it. */
  #drop(ms, reason) {
    if (ms > 0) {
      this.#droppedMs += ms;
      this.#emit("dropped", { ms, reason });
    }
    return false;
  }

  #enter(state, details) {
    this.#state = state;
    this.#emit("connection", { state, ...details });
  }

  /** An `error` event of our own; the server's have the same shape. */
  #fault(code, message) {
    this.#emit("error", { type: "error", code, message, fatal: false });
  }

  /** A listener that throws must not stop the others, nor the client. */
  #emit(event, what) {
    for (const listener of [...(this.#listeners.get(event) ?? [])]) {
      try {
        listener(what);
      } catch (error) {
        console.error(`telebot: a listener of ${event} failed`, error);
      }
    }
  }

  #inTime(promise, ms) {
    return new Promise((resolve, reject) => {
      const late = new TelebotError("timed_out", "no token in time");
      const timer = this.#after(ms, () => reject(late));
      promise.then(resolve, reject).finally(() => this.#cancel(timer));
    });
  }

  #after(ms, call) {
    const timer = this.#clock.setTimeout(() => {
      this.#timers.delete(timer);
      call();
    }, ms);
    this.#timers.add(timer);
    return timer;
  }

  #cancel(timer) {
    if (this.#timers.delete(timer)) this.#clock.clearTimeout(timer);
  }
}

function isPage() {
  return typeof document !== "undefined" || typeof WorkerGlobalScope !== "undefined";
}

/** That nobody waits for `promise` is no fault; whoever does hears of its failure as ever. */
function quiet(promise) {
  promise.catch(() => {});
  return promise;
}

function deferred() {
  let resolve;
  let reject;
  const promise = new Promise((ok, no) => {
    resolve = ok;
    reject = no;
  });
  return { promise: quiet(promise), resolve, reject };
}

/** `https://host[:port]` or the socket's own address → both. */
function address(url) {
  const parts = /^(?:http|ws)(s?):\/\/([^/?#\s]+)(\/[^?#\s]*)?$/.exec(url ?? "");
  if (!parts) {
    const why = "url is the server's address: https://bot.example.com";
    throw new TelebotError("usage", why, { final: true });
  }
  const [, secure, host, path = "/"] = parts;
  const at = path === "/" ? PATH : path;
  return { http: `http${secure}://${host}`, ws: `ws${secure}://${host}${at}` };
}

async function refused(answer) {
  const body = await answer.json().catch(() => ({}));
  const seconds = Number(answer.headers.get("retry-after"));
  return new TelebotError("refused", body.error?.message ?? `HTTP ${answer.status}`, {
    status: answer.status,
    retryAfterMs: seconds > 0 ? 1000 * Math.min(seconds, 3600) : undefined,
  });
}

/** Another try would get the same answer: the application's request is at fault, not the day. */
function isFinal(error) {
  const status = error?.status;
  if (error?.final === true) return true;
  return status >= 400 && status < 500 && ![408, 425, 429].includes(status);
}

function refusal(error) {
  if (error instanceof TelebotError) return error;
  const details = { status: error?.status, cause: error };
  return new TelebotError("refused", error?.message ?? String(error), details);
}

// Loaded by an audio context, this file is the worklet: for pages whose policy allows no Blob.
if (typeof registerProcessor === "function") worklet();
