// Waveform and playback of a recording. Doubtful segments are hatched in the waveform.

import { html, Icon, useEffect, useRef, useState } from "./html.js";
import { clock, text } from "./texts.js";
import Regions from "./vendor/regions.mjs";
import WaveSurfer from "./vendor/wavesurfer.mjs";

const HEIGHT = 48; // pixels; the style sheet within wavesurfer has it, and the security policy that
const STEP = 2; // seconds of an arrow key

// `control.current` becomes { seek(seconds), play(seconds), toggle() }; `onTime(seconds, isPlaying)`
export function Player({ url, peaks, duration, doubtful, control, onTime, scheme }) {
  const container = useRef();
  const surfer = useRef(null);
  const regions = useRef(null);
  const [time, setTime] = useState(0); // whole seconds
  const listener = useRef();
  listener.current = onTime;
  const [isPlaying, setPlaying] = useState(false);
  const [isPlayable, setPlayable] = useState(true);

  useEffect(() => {
    const media = new Audio(url);
    media.addEventListener("error", () => setPlayable(false));
    regions.current = Regions.create();
    surfer.current = WaveSurfer.create({
      container: container.current,
      media,
      peaks: [peaks],
      duration,
      height: HEIGHT,
      barWidth: 2,
      barGap: 2,
      barRadius: 2,
      barMinHeight: 2,
      normalize: true,
      cursorWidth: 2,
      dragToSeek: true,
      plugins: [regions.current],
      ...colours(),
    });
    const player = surfer.current;
    const tell = (seconds) => {
      setTime(Math.floor(seconds));
      listener.current(seconds, player.isPlaying());
    };
    player.on("timeupdate", tell);
    player.on("seeking", tell);
    player.on("play", () => setPlaying(true));
    player.on("pause", () => {
      setPlaying(false);
      tell(player.getCurrentTime());
    });
    player.on("error", () => setPlayable(false));
    const play = () => player.play().catch(() => setPlayable(false));
    control.current = {
      seek: (seconds) => player.setTime(seconds),
      play: (seconds) => {
        player.setTime(seconds);
        play();
      },
      toggle: () => (player.isPlaying() ? player.pause() : play()),
    };
    return () => {
      media.pause();
      player.destroy();
      control.current = null;
    };
  }, [url, peaks]);

  useEffect(() => surfer.current.setOptions(colours()), [scheme]);

  useEffect(() => {
    const show = () => {
      regions.current.clearRegions();
      for (const { start, end } of doubtful) {
        regions.current.addRegion({ start, end, drag: false, resize: false, color: "transparent" });
      }
    };
    if (surfer.current.getDecodedData()) show();
    else surfer.current.once("ready", show);
  }, [doubtful, url, peaks]);

  const onKeyDown = (event) => {
    const seconds = surfer.current.getCurrentTime();
    const places = { ArrowLeft: seconds - STEP, ArrowRight: seconds + STEP, Home: 0, End: duration };
    if (event.key in places) control.current.seek(Math.max(0, Math.min(duration, places[event.key])));
    else if (event.key === " ") control.current.toggle();
    else return;
    event.preventDefault();
  };
  const position = { time: clock(time), duration: clock(duration) };
  return html`
    <div class="player">
      <button class="round" disabled=${!isPlayable} onClick=${() => control.current.toggle()}
        aria-label=${text(isPlaying ? "pause" : "play")}>
        <${Icon} name=${isPlaying ? "pause" : "play"} />
      </button>
      <div class="waveform" ref=${container} role="slider" tabindex="0" onKeyDown=${onKeyDown}
        aria-label=${text("position")} aria-valuemin="0" aria-valuemax=${Math.round(duration)}
        aria-valuenow=${time} aria-valuetext=${text("positionText", position)}></div>
      <span class="clock">${time ? `${position.time} / ${position.duration}` : position.duration}</span>
    </div>
    ${!isPlayable && html`<p class="note">${text("unplayable")}</p>`}
  `;
}

function colours() {
  const style = getComputedStyle(document.documentElement);
  const [waveColor, progressColor] = ["--wave", "--accent"].map((name) => style.getPropertyValue(name));
  return { waveColor, progressColor, cursorColor: progressColor };
}
