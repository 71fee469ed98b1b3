// The statistics of a prepared corpus.

function histogramChart(name) {
  const bars = report.histograms[name];
  if (!bars) return null;
  const chart = bars.map(([low, high, count], index) => ({
    label: index % 2 ? "" : number(low, 2, 0),
    value: count,
    title: text("bar", { low: number(low, 2, 0), high: number(high, 2, 0), count: number(count) }),
  }));
  return figure(text(`figure_${name}`), barChart(chart, text(`axis_${name}`), text("utterances")));
}

function sharesChart(caption, items) {
  const chart = items.map(({ name, share }) => ({
    label: name,
    value: share,
    title: text("share", { name, share: number(share, 2) }),
  }));
  return figure(caption, barChart(chart, "", "%"));
}

function facts() {
  const hours = text("hours", { n: number(report.seconds / 3600, 2) });
  const all = [
    ["utterances", number(report.utterances)],
    ["amount", hours],
    ["speakers", number(report.speakers)],
    ["characters", number(report.characters)],
    ["different", number(report.different)],
    ["listened", number(report.listened)],
  ];
  return element(
    "dl",
    { class: "facts" },
    all.map(([name, value]) =>
      element("div", {}, element("dt", {}, text(name)), element("dd", {}, value)),
    ),
  );
}

function tableSection() {
  const [header, ...rows] = report.table;
  return section(
    "table",
    element("p", { class: "note" }, text("table_note")),
    element(
      "div",
      { class: "scroll" },
      element(
        "table",
        {},
        element("thead", {}, element("tr", {}, header.map((name) => element("th", {}, name)))),
        element(
          "tbody",
          {},
          rows.map(([name, ...cells]) =>
            element(
              "tr",
              {},
              element("th", {}, texts[language].rows[name] ?? name),
              cells.map((cell) => element("td", {}, cell.replace(" to ", text("to")))),
            ),
          ),
        ),
      ),
    ),
  );
}

function lengthsSection() {
  const charts = ["seconds", "rate", "length"].map(histogramChart);
  return section("lengths", element("div", { class: "figures" }, charts));
}

function soundSection() {
  if (!report.listened) return null;
  const charts = ["level", "silence", "signal_to_noise"].map(histogramChart);
  return section(
    "sound",
    element("p", { class: "note" }, text("sound_note", { n: number(report.listened) })),
    element("div", { class: "figures" }, charts),
    names("clipped", report.clipped),
    names("unreadable", report.unreadable),
  );
}

// A list that is opened by whoever wants to read it
function names(name, list) {
  if (!list.count) return null;
  return element(
    "details",
    {},
    element("summary", {}, text(name, { n: number(list.count) })),
    element("p", {}, shown(list, ", ")),
  );
}

// The names of a list, which may have more of them than the page
function shown({ count, names }, separator) {
  return [...names, ...(count > names.length ? ["…"] : [])].join(separator);
}

function speakersSection() {
  if (!report.longest_speakers.length) return null;
  const bars = report.longest_speakers.map(({ name, minutes }) => ({
    label: name,
    value: minutes,
    title: text("minutes", { name, minutes: number(minutes, 1) }),
  }));
  const chart = figure(text("figure_speakers"), nameChart(bars, text("axis_minutes")));
  return section("speakers", element("div", { class: "figures" }, chart, element("div")));
}

function charactersSection() {
  const places = ["initial", "medial", "final"];
  return section(
    "characters",
    element(
      "div",
      { class: "figures" },
      sharesChart(text("figure_frequent"), report.frequent),
      places.map((place) => sharesChart(text(`figure_${place}`), report.jamo[place])),
    ),
    report.once.count
      ? element(
          "div",
          {},
          element("h3", {}, text("once", { n: number(report.once.count) })),
          element("p", {}, shown(report.once, " ")),
        )
      : null,
    report.scripts.length ? element("h3", {}, text("scripts")) : null,
    report.scripts.map(({ name, utterances, examples }) =>
      element(
        "p",
        {},
        element("b", {}, text("script", { name: texts[language].scripts_named[name], n: number(utterances) })),
        ` ${examples.join(" / ")}`,
      ),
    ),
  );
}

function repeatsSection() {
  if (!report.repeated.length) return null;
  const splits = report.table[0].slice(1);
  return section(
    "repeats",
    element("p", { class: "note" }, text("repeats_note")),
    element(
      "table",
      {},
      element(
        "thead",
        {},
        element("tr", {}, ["", ...splits].map((name) => element("th", {}, name))),
      ),
      element(
        "tbody",
        {},
        report.repeated.map(({ text: said, times }) =>
          element(
            "tr",
            {},
            element("td", { class: "text" }, said),
            splits.map((split) => element("td", {}, number(times[split] ?? 0))),
          ),
        ),
      ),
    ),
  );
}

function draw() {
  document.documentElement.lang = language;
  document.title = text("title", { name: report.name });
  const sections = [
    tableSection(),
    lengthsSection(),
    soundSection(),
    speakersSection(),
    charactersSection(),
    repeatsSection(),
  ].filter((one) => one !== null);
  const links = sections.map(({ id }) => element("a", { href: `#${id}` }, text(`nav_${id}`)));
  const title = element("h1", {}, text("title", { name: report.name }));
  const said = report.overlap
    ? element("div", { class: report.leaks ? "warning" : "note" }, report.overlap)
    : "";
  document.querySelector("main").replaceChildren(
    element("div", { class: "top" }, title, languageSwitch()),
    facts(),
    said,
    element("nav", {}, links),
    ...sections,
    element("footer", {}, text("made_by", { version: report.version })),
  );
}

draw();
