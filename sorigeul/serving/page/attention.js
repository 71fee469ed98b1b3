// The attention of a segment: for each character (a row), how much the model listened when (across).

import { html, useEffect, useRef } from "./html.js";
import { text } from "./texts.js";

export function Attention({ segment, scheme }) {
  const { characters, frames } = segment.attention;
  const canvas = useRef();
  useEffect(() => draw(canvas.current, segment.attention), [segment.attention, scheme]);
  const seconds = (number) => `${number.toFixed(1)} s`;
  return html`
    <figure class="attention">
      <div class="picture">
        <ol aria-hidden="true">
          ${characters.map((character) => html`<li>${character === " " ? "␣" : character}</li>`)}
        </ol>
        <canvas ref=${canvas} width=${frames} height=${characters.length} role="img"
          aria-label=${text("attentionLabel")}></canvas>
        <p class="axis"><span>${seconds(segment.start)}</span><span>${seconds(segment.end)}</span></p>
      </div>
      <figcaption>${text("attentionCaption")}</figcaption>
    </figure>
  `;
}

function draw(canvas, { characters, frames, weights }) {
  const bytes = Uint8Array.from(atob(weights), (letter) => letter.charCodeAt(0));
  const context = canvas.getContext("2d");
  const ink = getComputedStyle(canvas).color.match(/\d+/g).slice(0, 3).map(Number); // rgb(1, 2, 3)
  const image = context.createImageData(frames, characters.length);
  for (let row = 0; row < characters.length; row++) {
    const weightsOfRow = bytes.subarray(row * frames, (row + 1) * frames);
    const greatest = Math.max(1, ...weightsOfRow);
    weightsOfRow.forEach((weight, frame) => {
      image.data.set([...ink, (255 * weight) / greatest], 4 * (row * frames + frame));
    });
  }
  context.putImageData(image, 0, 0);
}
