"use strict";
// The sections of the page, from its data. study.update(data) shows other data and keeps what the reader has chosen.

const FORMAT = 1;
let known = new Map(); // variants of the charts, by key

const sections = { problems: showProblems, protocol: showProtocol, suite: showSuite, answer: showAnswer, gap: showGap, curves: showCurves, weights: showWeights, path: showPath, differences: showDifferences, tuning: showTuning, more: showMore, runs: showEveryRun };
let data = JSON.parse(document.getElementById("data").textContent);

function update(fresh) {
  if (fresh.format !== FORMAT) throw new Error(`the page reads format ${FORMAT}, not ${fresh.format}; load it again`);
  data = fresh;
  known = new Map(data.variants.map((variant) => [variant.key, variant]));
  document.getElementById("question").textContent = data.question;
  const links = [];
  for (const [id, show] of Object.entries(sections)) {
    const section = document.getElementById(id);
    section.hidden = false; // so that charts know their width
    section.hidden = show(section.querySelector(".body")) === false;
    if (!section.hidden) links.push([id, section.querySelector("h2").textContent]);
  }
  document.getElementById("contents").replaceChildren(...links.map(([id, text]) => h("li", {}, h("a", { href: `#${id}` }, text))));
}

function showProblems(body) {
  const { problems, runs } = data;
  const complete = runs.rows.filter((run) => run.state === "complete").length;
  const all = runs.total > runs.rows.length ? `${runs.total} runs are analyzed.` : `${complete} of ${runs.total} analyzed runs are complete.`;
  part(body, "summary", () => h("p", { class: "summary" })).textContent = problems.length
    ? `${problems.length === 1 ? "One run" : `${problems.length} runs`} failed, diverged, or ${problems.length === 1 ? "is" : "are"} left out. ${all}`
    : `No run failed or diverged, and none is left out. ${all}`;
  const names = new Set(["summary"]);
  if (problems.length) {
    names.add("problems");
    const rows = problems.map((problem) => [problem.run, problem.state, problem.reason || "–", ""]);
    const table = { stem: "problems", title: "Runs with a problem", headers: ["Run", "State", "Reason", "Command"], words: [true, true, true, true], rows };
    showTable(body, table, { cell: (text, at, place) => (at === 0 ? h("code", {}, text) : at === 1 ? status(text) : at === 3 ? (problems[place].command ? command(problems[place].command) : "–") : null) });
  }
  keepParts(body, names);
}

function showProtocol(body) {
  const list = part(body, "terms", () => h("dl", { class: "terms" }));
  list.replaceChildren(...data.protocol.map(([term, text]) => h("div", {}, h("dt", {}, term), h("dd", {}, text))));
  const warnings = part(body, "warnings", () => h("div", { class: "warnings" }));
  warnings.replaceChildren(h("h3", {}, "Warnings"), ...data.warnings.map((text) => h("p", {}, text)));
  warnings.hidden = data.warnings.length === 0;
}

function showAnswer(body) {
  if (!data.figure) return false;
  showFigure(body, data.figure, "");
}

function showFigure(body, figure, name) {
  const frame = part(body, `figure${name}`, () => h("div", { class: "frame", role: "region", tabindex: 0, "aria-label": `Figure ${name}`.trim() }, h("img", { class: "answer" })));
  const image = frame.querySelector("img");
  if (image.src !== figure.source) image.src = figure.source;
  image.alt = figure.alt;
  image.classList.toggle("column", figure.column);
  part(body, `text${name}`, () => h("p", { class: "caption" })).textContent = figure.caption;
}

/** Show the figures and tables over the settings of a suite. */
function showSuite(body) {
  const tables = ["suite", "ranks", "pairs"].map(tableOf).filter(Boolean);
  for (const figure of data.suite) showFigure(body, figure, figure.name);
  for (const table of tables) showTable(body, table, { heading: table.stem !== "suite" });
  keepParts(body, new Set([...data.suite.flatMap((figure) => [`figure${figure.name}`, `text${figure.name}`]), ...tables.map((table) => table.stem)]));
  return tables.length > 0;
}

function tableOf(stem) {
  return data.tables.find((table) => table.stem === stem);
}

function showGap(body) {
  const table = tableOf("gap_table");
  if (!table) return false;
  showTable(body, table);
}

/** Show a box for each variant, which shows and hides its lines in all charts. */
function showToggles(body, id) {
  const root = part(body, "toggles", () =>
    h("fieldset", { class: "toggles" }, h("legend", {}, "Variants"), h("div", { class: "all" }, h("button", { type: "button", class: "quiet" }, "Show all"), h("button", { type: "button", class: "quiet" }, "Hide all")), h("div", { class: "boxes" })),
  );
  const [all, none] = root.querySelectorAll(".all button");
  all.onclick = () => (state.hidden.clear(), redrawLines());
  none.onclick = () => (data.variants.forEach((variant) => state.hidden.add(variant.key)), redrawLines());
  const boxes = root.querySelector(".boxes");
  const names = JSON.stringify([data.variants, isDark()]);
  if (boxes.dataset.names !== names) {
    boxes.dataset.names = names;
    boxes.classList.toggle("long", data.variants.some((variant) => variant.label.length > 24));
    boxes.replaceChildren(
      ...data.variants.map((variant) => {
        const box = h("input", { type: "checkbox", "data-variant": variant.key });
        box.onchange = () => {
          if (box.checked) state.hidden.delete(variant.key);
          else state.hidden.add(variant.key);
          redrawLines();
        };
        return h("label", {}, box, swatch(variant), h("span", {}, unbroken(variant.label)));
      }),
    );
  }
  for (const box of boxes.querySelectorAll("input")) box.checked = !state.hidden.has(box.dataset.variant);
}

function redrawLines() {
  for (const id of ["curves", "weights"]) {
    const section = document.getElementById(id);
    if (!section.hidden) sections[id](section.querySelector(".body"));
  }
}

/** Show buttons of which one is chosen. */
function showChoice(body, name, title, choices, chosen, choose) {
  const root = part(body, name, () => h("fieldset", { class: "choice" }));
  if (root.dataset.names !== choices.join("\n")) {
    root.dataset.names = choices.join("\n");
    root.replaceChildren(h("legend", {}, title), ...choices.map((choice) => h("label", {}, h("input", { type: "radio", name, value: choice }), h("span", {}, choice))));
  }
  for (const input of root.querySelectorAll("input")) {
    input.checked = input.value === chosen;
    input.onchange = () => choose(input.value);
  }
}

/** Show a list of which one item is chosen. items: pairs of a value and its text. */
function showSelect(body, name, title, items, chosen, choose) {
  const root = part(body, name, () => h("label", { class: "select" }, h("span", {}, title), h("select", {})));
  const select = root.querySelector("select");
  const names = JSON.stringify(items);
  if (select.dataset.names !== names) {
    select.dataset.names = names;
    select.replaceChildren(...items.map(([value, text]) => h("option", { value }, text)));
  }
  select.value = chosen;
  select.onchange = () => choose(select.value);
}

/** Show numbers of a chart as a table that opens on request. */
function showNumbers(body, name, title, make) {
  const root = part(body, name, () => h("details", { class: "numbers" }, h("summary", {}, title), h("div", {})));
  const fillIn = () => {
    if (root.open) showTable(root.querySelector("div"), { stem: name, title, ...make() });
  };
  root.ontoggle = fillIn;
  fillIn();
}

function showNote(body, name, text) {
  const note = part(body, name, () => h("p", { class: "note" }));
  note.textContent = text;
  note.hidden = !text;
}

function showCurves(body) {
  const curves = data.curves;
  const runs = curves.runs.filter((run) => known.has(run.variant));
  if (!runs.length || !curves.choices.length) return false;
  const names = curves.choices.map((choice) => choice.name);
  if (!names.includes(state.curve)) state.curve = names[0];
  const measures = curves.choices.find((choice) => choice.name === state.curve).measures;
  showNote(body, "selection", [data.selection && `Charts show ${data.selection}.`, curves.note].filter(Boolean).join(" "));
  showToggles(body);
  showChoice(body, "curve", "Measure", names, state.curve, (name) => ((state.curve = name), showCurves(body)));
  const pair = part(body, "pair", () => h("div", { class: "pair" }));
  const visible = runs.filter((run) => !state.hidden.has(run.variant));
  const titles = new Map(curves.measures.map((measure) => [measure.name, measure.label]));
  measures.forEach((measure, at) => {
    const later = visible.flatMap((run) => run[measure].slice(curves.epochs.length > 1 ? 1 : 0)); // without epoch 0, whose values are far off
    drawChart(pair, {
      id: `curve-${at}`,
      title: titles.get(measure),
      x: curves.epochs,
      whole: true,
      xLabel: "Epoch",
      yRange: limits(later, measure.endsWith("loss") ? [0, 0.995] : measure.endsWith("r2") ? [0.005, 1] : [0, 1]),
      series: visible.map((run) => ({ ...known.get(run.variant), run, values: padded(run[measure], curves.epochs.length), width: runs.length > 60 ? 1 : 1.4 })),
      say: (one, place) => `${one.label}, seed ${one.run.seed}, epoch ${curves.epochs[place]}: ${shown(one.values[place])}. Run ${one.run.run}`,
    });
  });
  keepParts(pair, new Set(measures.map((_, at) => `curve-${at}`)));
  showNumbers(body, "curve-numbers", "Numbers of these curves", () => {
    const places = [...new Set([0, 0.1, 0.2, 0.4, 0.6, 0.8, 1].map((share) => Math.round(share * (curves.epochs.length - 1))))];
    const heads = measures.flatMap((measure) => places.map((place) => `${titles.get(measure)}, epoch ${curves.epochs[place]}`));
    return {
      headers: ["Variant", "Seed", ...heads],
      words: [true, false, ...heads.map(() => false)],
      rows: visible.map((run) => [run.variant, String(run.seed), ...measures.flatMap((measure) => places.map((place) => shown(run[measure][place])))]),
    };
  });
}

function padded(values, length) {
  return values.length < length ? [...values, ...Array(length - values.length).fill(null)] : values;
}

function showWeights(body) {
  const weights = data.weights;
  if (!weights) return false;
  showNote(body, "note", weights.note);
  if (!weights.parameters.length) return;
  if (!weights.parameters.includes(state.parameter)) state.parameter = weights.parameters[0];
  const parameter = weights.parameters.indexOf(state.parameter);
  const last = weights.epochs.length - 1;
  const place = state.epoch === null ? last : weights.epochs.findLastIndex((epoch) => epoch <= state.epoch);
  showToggles(body);
  const controls = part(body, "controls", () => h("div", { class: "controls" }));
  showSelect(controls, "parameter", "Parameter", weights.parameters.map((name) => [name, name]), state.parameter, (name) => ((state.parameter = name), showWeights(body)));
  const slider = part(controls, "epoch", () => h("label", { class: "slider" }, h("span", {}, "Epoch"), h("input", { type: "range", min: 0, step: 1 }), h("output", {})));
  const input = slider.querySelector("input");
  input.max = last;
  input.value = place;
  input.setAttribute("aria-valuetext", `epoch ${weights.epochs[place]}`);
  slider.querySelector("output").textContent = weights.epochs[place];
  input.oninput = () => {
    state.epoch = Number(input.value) === last ? null : weights.epochs[Number(input.value)]; // the last one stays the last one
    showWeights(body);
  };
  const all = weights.shares[parameter];
  const spans = all.flat().filter(Boolean);
  const reach = Math.max(...spans.map(([first, values]) => Math.max(weights.half - first, first + values.length - 1 - weights.half)), 4) + 1;
  const x = Array.from({ length: 2 * reach + 1 }, (_, at) => at - reach);
  const visible = weights.variants.map((key, at) => [known.get(key), at]).filter(([variant]) => variant && !state.hidden.has(variant.key));
  const shares = (packed) => x.map((at) => (packed ? (packed[1][at + weights.half - packed[0]] ?? 0) : null));
  drawChart(body, {
    id: "weights-chart",
    title: `${state.parameter}, epoch ${weights.epochs[place]}: weights per bin (%)`,
    x,
    xLabel: "Weight (signed logarithmic scale)",
    height: 320,
    xRange: [-reach, reach],
    yRange: [0, 1.05 * Math.max(...spans.map(([, values]) => Math.max(...values)))],
    xTicks: (width) => decades(weights, reach, width),
    series: visible.map(([variant, at]) => ({ ...variant, values: shares(all[at][place]), zeros: weights.zeros[parameter][at][place] })),
    say: (one, at) => `${one.label}: ${shown(one.values[at], 3)} % of the weights ${interval(weights, x[at])}; ${shown(one.zeros, 3)} % are exactly zero`,
  });
  showNote(body, "explanation", `The bin in the middle holds all weights with |w| < 10⁻⁵, exact zeros included. Seeds are pooled. Bins have equal widths on the logarithmic scale, so a bell-shaped distribution has two humps.`);
  const bounds = [-4, -3, -2, -1, 0];
  showNumbers(body, "weight-numbers", "Numbers of this chart", () => ({
    headers: ["Variant", "w = 0 (%)", ...bounds.map((power) => `|w| < ${10 ** power} (%)`)],
    words: [true, ...Array(bounds.length + 1).fill(false)],
    rows: visible.map(([variant, at]) => {
      const packed = all[at][place];
      const below = bounds.map((power) => shown(packed && packed[1].reduce((sum, share, bin) => sum + (Math.abs(packed[0] + bin - weights.half) <= weights.per_decade * (power - weights.smallest) ? share : 0), 0), 3));
      return [variant.key, shown(weights.zeros[parameter][at][place], 3), ...below];
    }),
  }));
}

/** Return the places and texts of powers of ten on the axis of weights; fewer where it is narrow. */
function decades(weights, reach, width) {
  const marks = [[0, "0"]];
  const every = width < 480 ? 2 : 1;
  for (let power = 2; power >= weights.smallest + 1; power -= 1) {
    const at = weights.per_decade * (power - weights.smallest) + 0.5;
    if (at > reach || (power + 8) % every) continue;
    const text = power >= -2 ? String(Number((10 ** power).toPrecision(1))) : powered(10 ** power, 1);
    marks.push([at, text], [-at, `−${text}`]);
  }
  return marks.sort((a, b) => a[0] - b[0]);
}

function interval(weights, at) {
  if (at === 0) return "have |w| < 10⁻⁵";
  const edge = (place) => shown(10 ** (weights.smallest + place / weights.per_decade), 2);
  const size = Math.abs(at);
  return at > 0 ? `are from ${edge(size - 1)} to ${edge(size)}` : `are from −${edge(size)} to −${edge(size - 1)}`;
}

function showPath(body) {
  const path = data.path;
  const tables = ["sensitivity", "matched"].map(tableOf).filter(Boolean);
  if (!path && !tables.length) return false;
  if (path) {
    const names = path.measures.map((measure) => measure.name);
    const titles = new Map(path.measures.map((measure) => [measure.name, measure.label]));
    const x = [...new Set(path.lines.flatMap((line) => line.lam))].sort((a, b) => a - b);
    const pair = part(body, "pair", () => h("div", { class: "pair" }));
    [0, 1].forEach((side) => {
      if (!names.includes(state.strengths[side])) state.strengths[side] = names.includes(path.first[side]) ? path.first[side] : names[0];
      const measure = state.strengths[side];
      const half = part(pair, `side-${side}`, () => h("div", {}));
      showSelect(half, `strength-${side}`, side ? "Second measure" : "First measure", path.measures.map((one) => [one.name, one.label]), measure, (name) => ((state.strengths[side] = name), showPath(body)));
      const lines = path.lines.map((line) => {
        const at = new Map(line.lam.map((lam, place) => [lam, place]));
        const of = (list) => x.map((lam) => (at.has(lam) ? list[at.get(lam)] : null));
        const { mean, low, high } = line.values[measure];
        return { ...line, points: 6, width: 1.8, values: of(mean), low: of(low), high: of(high), runs: of(line.runs) };
      });
      const references = path.references.map((line) => {
        const { mean, low, high } = line.values[measure];
        const same = (list) => x.map(() => list[0]);
        return { ...line, width: 1.2, values: same(mean), low: same(low), high: same(high), runs: same(line.runs), flat: true };
      });
      drawChart(half, {
        id: `path-${side}`,
        title: `${titles.get(measure)}: mean, lowest and highest seed`,
        x,
        xLabel: "λ",
        logarithmic: true,
        xRange: [x[0] / 1.4, x.at(-1) * 1.4],
        xTicks: () => powers(x[0], x.at(-1)),
        series: [...lines, ...references],
        bars: (one, place) => (one.flat || one.low[place] === null ? null : [one.low[place], one.high[place]]),
        yRange: limits([...lines, ...references].flatMap((one) => [...one.low, ...one.high])),
        say: (one, place) => `${one.label}${one.flat ? "" : `, λ = ${shown(x[place])}`}: ${shown(one.values[place])} (${shown(one.low[place])} to ${shown(one.high[place])} over ${one.runs[place]} ${one.runs[place] === 1 ? "seed" : "seeds"})`,
      });
    });
    part(body, "key", () => h("p", { class: "key" })).replaceChildren(...[...path.lines, ...path.references].map((line) => h("span", { class: "variant" }, swatch(line), h("span", {}, line.label))));
    showNumbers(body, "path-numbers", "Numbers of these charts", () => ({
      headers: ["Regularizer", "λ", "Runs", ...state.strengths.flatMap((name) => [titles.get(name), "Lowest", "Highest"])],
      words: [true, ...Array(8).fill(false)],
      rows: [...path.lines, ...path.references].flatMap((line) => line.lam.map((lam, place) => [line.label, lam ? shown(lam) : "–", String(line.runs[place]), ...state.strengths.flatMap((name) => ["mean", "low", "high"].map((which) => shown(line.values[name][which][place])))])),
    }));
  }
  for (const table of tables) showTable(body, table, { heading: true });
}

/** Return the powers of ten on an axis, at most about eight of them; between few of them also 2 and 5 times a power. */
function powers(low, high) {
  const [first, last] = [Math.floor(Math.log10(low)), Math.ceil(Math.log10(high))];
  const every = Math.ceil((last - first) / 8) || 1;
  const factors = last - first > 3 ? [1] : [1, 2, 5];
  const found = [];
  for (let power = first; power <= last; power += every) {
    for (const factor of factors) {
      const value = Number(`${factor}e${power}`);
      if (value >= low / 1.4 && value <= high * 1.4) found.push([value, power < 4 && power > -4 && factors.length > 1 ? String(value) : power < 3 && power > -2 ? String(value) : powered(value, 1)]);
    }
  }
  return found;
}

function showDifferences(body) {
  const { differences } = data;
  const significance = tableOf("significance");
  if (!differences && !significance) return false;
  if (differences && differences.rows.length) {
    const names = differences.measures.map((measure) => measure.name);
    if (!names.includes(state.difference)) state.difference = names.includes(differences.primary) ? differences.primary : names[0];
    const measure = differences.measures.find((one) => one.name === state.difference);
    const text = (one) => one.label + (one.name === differences.primary ? " – primary measure" : "");
    showSelect(body, "difference", "Measure", differences.measures.map((one) => [one.name, text(one)]), state.difference, (name) => ((state.difference = name), showDifferences(body)));
    showForest(body, measure, differences.rows.filter((row) => row.measure === state.difference));
  }
  if (significance) {
    const root = part(body, "tests", () => h("details", { class: "numbers" }, h("summary", {}, "All differences, with tests and notes"), h("div", {})));
    const fillIn = () => root.open && showTable(root.querySelector("div"), significance);
    root.ontoggle = fillIn;
    fillIn();
    const notes = part(body, "significance-notes", () => h("div", { class: "notes" }));
    notes.replaceChildren(...significance.notes.slice(0, 3).map((note) => h("p", {}, note)));
  }
}

/** Show each difference as a row: its value, and a line for its intervals. */
function showForest(body, measure, rows) {
  const margin = measure.margin ?? null;
  const verdicts = rows.some((row) => row.verdict);
  const ends = rows.flatMap((row) => [row.difference, 0, ...(row.seeds || []), ...(row.wide || []), ...(margin === null ? [] : [-margin, margin])]).filter((end) => end !== null);
  const [low, high] = limits(ends);
  const percent = (value) => `${(100 * (value - low)) / (high - low)}%`;
  const size = Math.max(...ends.map(Math.abs));
  const decimals = Math.max(0, Math.min(5, 2 - Math.floor(Math.log10(size || 1))));
  const ticks = uPlotTicks(low, high);
  const grid = () => ticks.map((tick) => s("line", { x1: percent(tick), x2: percent(tick), y1: 0, y2: "100%", class: tick === 0 ? "zero" : "grid" }));
  const band = () => (margin === null ? null : s("rect", { x: percent(-margin), width: `${(200 * margin) / (high - low)}%`, y: 0, height: "100%", class: "margin" }));
  const lines = rows.map((row) => {
    const variant = known.get(row.variant);
    const mark = (ends, width) => {
      const line = s("line", { x1: percent(ends[0]), x2: percent(ends[1]), y1: "50%", y2: "50%", "stroke-width": width });
      line.style.stroke = tone(variant.colour);
      return line;
    };
    const point = s("circle", { cx: percent(row.difference), cy: "50%", r: 4 });
    point.style.fill = tone(variant.colour);
    const picture = s("svg", { class: "interval", "aria-hidden": "true" }, band(), ...grid(), row.wide ? mark(row.wide, 1) : null, row.seeds ? mark(row.seeds, 3) : null, point);
    const interval = row.seeds ? `[${signed(row.seeds[0], decimals)}, ${signed(row.seeds[1], decimals)}]` : "–";
    return h("tr", {}, h("th", { scope: "row" }, named(variant)), h("td", { class: "picture" }, picture), h("td", { class: "number" }, signed(row.difference, decimals)), h("td", { class: "number" }, interval), h("td", { class: "number" }, String(row.n)), verdicts ? h("td", {}, row.verdict || "–") : null);
  });
  const scale = s("svg", { class: "scale", "aria-hidden": "true" }, ...ticks.map((tick) => s("text", { x: percent(tick), y: 12, "text-anchor": "middle" }, shown(tick, 3))));
  const head = h("tr", {}, h("th", { scope: "col" }, "Variant"), h("td", { class: "picture" }, scale), h("th", { scope: "col", class: "number" }, measure.label), h("th", { scope: "col", class: "number" }, "95 % interval over seeds"), h("th", { scope: "col", class: "number" }, "Seeds"), verdicts ? h("th", { scope: "col" }, "Verdict") : null);
  const scroll = part(body, "forest", () => h("div", { class: "scroll", role: "region", tabindex: 0, "aria-label": "Differences to the baseline, table" }));
  scroll.replaceChildren(h("table", { class: "forest" }, h("caption", {}, `Differences to the baseline: ${measure.label}`), h("thead", {}, head), h("tbody", {}, ...lines)));
  const wide = rows.some((row) => row.wide) ? " The thin line also covers new data." : "";
  const grey = margin === null ? "" : " Grey band: margin of equivalence.";
  showNote(body, "forest-note", rows.some((row) => row.seeds) ? `Thick line: 95 % interval over seeds.${wide}${grey} ${measure.better > 0 ? "Larger" : "Smaller"} is better.` : `Fewer than three seeds: no intervals. ${measure.better > 0 ? "Larger" : "Smaller"} is better.`);
}

/** Return round numbers between two ends, zero among them if it is between. */
function uPlotTicks(low, high) {
  const raw = (high - low) / 5;
  const power = 10 ** Math.floor(Math.log10(raw));
  const width = power * [1, 2, 5, 10].find((factor) => power * factor >= raw);
  const found = [];
  for (let tick = Math.ceil(low / width); tick * width <= high; tick += 1) found.push(Number((tick * width).toPrecision(6)));
  return found;
}

function showTuning(body) {
  const tables = ["tuned", "best_of_n", "trials"].map(tableOf).filter(Boolean);
  if (!tables.length && !data.tuning) return false;
  const tuning = data.tuning;
  if (tuning && tuning.keys.length) {
    const pair = part(body, "pair", () => h("div", { class: "pair" }));
    tuning.keys.forEach((key, at) => drawTrials(pair, tuning, key, at));
    keepParts(pair, new Set(tuning.keys.map((_, at) => `trials-${at}`)));
    part(body, "key", () => h("p", { class: "key" })).replaceChildren(...tuning.lines.map((line) => h("span", { class: "variant" }, swatch({ ...line, dash: [] }), h("span", {}, line.label))));
    showNote(body, "note", "A point is a trial. A ring marks the chosen trial of each regularizer. Trials that score far worse are drawn at the edge." + (tuning.lines.some((line) => line.pruned.some(Boolean)) ? " A small point is a trial that was stopped early." : ""));
  }
  for (const table of tables) showTable(body, table, { heading: true });
}

function drawTrials(pair, tuning, key, at) {
  const x = [...new Set(tuning.lines.flatMap((line) => line.values[key.name]).filter((value) => value !== null && (!key.logarithmic || value > 0)))].sort((a, b) => a - b);
  const scores = tuning.lines.flatMap((line) => line.scores).filter((score) => score !== null).map((score) => tuning.better * score).sort((a, b) => a - b);
  const best = scores.at(-1), median = scores[Math.floor(scores.length / 2)];
  const worst = Math.max(scores[0], best - 4 * Math.max(best - median, 1e-9));
  const clipped = (score) => (score === null ? null : tuning.better * Math.max(tuning.better * score, worst));
  const place = new Map(x.map((value, index) => [value, index]));
  const series = tuning.lines.flatMap((line) => {
    const values = x.map(() => null), pruned = x.map(() => null), true_ = x.map(() => null);
    line.values[key.name].forEach((value, index) => {
      if (place.has(value)) ((line.pruned[index] ? pruned : values)[place.get(value)] = clipped(line.scores[index])), (true_[place.get(value)] = line.scores[index]);
    });
    const chosen = line.chosen === null ? null : line.values[key.name][line.chosen];
    const ring = x.map((value) => (value === chosen ? clipped(line.scores[line.chosen]) : null));
    const base = { ...line, dash: [], scattered: true, scores: true_ };
    return values.some((value) => value !== null) ? [{ ...base, values: ring, points: 13, hollow: true, width: 2, chosen: true }, { ...base, values, points: 6 }, { ...base, values: pruned, points: 3 }] : [];
  });
  drawChart(pair, {
    id: `trials-${at}`,
    title: `${tuning.measure} of each trial`,
    x,
    xLabel: key.label,
    logarithmic: key.logarithmic,
    ...(key.logarithmic ? { xRange: [x[0] / 1.4, x.at(-1) * 1.4], xTicks: () => powers(x[0], x.at(-1)) } : {}),
    yRange: limits([tuning.better * worst, tuning.better * best]),
    series,
    hint: "Point at a trial to name it.",
    say: (one, index) => `${one.label}, ${key.label} ${shown(x[index], 3)}: ${shown(one.scores[index])}${one.chosen ? ", chosen" : ""}`,
  });
}

function showMore(body) {
  const placed = ["suite", "ranks", "pairs", "gap_table", "matched", "sensitivity", "significance", "tuned", "best_of_n", "trials"];
  const tables = data.tables.filter((table) => !placed.includes(table.stem));
  for (const table of tables) showTable(body, table, { heading: true });
  keepParts(body, new Set(tables.map((table) => table.stem)));
  return tables.length > 0;
}

function showEveryRun(body) {
  showRuns(body, data.runs);
  return data.runs.rows.length > 0;
}

function atPrint(printing) {
  theme.printing = printing;
  update(data);
  redrawCharts();
}

update(data);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => (update(data), redrawCharts()));
addEventListener("beforeprint", () => atPrint(true));
addEventListener("afterprint", () => atPrint(false));
globalThis.study = { update, state };
