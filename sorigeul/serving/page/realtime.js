// Live recognition, in OpenAI's Realtime transcription protocol.

import { address, apiKey } from "./api.js";
import { RATE } from "./microphone.js";

const PATIENCE = 20000; // milliseconds to wait for the last text

// `on.words(item, settled, tentative)`: the text of an item so far, of which the first part will not
// change; `on.completed(item, event)`: all of it, with times; `on.lost()`
export function openRealtime({ model, terms }, on) {
  const url = address("v1/realtime?intent=transcription");
  url.protocol = url.protocol.replace("http", "ws");
  const protocols = apiKey() ? ["realtime", `openai-insecure-api-key.${apiKey()}`] : ["realtime"];
  const socket = new WebSocket(url, protocols);
  const waiting = []; // what is said before the session is set up
  const settled = new Map(); // the text that will not change, by item; items without all of it
  let state = "opening"; // then open, perhaps ending; lost or ended
  let isCommitted = false;
  let wake = () => {};

  const send = (event) => socket.send(JSON.stringify(event));
  const update = () => send({ type: "session.update", session: settings(model, terms) });
  const append = (samples) => send({ type: "input_audio_buffer.append", audio: base64(samples) });
  const lose = () => {
    if (state !== "lost" && state !== "ended") on.lost();
    if (state !== "ended") state = "lost";
    wake();
  };
  const settle = (item) => {
    settled.delete(item);
    if (isCommitted && !settled.size) wake();
  };
  const handlers = {
    "session.created": update,
    "session.updated": () => {
      if (state === "ending") {
        isCommitted = true;
        settle("");
      } else {
        state = "open";
        for (const samples of waiting.splice(0)) append(samples);
      }
    },
    "input_audio_buffer.speech_started": ({ item_id: item }) => settled.set(item, ""),
    "sorigeul.transcription.provisional": ({ item_id: item, transcript }) => {
      const before = settled.get(item) ?? "";
      on.words(item, before, transcript.slice(before.length));
    },
    "conversation.item.input_audio_transcription.delta": ({ item_id: item, delta }) => {
      settled.set(item, (settled.get(item) ?? "") + delta);
      on.words(item, settled.get(item), "");
    },
    "conversation.item.input_audio_transcription.completed": (event) => {
      on.completed(event.item_id, event);
      settle(event.item_id);
    },
    "conversation.item.input_audio_transcription.failed": lose,
    error: ({ error }) => error.code !== "input_audio_buffer_commit_empty" && lose(),
  };
  socket.onmessage = ({ data }) => {
    const event = JSON.parse(data);
    handlers[event.type]?.(event);
  };
  socket.onclose = lose;

  return {
    append(samples) {
      if (state === "open") append(samples);
      else if (state === "opening") waiting.push(samples);
    },
    // Waits for the text of all that has been said; gives whether it came
    async finish() {
      if (state === "open") {
        state = "ending";
        send({ type: "input_audio_buffer.commit" });
        update(); // is answered after the commit, and so tells that no further item will come
        await new Promise((resolve) => {
          wake = resolve;
          setTimeout(resolve, PATIENCE);
        });
      }
      const isWhole = state === "ending" && isCommitted && !settled.size;
      state = "ended";
      socket.close();
      return isWhole;
    },
  };
}

function settings(model, terms) {
  return {
    type: "transcription",
    provisional: true,
    audio: {
      input: {
        format: { type: "audio/pcm", rate: RATE },
        transcription: { model, language: "ko", ...(terms.length && { keywords: terms }) },
        turn_detection: { type: "server_vad" },
      },
    },
  };
}

function base64(samples) {
  return btoa(String.fromCharCode(...new Uint8Array(samples.buffer)));
}
