"use strict";

// What all reports share. A report's own script follows, and draws the two blocks of JSON in the
// page in its function `draw`. Strings become text nodes, never HTML.

const report = JSON.parse(document.getElementById("data").textContent);
const texts = JSON.parse(document.getElementById("texts").textContent);
const svgNamespace = document.getElementById("drawing").namespaceURI;
let language = (navigator.language || "").toLowerCase().startsWith("ko") ? "ko" : "en";

// Small tools

function text(name, values = {}) {
  return texts[language][name].replace(/\{(\w+)\}/g, (_, key) => values[key]);
}

// Making a format takes longer than using it a hundred times
const formats = new Map();

function number(value, digits = 0, least = digits) {
  const key = `${language} ${digits} ${least}`;
  if (!formats.has(key)) {
    const options = { minimumFractionDigits: least, maximumFractionDigits: digits };
    formats.set(key, new Intl.NumberFormat(language, options));
  }
  return formats.get(key).format(value);
}

function share(part, all) {
  return number((100 * part) / Math.max(all, 1), 1);
}

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children.flat(2).filter((child) => child !== null));
  return node;
}

function element(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

function shape(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(svgNamespace, tag), attributes, children);
}

function drawing(width, height, label, ...children) {
  const view = { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label };
  return shape("svg", view, ...children);
}

function label(x, y, content, attributes = {}) {
  return shape("text", { x, y, ...attributes }, content);
}

function line(x1, y1, x2, y2, kind) {
  return shape("line", { x1, y1, x2, y2, class: kind });
}

function figure(caption, ...children) {
  return element("figure", {}, element("figcaption", {}, caption), ...children);
}

function shortName(name, limit) {
  const characters = Array.from(name);
  return characters.length > limit ? characters.slice(0, limit - 1).join("") + "…" : name;
}

// Ticks of an axis from 0: a step of 1, 2 or 5 times a power of ten, about five of them
function ticks(highest) {
  const rough = Math.max(highest, 1e-6) / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough);
  const count = Math.ceil(highest / step - 1e-9);
  return Array.from({ length: Math.max(count, 1) + 1 }, (_, index) => index * step);
}

function tickText(value) {
  return number(value, 2, 0);
}

// Charts

// Upright bars; each has label, value, title, and perhaps interval
function barChart(bars, xTitle, yTitle, highest) {
  const [width, height, left, right, top, bottom] = [480, 264, 48, 10, 22, 50];
  const marks = ticks(highest ?? Math.max(...bars.map((bar) => bar.interval?.[1] ?? bar.value)));
  const scale = (height - top - bottom) / marks.at(-1);
  const y = (value) => height - bottom - Math.min(value, marks.at(-1)) * scale;
  const step = (width - left - right) / bars.length;
  const grid = marks.map((mark) => [
    line(left, y(mark), width - right, y(mark), "grid"),
    label(left - 7, y(mark) + 4, tickText(mark), { "text-anchor": "end" }),
  ]);
  const columns = bars.map((bar, index) => {
    const middle = left + (index + 0.5) * step;
    const half = Math.min(step * 0.36, 26);
    const size = { x: middle - half, y: y(bar.value), width: 2 * half };
    const column = shape(
      "rect",
      { ...size, height: height - bottom - y(bar.value), rx: 2, class: "bar" },
      shape("title", {}, bar.title),
    );
    const range = bar.interval
      ? line(middle, y(bar.interval[0]), middle, y(bar.interval[1]), "range")
      : null;
    const name = label(middle, height - bottom + 17, bar.label, { "text-anchor": "middle" });
    return [column, range, name];
  });
  return drawing(
    width,
    height,
    `${yTitle}; ${xTitle}`,
    grid,
    columns,
    label(left - 36, 12, yTitle),
    label((left + width - right) / 2, height - 8, xTitle, { "text-anchor": "middle" }),
  );
}

// Lying bars, for names
function nameChart(bars, xTitle) {
  const [width, left, right, top, row] = [480, 124, 54, 4, 20];
  const bottom = top + bars.length * row;
  const marks = ticks(Math.max(...bars.map((bar) => bar.interval?.[1] ?? bar.value)));
  const x = (value) => left + (value / marks.at(-1)) * (width - left - right);
  const grid = marks.map((mark) => [
    line(x(mark), top, x(mark), bottom, "grid"),
    label(x(mark), bottom + 16, tickText(mark), { "text-anchor": "middle" }),
  ]);
  const rows = bars.map((bar, index) => {
    const y = top + index * row;
    const middle = y + row / 2;
    return [
      label(left - 8, middle + 4, shortName(bar.label, 16), { "text-anchor": "end" }),
      shape(
        "rect",
        { x: left, y: y + 3, width: x(bar.value) - left, height: row - 6, rx: 2, class: "bar" },
        shape("title", {}, bar.title),
      ),
      bar.interval ? line(x(bar.interval[0]), middle, x(bar.interval[1]), middle, "range") : null,
      label(width - 4, middle + 4, number(bar.value, 1), { "text-anchor": "end", class: "strong" }),
    ];
  });
  const title = label((left + width - right) / 2, bottom + 34, xTitle, { "text-anchor": "middle" });
  return drawing(width, bottom + 40, xTitle, grid, rows, title);
}

// Sections

function section(name, ...children) {
  return element("section", { id: name }, element("h2", {}, text(`nav_${name}`)), ...children);
}

function languageSwitch() {
  const buttons = ["ko", "en"].map((code) => {
    const pressed = { type: "button", lang: code, "aria-pressed": String(code === language) };
    const button = element("button", pressed, texts[code].language);
    button.addEventListener("click", () => {
      language = code;
      draw();
      document.querySelector(`.languages [lang="${code}"]`).focus();
    });
    return button;
  });
  return element("div", { class: "languages" }, buttons);
}
