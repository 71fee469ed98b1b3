// One recording: what becomes of it, its sound, its text, and what can be done with that.

import { FORMATS } from "./formats.js";
import { html, Icon, memo, useRef, useState } from "./html.js";
import { Meter } from "./meter.js";
import { Player } from "./player.js";
import { enqueue, removeRecording } from "./recordings.js";
import { change, changeRecording } from "./store.js";
import { clock, text } from "./texts.js";
import { begun, isLow } from "./timing.js";
import { Transcript } from "./transcript.js";

const NOWHERE = { segment: -1, word: -1, isPlaying: false };
const UNDER_WAY = ["waiting", "uploading", "recognizing", "finishing"];

export const Card = memo(({ recording, live, language, scheme }) => {
  const { id, name, status, open, segments, duration, error } = recording;
  const [now, setNow] = useState(NOWHERE);
  const control = useRef(null);
  const doubtful = segments.filter((segment) => segment.doubtful);
  const places = useSame(doubtful.map(({ start, end }) => ({ start, end })));
  // Called for each frame; only another word, or state, draws the text anew.
  const onTime = (time, isPlaying) => {
    const segment = begun(segments, time);
    const word = segment < 0 ? -1 : begun(segments[segment].words, time);
    const isSame = now.segment === segment && now.word === word && now.isPlaying === isPlaying;
    if (!isSame) setNow({ segment, word, isPlaying });
  };
  const isDone = status === "done";
  const facts = [
    duration > 0 && !(open && isDone) && clock(duration),
    isDone && doubtful.length > 0 && text("doubtfulCount", { count: doubtful.length }),
    UNDER_WAY.includes(status) && progressText(recording),
    status === "failed" && text("failed"),
    status === "live" && text("live"),
  ].filter(Boolean);
  const heading = `name-${id}`;
  return html`
    <article class="card ${status}" aria-labelledby=${heading}>
      <header>
        <h2 id=${heading}>
          <button aria-expanded=${open} onClick=${() => changeRecording(id, { open: !open })}>
            <${Icon} name="chevron" /><span class="name">${name}</span>
          </button>
        </h2>
        <span class="facts">${facts.join(" · ")}</span>
        ${status !== "live" && status !== "finishing" && html`<button class="tool" onClick=${() => removeRecording(id)}
          aria-label=${text("removeName", { name })} title=${text("remove")}><${Icon} name="close" /></button>`}
      </header>
      ${UNDER_WAY.includes(status) && html`<${Progress} recording=${recording} />`}
      ${!open && html`<p class="preview">
        ${error ? text(error.name) : segments.slice(0, 8).map((segment) => segment.text).join(" ")}
      </p>`}
      ${open && html`
        ${live && html`<${Meter} levels=${live.levels} />`}
        ${recording.note?.name === "socketLost" && html`<p class="note" role="alert">${text("socketLost")}</p>`}
        ${isDone && html`<${Player} url=${recording.url} peaks=${recording.peaks} duration=${duration}
          doubtful=${places} control=${control} scheme=${scheme} onTime=${onTime} />`}
        <div class="text" role=${live ? "log" : undefined} aria-live=${live ? "polite" : undefined}>
          <${Transcript} recording=${recording} now=${now} control=${control} language=${language} scheme=${scheme} canPlay=${isDone} />
        </div>
        ${(status === "live" || status === "finishing") && html`<${Spoken} recording=${recording} />`}
        ${isDone && segments.length === 0 && html`<p class="note">${text("nobody")}</p>`}
        ${isDone && segments.length > 0 && html`<${Legend} recording=${recording} doubtful=${doubtful} />`}
        ${isDone && segments.length > 0 && html`<p class="keys" aria-hidden="true">${text("keys")}</p>`}
        ${error && html`<p class="problem" role="alert">${text(error.name)}
          ${error.detail && html`<small lang="en">${error.detail}</small>`}</p>`}
        ${(isDone || status === "failed") && html`<${Actions} recording=${recording} />`}
      `}
    </article>
  `;
});

// The value itself as long as its content is the same
function useSame(value) {
  const kept = useRef(value);
  if (JSON.stringify(kept.current) !== JSON.stringify(value)) kept.current = value;
  return kept.current;
}

// What is being said: the part that may still change is set apart, and a screen reader waits for it.
function Spoken({ recording }) {
  const { spoken, segments, status, note } = recording;
  if (!spoken.length) return status === "live" && !note && !segments.length && html`<p class="note">${text("liveEmpty")}</p>`;
  return html`
    <p class="spoken" aria-hidden="true">
      ${spoken.map(({ settled, tentative }) => html`${settled}<em>${tentative}</em> `)}
      ${spoken.some(({ tentative }) => tentative) && html`<small>${text("provisional")}</small>`}
    </p>
  `;
}

function progressText({ status, note, share = 0, segments, duration }) {
  if (note?.name === "busy") return text("busy", note);
  const heard = segments.length && duration ? Math.min(1, segments.at(-1).end / duration) : 0;
  const percent = Math.floor(100 * (status === "uploading" ? share : heard));
  return text(status === "recognizing" && heard ? "recognizingShare" : status, { percent });
}

function Progress({ recording }) {
  const { name, status, share, segments, duration } = recording;
  const heard = segments.length && duration ? segments.at(-1).end / duration : undefined;
  const value = status === "uploading" ? share : status === "recognizing" ? heard : undefined;
  return html`<progress aria-label="${name}: ${text(status)}" max="1" value=${value}></progress>`;
}

function Legend({ recording, doubtful }) {
  const hasLow = recording.segments.some((segment) => segment.words.some(isLow));
  if (!hasLow && !doubtful.length) return null;
  return html`
    <p class="legend">
      ${hasLow && html`<span><span class="low">${text("legendLow")}</span> ${text("legendLowMeaning")}</span>`}
      ${doubtful.length > 0 && html`<span><span class="flag">${text("doubtful")}</span> ${text("legendDoubtfulMeaning")}</span>`}
    </p>
  `;
}

function Actions({ recording }) {
  const { id, name, segments, file, isLive } = recording;
  const stem = name.replace(/\.\w{1,5}$/, "");
  const again = () => {
    if (!segments.some((segment) => segment.edited) || confirm(text("againAsk"))) enqueue(id);
  };
  return html`
    <footer>
      ${segments.length > 0 && html`<${CopyButton} recording=${recording} />`}
      ${(segments.length > 0 || isLive) && html`
        <span class="downloads" role="group" aria-label=${text("download")}>
          <span aria-hidden="true">${text("download")}</span>
          ${segments.length > 0 && Object.entries(FORMATS).map(([format, { type, write }]) => html`
            <button class="small" aria-label=${text("downloadAs", { format })}
              onClick=${() => save(new Blob([write(recording)], { type }), `${stem}.${format}`)}>${format}</button>`)}
          ${isLive && html`<button class="small" aria-label=${text("downloadAs", { format: "wav" })}
            onClick=${() => save(file, `${stem}.wav`)}>${text("sound")}</button>`}
        </span>
      `}
      <button class="small again" onClick=${again}>${text(recording.error ? "retry" : "again")}</button>
    </footer>
  `;
}

function CopyButton({ recording }) {
  const [told, setTold] = useState("copy");
  const copy = async () => {
    const outcome = (await copied(FORMATS.txt.write(recording))) ? "copied" : "copyFailed";
    setTold(outcome);
    change({ announcement: text(outcome) });
    setTimeout(() => setTold("copy"), 2000);
  };
  return html`<button class="small strong" onClick=${copy}>${text(told)}</button>`;
}

// On plain http a browser has no clipboard, but knows an old command.
async function copied(content) {
  if (navigator.clipboard) return navigator.clipboard.writeText(content).then(() => true, () => false);
  const area = document.createElement("textarea");
  area.value = content;
  document.body.append(area);
  area.select();
  const worked = document.execCommand("copy");
  area.remove();
  return worked;
}

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}
