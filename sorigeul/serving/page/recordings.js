// What happens to recordings: files are sent two at a time, the microphone is recognised live.

import { address, ApiError, apiKey, models, setApiKey, transcribe } from "./api.js";
import { level, microphoneIsBlocked, MicrophoneError, openMicrophone } from "./microphone.js";
import { openRealtime } from "./realtime.js";
import { change, changeRecording, current, recordingOf, terms } from "./store.js";
import { text } from "./texts.js";

const AT_ONCE = 2;
const TRIES = 30; // of a server that says it is busy
const queue = []; // ids
const aborts = new Map(); // by id, of what is being sent
let sending = 0;
let keyAsked = null;

// At the start of the page

export async function greet() {
  if (microphoneIsBlocked()) change({ microphoneProblem: "insecure" });
  try {
    const names = await withKey(models);
    change({ models: names, model: names[0] ?? "" });
  } catch {
    // The server tells again, and what to do, when a recording is sent.
  }
}

// Files

export function addFiles(files) {
  const added = Array.from(files, (file, index) => newRecording(file.name, { file, open: index === 0 }));
  addRecordings(added);
  for (const recording of added) enqueue(recording.id);
}

export async function addExample() {
  const recording = newRecording(text("exampleName"), { open: true, isExample: true });
  addRecordings([recording]);
  enqueue(recording.id);
}

function newRecording(name, rest) {
  const id = crypto.randomUUID?.() ?? String(Math.random()); // secure contexts only
  const url = rest.file ? URL.createObjectURL(rest.file) : "";
  return { id, name, url, segments: [], duration: 0, peaks: null, error: null, ...rest, status: "waiting" };
}

function addRecordings(added) {
  change({ recordings: [...added, ...current().recordings] });
}

export function enqueue(id) {
  changeRecording(id, { status: "waiting", segments: [], peaks: null, error: null, note: null });
  queue.push(id);
  sendNext();
}

export function removeRecording(id) {
  const { name, url } = recordingOf(id);
  aborts.get(id)?.abort();
  if (queue.includes(id)) queue.splice(queue.indexOf(id), 1);
  change({
    recordings: current().recordings.filter((recording) => recording.id !== id),
    announcement: text("removed", { name }),
  });
  URL.revokeObjectURL(url);
}

async function sendNext() {
  if (sending === AT_ONCE || !queue.length) return;
  const id = queue.shift();
  sending++;
  try {
    await recognise(id);
  } catch (error) {
    if (recordingOf(id)) changeRecording(id, { status: "failed", error: told(error), note: null });
  } finally {
    sending--;
    aborts.delete(id);
    sendNext();
  }
}

async function recognise(id) {
  if (!recordingOf(id).file) await fetchExample(id);
  const { file, name, url } = recordingOf(id);
  secondsOf(url).then((duration) => recordingOf(id)?.status !== "done" && duration && changeRecording(id, { duration }));
  const abort = new AbortController();
  aborts.set(id, abort);
  const on = {
    upload: (share) => changeRecording(id, { status: share < 1 ? "uploading" : "recognizing", share }),
    segment: (segment) => changeRecording(id, ({ segments }) => ({ status: "recognizing", segments: [...segments, segment] })),
  };
  const send = () => withKey(() => transcribe(file, name, { model: current().model, terms: terms() }, on, abort.signal));
  const { duration, peaks } = await patiently(id, send);
  changeRecording(id, { status: "done", duration, peaks });
  change({ announcement: text("done", { name }) });
}

async function fetchExample(id) {
  const response = await fetch(new URL("example.mp3", import.meta.url)).catch(() => null);
  if (!response?.ok) throw new ApiError(-1, "");
  const file = await response.blob();
  changeRecording(id, { file, url: URL.createObjectURL(file) });
}

// Sends again, when the server said it is busy, after the time that it named
async function patiently(id, send) {
  for (let tries = 1; ; tries++) {
    try {
      return await send();
    } catch (error) {
      if (error.status !== 429 || tries === TRIES || !recordingOf(id)) throw error;
      const seconds = Math.max(1, Math.ceil(error.retryAfter));
      changeRecording(id, { status: "waiting", note: { name: "busy", seconds } });
      await new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
      changeRecording(id, { note: null });
    }
  }
}

// Asks for the key, once for all who need it, when the server wants one
async function withKey(request) {
  for (;;) {
    const used = apiKey();
    try {
      return await request();
    } catch (error) {
      if (error.status !== 401) throw error;
      if (apiKey() !== used) continue; // somebody else was given the key meanwhile
      keyAsked ??= new Promise((resolve) => change({ askForKey: resolve })).finally(() => {
        keyAsked = null;
        change({ askForKey: null });
      });
      const key = await keyAsked;
      if (!key) throw error;
      setApiKey(key);
    }
  }
}

// The length of a sound that the browser can play, to show how far its recognition is
function secondsOf(url) {
  return new Promise((resolve) => {
    const audio = new Audio();
    audio.preload = "metadata";
    audio.onloadedmetadata = () => resolve(Number.isFinite(audio.duration) ? audio.duration : 0);
    audio.onerror = () => resolve(0);
    audio.src = url;
  });
}

// What a person is told of an error, and what the server said of it
function told(error) {
  const names = { "-1": "errorExample", 0: "errorNetwork", 401: "errorKey", 413: "errorLarge", 429: "errorBusy" };
  const isRefused = error.status >= 400 && error.status < 500;
  const name = names[error.status] ?? (isRefused ? "errorRead" : "errorServer");
  return { name, detail: error.message ?? "" };
}

// The microphone

export async function startLive() {
  const time = new Date().toTimeString().slice(0, 5);
  const recording = { ...newRecording(text("liveName", { time }), { open: true, isLive: true, spoken: [] }), status: "live" };
  const { id } = recording;
  const levels = [];
  let realtime = null;
  let microphone;
  change({ live: { id, levels, stop: () => {} }, microphoneProblem: "" });
  try {
    microphone = await openMicrophone(
      (samples) => {
        levels.push(level(samples));
        realtime?.append(samples);
      },
      () => current().live?.stop(),
    );
  } catch (error) {
    change({ live: null, microphoneProblem: error instanceof MicrophoneError ? error.reason : "occupied" });
    return;
  }
  addRecordings([recording]);
  realtime = openRealtime({ model: current().model, terms: terms() }, liveText(id));
  const stop = async () => {
    change({ live: null });
    changeRecording(id, { status: "finishing" });
    const { file, duration, peaks } = await microphone.stop();
    changeRecording(id, { file, duration, url: URL.createObjectURL(file) });
    const isWhole = await realtime.finish();
    changeRecording(id, { spoken: [] });
    if (isWhole) {
      changeRecording(id, { status: "done", peaks });
      change({ announcement: text("done", { name: recording.name }) });
    } else {
      enqueue(id); // nothing that was said is lost
    }
  };
  change({ live: { id, levels, stop } });
}

// What becomes of the events of a live recognition
function liveText(id) {
  const spoken = new Map(); // what is not complete yet, by item, in the order in which it was said
  const show = () => changeRecording(id, { spoken: [...spoken.values()] });
  return {
    words: (item, settled, tentative) => {
      spoken.set(item, { settled, tentative });
      show();
    },
    completed: (item, { transcript, start, end, confidence, doubtful, words }) => {
      spoken.delete(item);
      show();
      if (!transcript) return;
      const segment = { id: item, start, end, text: transcript, confidence, doubtful, words };
      changeRecording(id, ({ segments }) => ({ segments: [...segments, segment] }));
    },
    lost: () => recordingOf(id)?.status === "live" && changeRecording(id, { note: { name: "socketLost" } }),
  };
}
