// An application of another origin than the server's: it imports the client from there, gets its
// tokens from its own backend and talks when the button is clicked. What happens is kept in `log`
// for the test, and what comes out of the loudspeaker is recorded.
const { client: module, options } = await (await fetch("about")).json();
const { TelebotClient } = await import(module);

const client = new TelebotClient({
  session: async () => (await fetch("token", { method: "POST" })).json(),
  ...options,
});
const log = [];
for (const event of "ready state partial transcript reply clear turn error ended connection playback listening dropped".split(" ")) {
  client.on(event, (what) => log.push({ at: performance.now(), event, ...what }));
}
let samples = 0;
client.on("audio", (piece) => (samples += piece.samples.length));
document.getElementById("talk").addEventListener("click", async () => {
  if (client.state === "ready") return client.resumePlayback();
  const connected = client.connect();
  record(client.output);
  await connected;
  await client.startListening().catch(({ code, message }) => log.push({ event: "failed", code, message }));
});

let recorder = null;
const recorded = [];
let loudest = 0;

function record(node) {
  const recording = node.context.createMediaStreamDestination();
  node.connect(recording);
  recorder = new MediaRecorder(recording.stream);
  recorder.ondataavailable = ({ data }) => recorded.push(data);
  recorder.start();
  const meter = node.context.createAnalyser();
  node.connect(meter);
  const levels = new Float32Array(meter.fftSize);
  setInterval(() => {
    meter.getFloatTimeDomainData(levels);
    loudest = Math.max(loudest, ...levels);
  }, 20);
}

/** The loudspeaker's sound so far as WebM, in base64. */
async function recording() {
  if (recorder.state !== "inactive") {
    const stopped = new Promise((resolve) => (recorder.onstop = resolve));
    recorder.stop();
    await stopped;
  }
  const bytes = new Uint8Array(await new Blob(recorded).arrayBuffer());
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}

if (location.hash === "#untouched") {
  const connected = client.connect();
  record(client.output);
  await connected;
}
Object.assign(window, { client, log, recording, heard: () => ({ samples, loudest }) });
