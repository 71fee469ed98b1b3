// The page: record, choose or drop files, and below it what was said in each.

import { Refusal, samplesOf } from "./decode.js";
import { SAMPLE_RATE } from "./numbers.js";
import { text, translate } from "./texts.js";

const find = (selector) => document.querySelector(selector);
const waiting = new Map(); // what becomes of messages of the worker, by the number of the recording
let recorder = null;

// The worker

// From a blob, since it then has the policy of this page: a worker from a file has only that of its
// server, and could send what it hears anywhere.
const start = new Blob([`import "${new URL("worker.js", import.meta.url)}";`], { type: "text/javascript" });
const worker = new Worker(URL.createObjectURL(start), { type: "module" });
let broken = false;
worker.onerror = ({ message }) => fail(message || "the worker did not start");
worker.onmessage = ({ data: { id, ready, failed, ...message } }) => {
  if (failed) fail(failed);
  else if (ready) document.documentElement.dataset.ready = "";
  else waiting.get(id)(message);
};

function fail(detail) {
  console.error(detail);
  broken = true;
  complain("broken");
  for (const receive of waiting.values()) receive({ error: detail });
}

function complain(name) {
  const problem = find(".start [role=alert]");
  Object.assign(problem, { hidden: !name, textContent: name && text(name) });
  problem.dataset.text = name;
  if (!name) delete problem.dataset.text;
}

// Recordings

async function add(file, name = file.name) {
  const card = element("article", "card");
  const heading = element("header", "", element("h2", "", name), element("p", "facts"));
  const progress = element("p", "note progress", saying("span", "", "loading"), saying("span", "", "recognizing"));
  const segments = element("ol", "");
  card.append(heading, segments, progress);
  find(".recordings").prepend(card);
  find(".start").classList.add("begun");
  try {
    const samples = await samplesOf(file);
    heading.lastChild.textContent = clock(samples.length / SAMPLE_RATE);
    await recognize(samples, (segment) => segment.text && segments.append(line(segment)));
    if (!segments.children.length) card.append(saying("p", "note", "nobody"));
    else if (navigator.clipboard) card.append(element("footer", "", copyButton(segments))); // not on plain http
    find("[role=status]").textContent = text("done", { name });
  } catch (error) {
    if (!(error instanceof Refusal)) console.error(error);
    card.append(saying("p", "problem", error.reason ?? "error"));
    find("[role=status]").textContent = `${name}: ${text("failed")}`;
  }
  progress.remove();
  card.classList.add("done");
}

function recognize(samples, onSegment) {
  const id = waiting.size;
  return new Promise((resolve, reject) => {
    if (broken) reject(new Refusal("broken"));
    waiting.set(id, ({ segment, error, done }) => {
      if (segment) onSegment(segment);
      else if (done) resolve();
      else reject(broken ? new Refusal("broken") : new Error(error));
    });
    worker.postMessage({ id, samples }, [samples.buffer]);
  });
}

function line({ start, text: said, doubtful }) {
  const words = element("span", "words", said);
  const spoken = element("p", "", words, ...(doubtful ? [" ", saying("span", "flag", "doubtful")] : []));
  return element("li", "segment", element("span", "time", clock(start)), spoken);
}

function copyButton(segments) {
  const button = saying("button", "small strong", "copy");
  button.onclick = async () => {
    const whole = Array.from(segments.querySelectorAll(".words"), (words) => words.textContent).join(" ");
    const outcome = await navigator.clipboard.writeText(whole).then(() => "copied", () => "copyFailed");
    button.textContent = find("[role=status]").textContent = text(outcome);
    setTimeout(() => (button.textContent = text("copy")), 2000);
  };
  return button;
}

function element(tag, classes, ...content) {
  const made = document.createElement(tag);
  made.className = classes;
  made.append(...content);
  return made;
}

// An element with the text of that name, in the language of the page
function saying(tag, classes, name) {
  const made = element(tag, classes, text(name));
  made.dataset.text = name;
  return made;
}

// 3 -> 0:03, 3723 -> 62:03
function clock(seconds) {
  return `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
}

// The microphone

async function record() {
  if (recorder) return recorder.stop();
  complain("");
  if (!navigator.mediaDevices) return complain("insecure");
  // A recogniser wants what was said, not what a browser makes of it for a telephone call.
  const audio = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ audio });
  } catch {
    return complain("microphone");
  }
  const pieces = [];
  recorder = new MediaRecorder(stream);
  recorder.ondataavailable = ({ data }) => pieces.push(data);
  recorder.onstop = () => {
    for (const track of stream.getTracks()) track.stop();
    recorder = null;
    showRecording(false);
    add(new Blob(pieces), text("recordingName", { time: new Date().toTimeString().slice(0, 5) }));
  };
  recorder.start();
  showRecording(true);
}

function showRecording(isOn) {
  find(".record").classList.toggle("on", isOn);
  find(".does").dataset.text = isOn ? "stop" : "record";
  translate();
}

// What people do

find(".record").onclick = record;
find(".choose").onclick = () => find("input").click();
find("input").onchange = ({ currentTarget }) => {
  for (const file of currentTarget.files) add(file);
  currentTarget.value = ""; // so that the same file can be chosen again
};
for (const button of document.querySelectorAll(".languages button")) {
  button.onclick = () => translate(button.lang);
}
addEventListener("dragover", (event) => {
  event.preventDefault();
  find(".drop").hidden = false;
});
addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) find(".drop").hidden = true;
});
addEventListener("drop", (event) => {
  event.preventDefault();
  find(".drop").hidden = true;
  for (const file of event.dataTransfer.files) add(file);
});
find(".unopened").remove();
translate();
