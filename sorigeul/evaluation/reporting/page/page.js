// The report of an evaluation.

function groupBars(groups, digits) {
  return groups.map((group) => {
    const [low, high] = [number(group.low, digits), number(group.high, digits)];
    const name = group.name || (low === high ? low : `${low}–${high}`);
    const around = group.interval?.map((value) => number(Math.max(value, 0), 1));
    return {
      label: name,
      value: group.rate,
      interval: group.interval,
      title: text("group_title", {
        label: name,
        rate: number(group.rate, 1),
        utterances: number(group.utterances),
        interval: around ? text("group_interval", { low: around[0], high: around[1] }) : "",
      }),
    };
  });
}

function reliabilityChart(bins) {
  const [size, left, top, bottom] = [400, 46, 12, 46];
  const edge = size - left - 14;
  const x = (value) => left + value * edge;
  const y = (value) => top + (1 - value) * edge;
  const grid = [0, 0.2, 0.4, 0.6, 0.8, 1].map((mark) => [
    line(x(0), y(mark), x(1), y(mark), "grid"),
    line(x(mark), y(0), x(mark), y(1), "grid"),
    label(left - 7, y(mark) + 4, number(100 * mark), { "text-anchor": "end" }),
    label(x(mark), y(0) + 17, number(100 * mark), { "text-anchor": "middle" }),
  ]);
  const points = bins.map((bin) => `${x(bin.confidence)},${y(bin.correct)}`).join(" ");
  const dots = bins.map((bin) => {
    const title = text("reliability_dot", {
      confidence: number(100 * bin.confidence, 1),
      correct: number(100 * bin.correct, 1),
      n: number(bin.count),
    });
    const place = { cx: x(bin.confidence), cy: y(bin.correct), r: 4.5, class: "dot" };
    return shape("circle", place, shape("title", {}, title));
  });
  const yTitle = text("axis_correct");
  return drawing(
    size,
    top + edge + bottom,
    text("figure_reliability"),
    grid,
    line(x(0), y(0), x(1), y(1), "diagonal"),
    shape("polyline", { points, class: "curve" }),
    dots,
    label(13, y(0.5), yTitle, { "text-anchor": "middle", transform: `rotate(-90 13 ${y(0.5)})` }),
    label(x(0.5), y(0) + 38, text("axis_confidence"), { "text-anchor": "middle" }),
  );
}

function attentionPicture(attention, audio) {
  const [width, left, right, top] = [900, 30, 8, 4];
  const rows = attention.characters.length;
  const row = Math.max(8, Math.min(17, 320 / rows));
  const bottom = top + rows * row;
  const x = (seconds) => left + (seconds / attention.seconds) * (width - left - right);
  const size = { x: left, y: top, width: x(attention.seconds) - left, height: bottom - top };
  const picture = { href: attention.image, preserveAspectRatio: "none", class: "attention" };
  const seconds = ticks(attention.seconds).filter((mark) => mark <= attention.seconds);
  const playhead = line(left, top, left, bottom, "playhead");
  audio?.addEventListener("timeupdate", () => {
    const place = x(Math.min(audio.currentTime, attention.seconds));
    playhead.setAttribute("x1", place);
    playhead.setAttribute("x2", place);
  });
  return drawing(
    width,
    bottom + 36,
    text("attention"),
    shape("rect", { ...size, class: "plate" }),
    shape("image", { ...size, ...picture }),
    attention.characters.map((character, index) =>
      label(left - 8, top + (index + 0.5) * row + 4, character, {
        "text-anchor": "end",
        "font-size": Math.min(13, row),
        class: "strong",
      }),
    ),
    seconds.map((mark) => [
      line(x(mark), bottom, x(mark), bottom + 4, "range"),
      label(x(mark), bottom + 17, tickText(mark), { "text-anchor": "middle" }),
    ]),
    playhead,
    label((left + width) / 2, bottom + 32, text("axis_time"), { "text-anchor": "middle" }),
  );
}

function letterName(letter) {
  return letter || text("none");
}

// The letters of one position: squares, what the one under the pointer says, and a list
function letterFigure({ position, letters, counts }) {
  const columns = letters.map((_, index) => counts.reduce((sum, row) => sum + row[index], 0));
  const totals = counts.map((row) => row.reduce((sum, count) => sum + count, 0));
  const used = letters.map((_, index) => index).filter((i) => totals[i] || columns[i]);
  const errors = used
    .flatMap((said) => used.map((heard) => ({ said, heard, count: counts[said][heard] })))
    .filter(({ said, heard, count }) => said !== heard && count)
    .sort((a, b) => b.count - a.count);
  const all = totals.reduce((sum, count) => sum + count, 0);
  const wrong = errors.reduce((sum, error) => sum + error.count, 0);
  const hint = text("letter_hint", { n: number(wrong), all: number(all), share: share(wrong, all) });
  const caption = text(position);
  if (!errors.length) return figure(caption, element("p", { class: "note" }, text("nothing_wrong")));

  const readout = element("p", { class: "readout" }, hint);
  const highest = Math.max(...errors.map(({ said, count }) => count / totals[said]));
  const [cell, margin] = [18, 24];
  const size = margin + cell * used.length + 2;
  const place = (index) => margin + index * cell;
  const lattice = [...used, null].map((_, index) => [
    line(place(0), place(index), place(used.length), place(index), "grid"),
    line(place(index), place(0), place(index), place(used.length), "grid"),
  ]);
  const squares = used.flatMap((said, row) =>
    used.map((heard, column) => {
      const count = counts[said][heard];
      if (!count) return null;
      const part = count / totals[said];
      const right = said === heard;
      const strength = right ? 0.12 + 0.3 * part : 0.2 + 0.8 * Math.sqrt(part / highest);
      const square = shape("rect", {
        x: place(column) + 1,
        y: place(row) + 1,
        width: cell - 2,
        height: cell - 2,
        rx: 2,
        class: right ? "right" : "confused",
        "fill-opacity": strength.toFixed(3),
      });
      square.addEventListener("pointerenter", () => {
        readout.textContent = text("letter_cell", {
          said: letterName(letters[said]),
          heard: letterName(letters[heard]),
          n: number(count),
          all: number(totals[said]),
          share: share(count, totals[said]),
        });
      });
      return square;
    }),
  );
  const names = used.map((letter, index) => {
    const middle = place(index + 0.5);
    const name = letters[letter] || "–";
    return [
      label(middle, margin - 7, name, { "text-anchor": "middle", class: "strong" }),
      label(margin - 7, middle + 4, name, { "text-anchor": "end", class: "strong" }),
    ];
  });
  const map = drawing(size, size, caption, lattice, squares, names);
  map.addEventListener("pointerleave", () => (readout.textContent = hint));
  map.style.maxWidth = `${1.25 * size}px`;
  const list = errors.slice(0, 10).map(({ said, heard, count }) =>
    confusion(letters[said], letters[heard], count, totals[said]),
  );
  return figure(caption, map, readout, element("ol", { class: "confusions" }, list));
}

function confusion(said, heard, count, all) {
  const rate = all ? ` (${share(count, all)} %)` : "";
  return element(
    "li",
    {},
    element("span", { class: "pair" }, `${said || "–"} → ${heard || "–"}`),
    element("span", { class: "number" }, `${number(count)}${rate}`),
  );
}

// Sections

function duration(seconds) {
  if (seconds >= 3600) return text("hours", { n: number(seconds / 3600, 1) });
  return text("minutes", { n: number(seconds / 60, 1) });
}

function facts() {
  const [first] = report.systems;
  const scores = first.scores[report.headline];
  const small = (content) => (content ? element("small", {}, ` ${content}`) : null);
  const model = report.systems.map((system) =>
    element(
      "dd",
      {},
      system.name,
      small([
        system.trained ? text("trained", { day: system.trained }) : "",
        report.systems.length > 1 && system.rtf !== null ? text("rtf", { rtf: number(system.rtf, 3) }) : "",
      ].filter(Boolean).join(", ")),
    ),
  );
  const amount = [
    report.seconds ? text("amount", { hours: duration(report.seconds) }) : "",
    report.speakers ? text("speakers", { n: number(report.speakers) }) : "",
  ];
  const split = report.data.split ? text("split", { split: report.data.split }) : "";
  const rows = [
    [text(report.systems.length > 1 ? "models" : "model"), model],
    [text("data"), element("dd", {}, report.data.name, small(split))],
    [
      text("utterances"),
      element("dd", {}, number(scores.utterances), small(amount.filter(Boolean).join(", "))),
    ],
    [text("normalizer"), element("dd", {}, scores.normalizer)],
  ];
  if (report.systems.length === 1 && first.rtf !== null) {
    rows.push([text("speed"), element("dd", {}, text("rtf", { rtf: number(first.rtf, 3) }))]);
  }
  return element(
    "dl",
    { class: "facts" },
    rows.map(([name, value]) => element("div", {}, element("dt", {}, name), value)),
  );
}

function policyOf(name) {
  return report.policies.find((policy) => policy.name === name);
}

// Rates that a policy without spaces repeats under another name
function repeats(policy, rate) {
  return !policy.spaces && (rate === "cer" || rate === "wer");
}

function interval(score, rate, name = "interval") {
  const around = score.intervals[rate];
  if (!around) return "";
  return text(name, { low: number(around[0], 2), high: number(around[1], 2) });
}

function scoresSection() {
  const [first] = report.systems;
  const headline = policyOf(report.headline);
  const best = first.scores[report.headline];
  const shown = headline.spaces ? ["crr", "cer", "wer", "jer"] : ["crr", "cer_no_space", "swer", "jer"];
  const tiles = shown.map((rate) =>
    element(
      "div",
      { class: "tile" },
      element("div", { class: "label" }, text(rate)),
      element("div", { class: "value" }, number(best[rate], 2), element("small", {}, " %")),
      element("div", { class: "note" }, interval(best, rate)),
    ),
  );
  const cells = (rate) =>
    report.policies.flatMap((policy) =>
      report.systems.map((system) => {
        const score = system.scores[policy.name];
        const kind = policy === headline && system === first ? "first" : "other";
        if (repeats(policy, rate)) return element("td", { class: kind });
        const around = interval(score, rate, "range");
        const small = around ? element("small", {}, around) : null;
        return element("td", { class: kind }, number(score[rate], 2), small);
      }),
    );
  const several = report.systems.length > 1;
  const heading = element(
    "tr",
    {},
    element("th", {}, text("rate_heading")),
    report.policies.map((policy) =>
      element("th", { colspan: report.systems.length }, policy.name),
    ),
  );
  const names = element(
    "tr",
    {},
    element("th", {}),
    report.policies.flatMap(() => report.systems.map((one) => element("th", {}, one.name))),
  );
  const table = element(
    "table",
    {},
    element("thead", {}, heading, several ? names : null),
    element(
      "tbody",
      {},
      report.rates.map((rate) => element("tr", {}, element("th", {}, text(rate)), cells(rate))),
    ),
  );
  const counted = {
    policy: report.headline,
    substitutions: number(best.substitutions),
    insertions: number(best.insertions),
    deletions: number(best.deletions),
    characters: number(best.reference_characters_no_space),
    words: number(best.reference_words),
  };
  const units = { units: number(report.resampled.units) };
  const policies = report.policies.map((policy) =>
    element("li", {}, element("b", {}, policy.name), ` ${text(`policy_${policy.kind}`)}`),
  );
  return section(
    "scores",
    element("p", { class: "note" }, text("by_policy", { policy: report.headline })),
    element("div", { class: "tiles" }, tiles),
    comparisons(),
    element("div", { class: "scroll" }, table),
    element("ul", { class: "policies" }, policies),
    element("p", { class: "note" }, text("edits", counted)),
    element("p", { class: "note" }, text(`about_intervals_${report.resampled.unit}`, units)),
  );
}

function comparisons() {
  if (!report.comparisons.length) return null;
  const [first, ...others] = report.systems.map((system) => system.name);
  const sentences = report.comparisons.flatMap((comparison, index) =>
    ["crr", "wer"].map((rate) => {
      const { difference, interval, p } = comparison[rate];
      const name = rate.toUpperCase();
      if (!difference) return text("equal", { rate: name, first, second: others[index] });
      const secondWins = difference > 0 === (rate === "crr");
      const [low, high] = difference > 0 ? interval : interval.map((end) => -end).reverse();
      const verdict = p < report.significant ? "no_chance" : "chance";
      return text("better", {
        rate: name,
        winner: secondWins ? others[index] : first,
        loser: secondWins ? first : others[index],
        points: number(Math.abs(difference), 2),
        low: number(low, 2),
        high: number(high, 2),
        verdict: text(verdict, { p: p < 0.001 ? "< 0.001" : `= ${number(p, 3)}` }),
      });
    }),
  );
  return [
    element("h3", {}, text("compared")),
    element("ul", {}, sentences.map((sentence) => element("li", {}, sentence))),
  ];
}

function whereSection() {
  const edges = report.histogram.map(([edge]) => edge);
  const bars = report.histogram.map(([edge, count], index) => ({
    label: index === 0 ? "0" : index === edges.length - 1 ? `>${edges[index - 1]}` : `≤${edge}`,
    value: count,
    title: text("histogram_bar", { n: number(count) }),
  }));
  const figures = [
    figure(text("figure_histogram"), barChart(bars, text("axis_rate"), text("axis_count"))),
  ];
  for (const [name, digits] of [["length", 0], ["speaking_rate", 1], ["signal_to_noise", 0]]) {
    const groups = report.groups[name];
    if (!groups.length) continue;
    const chart = barChart(groupBars(groups, digits), text(`axis_${name}`), text("error_rate"));
    figures.push(figure(text(`figure_${name}`), chart));
  }
  const speakers = report.groups.speaker;
  if (speakers.length > 1) {
    const some = speakers.length < report.speakers;
    const numbers = { shown: number(speakers.length), all: number(report.speakers) };
    const whose = text(some ? "axis_speaker_some" : "axis_speaker_all", numbers);
    const chart = nameChart(groupBars(speakers, 0), `${text("error_rate")}, ${whose}`);
    figures.push(figure(text("figure_speaker"), chart));
  }
  const several = report.systems.length > 1;
  return section(
    "where",
    several ? element("p", {}, text("of_first", { name: report.systems[0].name })) : null,
    element("p", { class: "note" }, text("where_intro", { policy: report.headline })),
    element("div", { class: "figures" }, figures),
  );
}

// Stretches of one kind of edit to words of columns, each what was said above what was recognised.
// What is equal is as wide above as below, so that it needs one column only.
function aligned(runs) {
  const words = [element("span", { class: "word" })];
  for (const [tag, said, heard] of runs) {
    for (const [top, bottom] of columns(said, heard)) {
      const shown = [top, bottom].map((part) => element("span", {}, part.replace(" ", "\u00a0")));
      words.at(-1).append(element("span", { class: `cell ${tag}` }, shown));
      if (top === " " || bottom === " ") words.push(element("span", { class: "word" }));
    }
  }
  return element("div", { class: "aligned" }, words);
}

function columns(said, heard) {
  const parts = said.match(/ |[^ ]+/g) ?? [];
  if (said === heard) return parts.map((part) => [part, part]);
  const [above, below] = [Array.from(said), Array.from(heard)];
  const count = Math.max(above.length, below.length);
  return Array.from({ length: count }, (_, place) => [above[place] ?? "", below[place] ?? ""]);
}

function errorsOf({ errors, length }) {
  const name = errors === 0 ? "no_errors_of" : errors === 1 ? "one_error_of" : "errors_of";
  return text(name, { errors: number(errors), length: number(length) });
}

function utteranceCard(one, open) {
  const about = [
    one.speaker,
    one.seconds === null ? "" : text("seconds", { n: number(one.seconds, 1) }),
    one.signal_to_noise === null ? "" : text("decibels", { n: number(one.signal_to_noise) }),
  ];
  const audio = one.clip
    ? element("audio", { controls: "", preload: "none", src: one.clip, "aria-label": one.id })
    : null;
  const alignments = one.runs.map((runs, index) => [
    one.runs.length > 1
      ? element("div", { class: "system" }, report.systems[index].name)
      : null,
    element(
      "div",
      { class: "texts" },
      element("div", { class: "labels" }, `${text("said")}\n${text("heard")}`),
      aligned(runs),
    ),
  ]);
  const note = one.unread
    ? text("unread_one")
    : one.cut_off
      ? text("cut_off", { n: number(report.utterances.clip_seconds) })
      : "";
  return element(
    "article",
    { class: "card" },
    element(
      "header",
      {},
      element("b", {}, one.rate === null ? text("no_rate") : `${number(one.rate, 1)} %`),
      element("span", {}, errorsOf(one)),
      element("span", { class: "id" }, one.id),
      about.filter(Boolean).map((fact) => element("span", {}, fact)),
    ),
    alignments,
    audio,
    note ? element("p", { class: "note" }, note) : null,
    one.attention ? attentionDetails(one.attention, audio, open) : null,
  );
}

// The picture is drawn when it is opened
function attentionDetails(attention, audio, open) {
  const details = element("details", {}, element("summary", {}, text("attention")));
  details.addEventListener(
    "toggle",
    () => {
      const note = element("p", { class: "note" }, text("attention_note"));
      details.append(note, attentionPicture(attention, audio));
    },
    { once: true },
  );
  details.open = open;
  return details;
}

function utterancesSection() {
  const { shown, worst, random } = report.utterances;
  const legend = ["replace", "insert", "delete"].map((tag) =>
    element("span", {}, element("span", { class: `mark ${tag}` }, "가"), text(tag)),
  );
  const list = (name, rows, note, open) => [
    element("h3", {}, text(name)),
    element("p", { class: "note" }, note),
    rows.map((row, index) => utteranceCard(shown[row], open && index === 0)),
  ];
  const all = report.systems[0].scores[report.headline].utterances;
  const numbers = { n: number(random.length), all: number(all) };
  return section(
    "utterances",
    element("p", { class: "note" }, text("utterances_intro")),
    element("div", { class: "legend" }, legend),
    worst.length ? list("worst", worst, text("worst_note", { n: number(worst.length) }), true) : null,
    list("random", random, text("random_note", numbers), false),
  );
}

function confusionsSection() {
  const { characters, letters } = report.confusions;
  const rows = characters.map((one) =>
    confusion(one.said, one.heard, one.count, one.said_in_all),
  );
  if (!rows.length) return section("confusions", element("p", {}, text("nothing_wrong")));
  return section(
    "confusions",
    element("h3", {}, text("syllables")),
    element("p", { class: "note" }, text("syllables_note")),
    element("ol", { class: "confusions" }, rows),
    element("h3", {}, text("letters")),
    element("p", { class: "note" }, text("letters_note")),
    element("div", { class: "letters" }, letters.map(letterFigure)),
  );
}

function wordsSection() {
  if (!report.words.length) return null;
  const rows = report.words.map(({ word, wrong, count, heard }) =>
    element(
      "tr",
      {},
      element("td", { class: "text" }, word),
      element("td", { class: "text" }, text("of_said", { wrong: number(wrong), count: number(count) })),
      element(
        "td",
        { class: "text" },
        heard.map(([other, times]) => `${other || "–"}${times > 1 ? ` ×${times}` : ""}`).join(", "),
      ),
    ),
  );
  const heading = ["word", "wrong", "heard_as"].map((name) =>
    element("th", { class: "text" }, text(name)),
  );
  return section(
    "words",
    element("p", { class: "note" }, text("words_intro", { policy: report.headline })),
    element(
      "div",
      { class: "scroll" },
      element(
        "table",
        {},
        element("thead", {}, element("tr", {}, heading)),
        element("tbody", {}, rows),
      ),
    ),
  );
}

function confidenceSection() {
  const confidence = report.confidence;
  if (!confidence) return null;
  const rows = [
    ["ece", text("points", { n: number(100 * confidence.error, 1) })],
    ["mean_confidence", `${number(100 * confidence.mean, 1)} %`],
    ["correct_words", `${number(100 * confidence.correct, 1)} %`],
    ["number_of_words", number(confidence.words)],
  ];
  return section(
    "confidence",
    element("p", { class: "note" }, text("confidence_intro")),
    element(
      "div",
      { class: "reliability" },
      figure(text("figure_reliability"), reliabilityChart(confidence.bins)),
      element(
        "div",
        {},
        element(
          "table",
          {},
          rows.map(([name, value]) =>
            element("tr", {}, element("th", {}, text(name)), element("td", {}, value)),
          ),
        ),
        element(
          "p",
          { class: "note" },
          text(confidence.calibrated ? "is_calibrated" : "not_calibrated"),
        ),
      ),
    ),
  );
}

function draw() {
  document.documentElement.lang = language;
  document.title = `${text("title")} ${report.systems[0].name}`;
  const sections = [
    scoresSection(),
    whereSection(),
    utterancesSection(),
    confusionsSection(),
    wordsSection(),
    confidenceSection(),
  ].filter((one) => one !== null);
  const links = sections.map(({ id }) => element("a", { href: `#${id}` }, text(`nav_${id}`)));
  const unread = report.systems[0].unread;
  document.querySelector("main").replaceChildren(
    element("div", { class: "top" }, element("h1", {}, text("title")), languageSwitch()),
    facts(),
    ...(unread ? [element("div", { class: "warning" }, text("unread", { n: number(unread) }))] : []),
    element("nav", {}, links),
    ...sections,
    element("footer", {}, text("made_by", { version: report.version })),
  );
}

draw();
