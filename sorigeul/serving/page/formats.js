// The text of a recording as txt, srt, vtt and json, as it stands in the page.

const LINE = 20; // characters of a line of a subtitle, which has two at most
const LONGEST = 7; // seconds of a subtitle
const SHORTEST = 1;

export const FORMATS = {
  txt: { type: "text/plain", write: txt },
  srt: { type: "application/x-subrip", write: srt },
  vtt: { type: "text/vtt", write: vtt },
  json: { type: "application/json", write: json },
};

function txt(recording) {
  return recording.segments.filter((segment) => segment.text).map((segment) => `${segment.text}\n`).join("");
}

function srt(recording) {
  return cues(recording.segments)
    .map((cue, index) => `${index + 1}\n${stamp(cue.start, ",")} --> ${stamp(cue.end, ",")}\n${cue.text}\n\n`)
    .join("");
}

function vtt(recording) {
  const escaped = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  const blocks = cues(recording.segments).map(
    (cue) => `${stamp(cue.start, ".")} --> ${stamp(cue.end, ".")}\n${escaped(cue.text)}\n\n`,
  );
  return `WEBVTT\n\n${blocks.join("")}`;
}

// The same names as in the JSON of `sorigeul transcribe`
function json(recording) {
  const { name, duration } = recording;
  const segments = recording.segments.map(
    ({ start, end, text, confidence, finished, doubtful, edited = false, words }) => ({
      start, end, text, confidence, finished, doubtful, edited, words,
    }),
  );
  const text = segments.map((segment) => segment.text).filter(Boolean).join(" ");
  return `${JSON.stringify({ name, text, language: "ko", duration, segments }, null, 2)}\n`;
}

// Subtitles: two lines at most, cut between words, none shorter than a second if there is room
function cues(segments) {
  const result = [];
  for (const segment of segments) {
    let cue = null;
    for (const word of segment.words) {
      const lines = cue && laidOut([...cue.words, word.word]);
      if (!cue || lines.length > 2 || word.end - cue.start > LONGEST) {
        cue = { start: word.start, words: [] };
        result.push(cue);
      }
      cue.words.push(word.word);
      cue.end = word.end;
    }
  }
  return result.map((cue, index) => {
    const room = result[index + 1]?.start ?? Infinity;
    const end = Math.min(Math.max(cue.end, cue.start + SHORTEST), Math.max(room, cue.end));
    return { start: cue.start, end, text: laidOut(cue.words).join("\n") };
  });
}

function laidOut(words) {
  const lines = [];
  for (const word of words) {
    const longer = `${lines.at(-1)} ${word}`;
    if (lines.length && longer.length <= LINE) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines;
}

function stamp(seconds, mark) {
  const milliseconds = Math.round(1000 * seconds);
  const padded = (number, width) => String(number).padStart(width, "0");
  const minutes = Math.floor(milliseconds / 60000);
  const time = [Math.floor(minutes / 60), minutes % 60, Math.floor(milliseconds / 1000) % 60];
  return `${time.map((number) => padded(number, 2)).join(":")}${mark}${padded(milliseconds % 1000, 3)}`;
}
