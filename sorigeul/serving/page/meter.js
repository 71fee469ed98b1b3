// The level of the microphone, as bars that move to the left: the newest is at the right.

import { html, useEffect, useRef, useState } from "./html.js";
import { clock, text } from "./texts.js";

const WIDTH = 3; // pixels of a bar
const STEP = 6; // pixels from bar to bar
const FLOOR = 50; // decibels below full scale at which a bar has no height
const QUIET = 0.003; // amplitude below which nothing is heard
const PER_SECOND = 20; // levels

export function Meter({ levels }) {
  const canvas = useRef();
  const [seconds, setSeconds] = useState(0);
  useEffect(() => {
    let frame;
    const draw = () => {
      setSeconds(Math.floor(levels.length / PER_SECOND));
      if (canvas.current) drawBars(canvas.current, levels);
      frame = requestAnimationFrame(draw);
    };
    draw();
    return () => cancelAnimationFrame(frame);
  }, [levels]);
  const isQuiet = seconds >= 3 && Math.max(...levels.slice(-3 * PER_SECOND)) < QUIET;
  return html`
    <div class="player">
      <span class="listening" aria-hidden="true"></span>
      <canvas class="meter" ref=${canvas} aria-hidden="true"></canvas>
      <span class="clock">${clock(seconds)}</span>
    </div>
    ${isQuiet && html`<p class="problem" role="alert">${text("quiet")}</p>`}
  `;
}

function drawBars(canvas, levels) {
  const { clientWidth: width, clientHeight: height } = canvas;
  const scale = devicePixelRatio;
  if (canvas.width !== Math.round(width * scale)) canvas.width = Math.round(width * scale);
  if (canvas.height !== Math.round(height * scale)) canvas.height = Math.round(height * scale);
  const context = canvas.getContext("2d");
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  context.fillStyle = getComputedStyle(canvas).color;
  const count = Math.floor(width / STEP);
  levels.slice(-count).reverse().forEach((level, index) => {
    const loudness = Math.max(0, 1 + (20 * Math.log10(level + 1e-6)) / FLOOR);
    const bar = Math.max(WIDTH, loudness ** 2 * height);
    context.beginPath();
    context.roundRect(width - (index + 1) * STEP, (height - bar) / 2, WIDTH, bar, WIDTH / 2);
    context.fill();
  });
}
