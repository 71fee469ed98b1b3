// The page: record, drop files or try an example, and below it what became of each.

import { Card } from "./card.js";
import { html, Icon, render, useEffect, useRef, useState } from "./html.js";
import { addExample, addFiles, greet, startLive } from "./recordings.js";
import { change, current, terms, useStore } from "./store.js";
import { languageNow, setLanguage, text } from "./texts.js";

function App() {
  const state = useStore();
  const [language, choose] = useState(languageNow());
  const scheme = useScheme();
  const { recordings, live } = state;
  useEffect(() => {
    document.title = live ? `● ${text("live")} · 소리글` : "소리글";
  }, [live, language]);
  const chooseLanguage = (chosen) => {
    setLanguage(chosen);
    choose(chosen);
  };
  return html`
    <header class="top">
      <span class="brand"><img src=${new URL("icon.svg", import.meta.url)} alt="" width="26" height="26" />소리글</span>
      <${Languages} language=${language} onChoose=${chooseLanguage} />
    </header>
    <main>
      <${Start} state=${state} />
      <section class="recordings" aria-label=${text("recordings")}>
        ${recordings.map((recording) => html`<${Card} key=${recording.id} recording=${recording}
          live=${live?.id === recording.id ? live : null} language=${language} scheme=${scheme} />`)}
      </section>
    </main>
    <footer class="bottom">${text("privacy")}</footer>
    <p class="unseen" role="status">${state.announcement}</p>
    ${state.askForKey && html`<${KeyDialog} onKey=${state.askForKey} />`}
    <${DropZone} />
  `;
}

function Languages({ language, onChoose }) {
  const names = { ko: "한국어", en: "English" };
  return html`
    <div class="languages" role="group" aria-label=${text("language")}>
      ${Object.entries(names).map(([code, name]) => html`<button lang=${code} aria-pressed=${code === language}
        onClick=${() => onChoose(code)}>${name}</button>`)}
    </div>
  `;
}

function Start({ state }) {
  const { live, microphoneProblem, recordings } = state;
  const files = useRef();
  const onFiles = (event) => {
    addFiles(event.currentTarget.files);
    event.currentTarget.value = ""; // so that the same file can be chosen again
  };
  return html`
    <section class="start ${recordings.length ? "begun" : ""} ${live ? "live" : ""}">
      <h1>${text("title")}</h1>
      <p class="lead">${text("lead")}</p>
      <button class="record ${live ? "on" : ""}" onClick=${live ? live.stop : startLive}>
        <span class="disc">${live ? html`<i></i>` : html`<${Icon} name="microphone" />`}</span>
        ${text(live ? "stop" : "record")}
      </button>
      ${microphoneProblem && html`<p class="problem" role="alert">${text(microphoneProblem)}</p>`}
      <p class="others">
        <button class="plain" onClick=${() => files.current.click()}>${text("chooseFiles")}</button>
        <button class="plain" onClick=${addExample}>${text("example")}</button>
        <input ref=${files} type="file" multiple hidden accept="audio/*,video/*" onChange=${onFiles} />
      </p>
      <${Settings} state=${state} />
    </section>
  `;
}

function Settings({ state }) {
  const { models, model } = state;
  const count = terms().length;
  const chosen = [model, count > 0 && text("termsCount", { count })].filter(Boolean);
  return html`
    <details class="settings">
      <summary>${[text("settings"), ...chosen].join(" · ")}</summary>
      <label>${text("model")}
        <select value=${model} onChange=${(event) => change({ model: event.currentTarget.value })}>
          ${models.map((name) => html`<option value=${name}>${name}</option>`)}
        </select>
      </label>
      <label>${text("terms")}
        <textarea rows="3" aria-describedby="terms-hint" value=${state.terms}
          onInput=${(event) => change({ terms: event.currentTarget.value })}></textarea>
      </label>
      <p class="note" id="terms-hint">${text("termsHint")}</p>
    </details>
  `;
}

function KeyDialog({ onKey }) {
  const dialog = useRef();
  useEffect(() => dialog.current.showModal(), []);
  const onSubmit = (event) => {
    event.preventDefault();
    onKey(new FormData(event.currentTarget).get("key").trim());
  };
  return html`
    <dialog ref=${dialog} aria-labelledby="key-title" onCancel=${() => onKey("")}>
      <form onSubmit=${onSubmit}>
        <h2 id="key-title">${text("keyTitle")}</h2>
        <p class="note">${text("keyHint")}</p>
        <label>${text("keyLabel")}
          <input name="key" type="password" autocomplete="off" required autofocus />
        </label>
        <p class="buttons">
          <button type="button" class="small" onClick=${() => onKey("")}>${text("cancel")}</button>
          <button class="small strong">${text("enter")}</button>
        </p>
      </form>
    </dialog>
  `;
}

// The whole page takes files; it says so while some are held over it.
function DropZone() {
  const [isOver, setOver] = useState(false);
  useEffect(() => {
    const holdsFiles = (event) => event.dataTransfer?.types.includes("Files");
    const handlers = {
      dragover: (event) => {
        if (!holdsFiles(event)) return;
        event.preventDefault();
        setOver(true);
      },
      dragleave: (event) => !event.relatedTarget && setOver(false),
      drop: (event) => {
        if (!holdsFiles(event)) return;
        event.preventDefault();
        setOver(false);
        addFiles(event.dataTransfer.files);
      },
    };
    for (const [name, handler] of Object.entries(handlers)) addEventListener(name, handler);
    return () => Object.entries(handlers).forEach(([name, handler]) => removeEventListener(name, handler));
  }, []);
  return isOver && html`<div class="drop">${text("dropHere")}</div>`;
}

// Colours that are drawn, not styled, follow the scheme by this.
function useScheme() {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const [isDark, setDark] = useState(dark.matches);
  useEffect(() => {
    const tell = () => setDark(dark.matches);
    dark.addEventListener("change", tell);
    return () => dark.removeEventListener("change", tell);
  }, []);
  return isDark ? "dark" : "light";
}

addEventListener("beforeunload", (event) => {
  const { live, recordings } = current();
  const isEdited = recordings.some(({ segments }) => segments.some((segment) => segment.edited));
  if (live || isEdited) event.preventDefault(); // the browser asks whether to leave
});
render(html`<${App} />`, document.body);
greet();
