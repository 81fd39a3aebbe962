// Rates, the wire's bytes and the two processors of a browser's audio thread.
import assert from "node:assert/strict";
import { test } from "node:test";

import { Resampler } from "../../../telebot/console/static/telebot-client.js";

function tone(hz, rate, seconds) {
  return Float32Array.from({ length: rate * seconds }, (_, n) => Math.sin((2 * Math.PI * hz * n) / rate));
}

/** The level of one frequency (1: a full sine), in the middle of what came out. */
function level(samples, hz, rate) {
  const part = samples.subarray(Math.floor(samples.length / 4), Math.floor((3 * samples.length) / 4));
  let [re, im] = [0, 0];
  part.forEach((sample, n) => {
    re += sample * Math.cos((2 * Math.PI * hz * n) / rate);
    im += sample * Math.sin((2 * Math.PI * hz * n) / rate);
  });
  return (2 * Math.hypot(re, im)) / part.length;
}

function joined(pieces) {
  return Float32Array.from(pieces.flatMap((piece) => [...piece]));
}

for (const [from, to] of [[48000, 16000], [44100, 16000], [16000, 48000], [8000, 16000], [16000, 24000], [22050, 8000]]) {
  test(`a tone keeps its level from ${from} to ${to} Hz`, () => {
    const out = new Resampler(from, to).push(tone(1000, from, 1));
    assert.ok(Math.abs(out.length - to) < to / 200, `${out.length} samples of a second`);
    assert.ok(Math.abs(level(out, 1000, to) - 1) < 0.01, `level ${level(out, 1000, to)}`);
  });
}

test("what the lower rate cannot hold is taken out, not folded back", () => {
  const out = new Resampler(48000, 16000).push(tone(12000, 48000, 1));
  assert.ok(level(out, 4000, 16000) < 0.001);
});

test("what a higher rate could hold is not made up", () => {
  const out = new Resampler(8000, 48000).push(tone(3000, 8000, 1));
  assert.ok(level(out, 5000, 48000) < 0.001);
});

test("pieces give what the whole gives, whatever their length", () => {
  for (const [from, to] of [[44100, 16000], [48000, 8000], [8000, 48000]]) {
    const sound = tone(700, from, 0.3);
    const whole = new Resampler(from, to).push(sound);
    const resampler = new Resampler(from, to);
    const pieces = [];
    for (let at = 0, length = 1; at < sound.length; at += length, length = (length * 7 + 3) % 501) {
      pieces.push(resampler.push(sound.subarray(at, at + length)));
    }
    assert.deepEqual(joined(pieces), whole);
  }
});

test("silence stays silence and a level stays where it is", () => {
  const out = new Resampler(44100, 16000).push(new Float32Array(44100).fill(0.5));
  for (const sample of out.subarray(100)) assert.ok(Math.abs(sample - 0.5) < 1e-5);
});

// --- the worklet: loaded where an audio thread is, the file registers its processors ------------

const made = {};
let messages = [];
globalThis.AudioWorkletProcessor = class {
  port = { postMessage: (data) => messages.push(data) };
};
globalThis.sampleRate = 48000;
globalThis.registerProcessor = (name, kind) => (made[name] = kind);
await import("../../../telebot/console/static/telebot-client.js?worklet");
delete globalThis.registerProcessor;

function player() {
  messages = [];
  const one = new made["telebot-play"]();
  const quantum = () => {
    const output = new Float32Array(128);
    one.process([], [[output]]);
    return output;
  };
  return { one, quantum, send: (data) => one.port.onmessage({ data }) };
}

const steady = (length, value = 0.5) => new Float32Array(length).fill(value);

test("pieces are played without a gap between them", () => {
  const { quantum, send } = player();
  for (let n = 0; n < 30; n++) send(Float32Array.from({ length: 100 }, (_, at) => (n * 100 + at) / 4000));
  const out = joined(Array.from({ length: 24 }, quantum));
  assert.deepEqual([...out.subarray(0, 3000)], [...Float32Array.from({ length: 3000 }, (_, n) => n / 4000)]);
  assert.ok(out.subarray(3000).every((sample) => sample === 0));
});

test("a little is gathered before the first sound, but not waited for without end", () => {
  const { quantum, send } = player();
  send(steady(200));
  let silent = 0;
  while (quantum()[0] === 0) silent += 1;
  assert.equal(silent, 15); // 40 ms
  assert.deepEqual(messages, [{ playing: true, played: 128 }]);
});

test("clear is silence at once, with a fade of one quantum", () => {
  const { quantum, send } = player();
  send(steady(48000));
  for (let n = 0; n < 10; n++) assert.equal(quantum()[127], 0.5);
  send("clear");
  const fade = quantum();
  assert.ok(fade[0] < 0.5 && fade[0] > 0.49);
  assert.equal(fade[127], 0);
  assert.ok(quantum().every((sample) => sample === 0));
  assert.deepEqual(messages, [{ playing: true, played: 128 }, { playing: false, played: 11 * 128 }]);
});

test("after clear the next answer is played from its beginning", () => {
  const { quantum, send } = player();
  send(steady(48000));
  quantum();
  send("clear");
  send(steady(4000, 0.25));
  quantum();
  assert.equal(quantum()[0], 0.25);
});

test("what is cleared before it began makes no sound", () => {
  const { quantum, send } = player();
  send(steady(100));
  send("clear");
  for (let n = 0; n < 40; n++) assert.ok(quantum().every((sample) => sample === 0));
  assert.deepEqual(messages, []);
});

test("a flood is bounded", () => {
  const { one, send } = player();
  for (let n = 0; n < 100; n++) send(steady(48000));
  assert.ok(one.queued <= 61 * 48000);
});

test("the microphone comes in pieces of 20 ms, channels mixed", () => {
  messages = [];
  const one = new made["telebot-listen"]();
  for (let n = 0; n < 15; n++) one.process([[steady(128, 0.5), steady(128, 0.25)]]);
  assert.equal(messages.length, 2);
  assert.equal(messages[0].length, 960);
  assert.equal(messages[0][0], 0.375);
  assert.ok(one.process([[]]));
});
