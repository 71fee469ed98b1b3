// The state of the page: one object, never changed in place, and who wants to know of changes.
//
// A recording in it: { id, name, file, url, status, open, segments, duration, peaks, … }. Its status
// is live, finishing, waiting, uploading, recognizing, done or failed.

import { useEffect, useState } from "./html.js";

const listeners = new Set();
let state = {
  recordings: [], // the newest first
  models: [],
  model: "",
  terms: "",
  live: null, // while the microphone is on: { id, levels, stop }, with a level for each 50 ms
  microphoneProblem: "",
  askForKey: null, // called with the key, or with "" if there is none
  announcement: "", // what a screen reader says
};

export function current() {
  return state;
}

export function change(changes) {
  state = { ...state, ...changes };
  for (const listener of listeners) listener();
}

export function useStore() {
  const [, redraw] = useState(0);
  useEffect(() => {
    const listener = () => redraw((count) => count + 1);
    listeners.add(listener);
    return () => listeners.delete(listener);
  }, []);
  return state;
}

export function recordingOf(id) {
  return state.recordings.find((recording) => recording.id === id);
}

// `changes`: an object, or a function from the recording to one
export function changeRecording(id, changes) {
  const changed = (recording) => ({
    ...recording,
    ...(typeof changes === "function" ? changes(recording) : changes),
  });
  change({
    recordings: state.recordings.map((recording) => (recording.id === id ? changed(recording) : recording)),
  });
}

export function terms() {
  return state.terms.split(/[\n,、，]/).map((term) => term.trim()).filter(Boolean);
}
