// The text of a recording: segments, whose words are lit as they are spoken, and can be corrected.

import { Attention } from "./attention.js";
import { html, Icon, memo, useEffect, useLayoutEffect, useRef, useState } from "./html.js";
import { changeRecording } from "./store.js";
import { clock, text } from "./texts.js";
import { isLow, retime } from "./timing.js";

// `now`: { segment, word, isPlaying }, by their numbers, -1 for none; `control`: see Player
export function Transcript({ recording, now, canPlay, control, language, scheme }) {
  const { id, segments } = recording;
  return html`
    <ol class="segments">
      ${segments.map((segment, index) => {
        const isNow = index === now.segment;
        return html`<${Segment} key=${segment.id} id=${id} segment=${segment} isNow=${isNow}
          word=${isNow ? now.word : -1} follow=${isNow && now.isPlaying}
          canPlay=${canPlay} control=${control} language=${language} scheme=${scheme} />`;
      })}
    </ol>
  `;
}

const Segment = memo(({ id, segment, word, isNow, follow, canPlay, control, scheme }) => {
  const { start, words, doubtful, attention } = segment;
  const [isEditing, setEditing] = useState(false);
  const [showsAttention, setShowsAttention] = useState(false);
  const item = useRef();
  const paragraph = useRef();
  const time = clock(start);
  const low = words.filter(isLow).map((one) => one.word);

  useEffect(() => {
    if (follow) item.current.scrollIntoView({ block: "nearest" });
  }, [follow]);

  const closeEditor = () => {
    setEditing(false);
    requestAnimationFrame(() => paragraph.current?.focus());
  };
  const jump = (event) => {
    const place = event.target.closest(".word")?.dataset.word;
    if (place !== undefined) control.current?.seek(words[place].start);
  };
  const onKeyDown = (event) => {
    const next = { ArrowLeft: word - 1, ArrowRight: word + 1 }[event.key];
    if (next !== undefined) control.current?.seek(words[Math.max(0, Math.min(words.length - 1, next))]?.start ?? start);
    else if (event.key === " ") control.current?.toggle();
    else if (event.key === "Enter") setEditing(true);
    else return;
    event.preventDefault();
  };
  return html`
    <li class="segment ${isNow ? "now" : ""}" ref=${item}>
      <button class="time" disabled=${!canPlay} onClick=${() => control.current?.play(start)}
        aria-label=${text("playFrom", { time })}>${time}</button>
      ${isEditing
        ? html`<${Editor} id=${id} segment=${segment} onClose=${closeEditor} />`
        : html`<div class="said">
            <p class="words" ref=${paragraph} tabindex="0" onClick=${jump} onKeyDown=${onKeyDown}
              onDblClick=${() => setEditing(true)}>
              ${words.map((one, index) => html`${index ? " " : ""}<${Word} word=${one} index=${index} isNow=${index === word} />`)}
            </p>
            ${low.length > 0 && html`<span class="unseen">${text("lowWords", { words: low.join(", ") })}</span>`}
            ${doubtful && html`<span class="flag" title=${text("doubtfulTitle")}>${text("doubtful")}</span>`}
          </div>`}
      <span class="tools">
        <button class="tool" title=${text("edit")} aria-label=${text("editLabel", { time })}
          disabled=${isEditing} onClick=${() => setEditing(true)}><${Icon} name="pencil" /></button>
        ${attention && html`<button class="tool" aria-expanded=${showsAttention}
          title=${text(showsAttention ? "attentionHide" : "attention")}
          aria-label="${text("attention")} ${time}"
          onClick=${() => setShowsAttention(!showsAttention)}><${Icon} name="attention" /></button>`}
      </span>
      ${showsAttention && html`<${Attention} segment=${segment} scheme=${scheme} />`}
    </li>
  `;
});

function Word({ word, index, isNow }) {
  const values = { percent: Math.round(100 * word.confidence), time: clock(word.start) };
  return html`<span class="word ${isLow(word) ? "low" : ""} ${isNow ? "lit" : ""}" data-word=${index}
    title=${text(word.confidence === null ? "editedTitle" : "wordTitle", values)}>${word.word}</span>`;
}

// What is typed counts at once, so nothing is lost, and nothing moves, when one goes elsewhere.
function Editor({ id, segment, onClose }) {
  const area = useRef();
  const before = useRef(segment).current;
  useLayoutEffect(() => {
    area.current.focus();
    area.current.setSelectionRange(before.text.length, before.text.length);
    grow(area.current);
  }, []);
  const onInput = () => {
    grow(area.current);
    replaceSegment(id, corrected(before, area.current.value));
  };
  const cancel = () => {
    replaceSegment(id, before);
    onClose();
  };
  const onKeyDown = (event) => {
    if (event.isComposing) return; // Enter ends a Hangul syllable first
    if (event.key === "Enter") onClose();
    else if (event.key === "Escape") cancel();
    else return;
    event.preventDefault();
  };
  return html`
    <div class="editor">
      <textarea ref=${area} rows="1" aria-label=${text("editLabel", { time: clock(before.start) })}
        onKeyDown=${onKeyDown} onInput=${onInput}>${before.text}</textarea>
      <button class="small strong" onClick=${onClose}>${text("save")}</button>
      <button class="small" onClick=${cancel}>${text("cancel")}</button>
    </div>
  `;
}

function grow(area) {
  area.style.height = "auto";
  area.style.height = `${area.scrollHeight}px`;
}

// A text that a person has looked at and changed is no longer doubtful.
function corrected(segment, written) {
  const changed = written.trim().replace(/\s+/g, " ");
  if (changed === segment.text) return segment;
  const words = retime(segment.words, changed, segment.start, segment.end);
  return { ...segment, text: changed, words, doubtful: false, edited: true };
}

function replaceSegment(id, segment) {
  changeRecording(id, ({ segments }) => ({
    segments: segments.map((one) => (one.id === segment.id ? segment : one)),
  }));
}
