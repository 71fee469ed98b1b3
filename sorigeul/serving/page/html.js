// What every component is written with: `html` makes elements, and hooks keep their state.

import htm from "./vendor/htm.mjs";
import { Component, h } from "./vendor/preact.mjs";

export const html = htm.bind(h);
export { render } from "./vendor/preact.mjs";
export { useEffect, useLayoutEffect, useRef, useState } from "./vendor/hooks.mjs";

// The component, drawn anew only if what it is given has changed
export function memo(Inner) {
  return class extends Component {
    shouldComponentUpdate(next) {
      return Object.keys({ ...this.props, ...next }).some((name) => this.props[name] !== next[name]);
    }
    render() {
      return html`<${Inner} ...${this.props} />`;
    }
  };
}

const PATHS = {
  microphone: "M12 3a3 3 0 0 0-3 3v6a3 3 0 0 0 6 0V6a3 3 0 0 0-3-3zM5.5 11.5a6.5 6.5 0 0 0 13 0M12 18v3",
  play: "M8 5.2v13.6L19 12z",
  pause: "M8.5 5.5v13M15.5 5.5v13",
  pencil: "M4.5 19.5l1-4L16 5l3 3L8.5 18.5z",
  attention: "M4 19h16M5 15l3-1 2-4 3 3 2-7 4 4",
  close: "M6.5 6.5l11 11M17.5 6.5l-11 11",
  chevron: "M7 10l5 5 5-5",
};

// Icons are decoration: what a button does is in its text or its label.
export function Icon({ name }) {
  return html`<svg class="icon icon-${name}" viewBox="0 0 24 24" aria-hidden="true"><path d=${PATHS[name]} /></svg>`;
}
