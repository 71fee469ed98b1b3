// Recognises in the background, one recording after the other, so that the page does not freeze.
// Takes { id, samples }; posts { id, segment } for each, then { id, done: true } or { id, error }.

import { Recognizer } from "./recognizer.js";

const loaded = Recognizer.load();
loaded.then(
  () => postMessage({ ready: true }),
  (error) => postMessage({ failed: String(error.message ?? error) }),
);

let last = loaded.catch(() => null);
addEventListener("message", ({ data: { id, samples } }) => {
  last = last.then(async () => {
    try {
      const recognizer = await loaded;
      for await (const segment of recognizer.transcribe(samples)) postMessage({ id, segment });
      postMessage({ id, done: true });
    } catch (error) {
      postMessage({ id, error: String(error.message ?? error) });
    }
  });
});
