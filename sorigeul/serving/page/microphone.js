// The microphone: pieces of 16 bit mono at 24 kHz, with everything kept for a WAV file.

export const RATE = 24000;

// Why there is no microphone: `reason` is insecure, missing, refused or occupied
export class MicrophoneError extends Error {
  constructor(reason) {
    super(reason);
    this.reason = reason;
  }
}

export function microphoneIsBlocked() {
  return !navigator.mediaDevices?.getUserMedia; // as on plain http, except for localhost
}

const REASONS = { NotAllowedError: "refused", NotFoundError: "missing", OverconstrainedError: "missing" };

// `onPiece(samples)` for each 50 ms, an Int16Array; `onEnd()` if the device goes away
export async function openMicrophone(onPiece, onEnd) {
  if (microphoneIsBlocked()) throw new MicrophoneError("insecure");
  // A recogniser wants what was said, not what a browser makes of it for a telephone call.
  const audio = { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false };
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ audio });
  } catch (error) {
    throw new MicrophoneError(REASONS[error.name] ?? "occupied");
  }
  const context = new AudioContext();
  await context.resume();
  await context.audioWorklet.addModule(new URL("worklet.js", import.meta.url));
  const capture = new AudioWorkletNode(context, "capture", { numberOfOutputs: 0 });
  const pieces = [];
  const ended = new Promise((resolve) => {
    capture.port.onmessage = ({ data }) => {
      if (data === null) return resolve();
      pieces.push(data);
      onPiece(data);
    };
  });
  context.createMediaStreamSource(stream).connect(capture);
  stream.getAudioTracks()[0].addEventListener("ended", onEnd);
  return {
    // The recording as a WAV file, its seconds and the peaks of its waveform
    async stop() {
      capture.port.postMessage("stop");
      await ended;
      for (const track of stream.getTracks()) track.stop();
      await context.close();
      const samples = pieces.reduce((sum, piece) => sum + piece.length, 0);
      const file = new Blob([wavHeader(samples), ...pieces], { type: "audio/wav" });
      return { file, duration: samples / RATE, peaks: thinned(pieces.map(level), 2000) };
    },
  };
}

// The greatest amplitude of samples, 0 to 1
export function level(samples) {
  let greatest = 0;
  for (const sample of samples) greatest = Math.max(greatest, Math.abs(sample));
  return greatest / 32768;
}

function thinned(levels, most) {
  const step = Math.max(1, Math.ceil(levels.length / most));
  return Array.from({ length: Math.ceil(levels.length / step) }, (_, index) =>
    Math.max(...levels.slice(index * step, (index + 1) * step)),
  );
}

function wavHeader(samples) {
  const view = new DataView(new ArrayBuffer(44));
  const write = (offset, letters) => [...letters].forEach((letter, n) => view.setUint8(offset + n, letter.charCodeAt(0)));
  write(0, "RIFF");
  view.setUint32(4, 36 + 2 * samples, true);
  write(8, "WAVEfmt ");
  view.setUint32(16, 16, true); // bytes of what follows
  view.setUint16(20, 1, true); // PCM
  view.setUint16(22, 1, true); // mono
  view.setUint32(24, RATE, true);
  view.setUint32(28, 2 * RATE, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  write(36, "data");
  view.setUint32(40, 2 * samples, true);
  return view.buffer;
}
