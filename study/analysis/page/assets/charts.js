"use strict";
// Charts drawn by uPlot: one line under the pointer is named, and the arrow keys go from point to point.

const charts = new Map(); // by id

/**
 * Draw a chart below an element, again if it is there.
 *
 * options: id, title, x (values), xLabel, series (label, colour, dash, values, and optional width, points, key), say(series,
 * place): the text for a point; and optional height, logarithmic, whole (x has whole numbers only), xRange, yRange, xTicks(width) (place and text), bars(series, place).
 */
function drawChart(parent, options) {
  const figure = part(parent, options.id, () => {
    const plot = h("div", { class: "plot", tabindex: 0, role: "group", "aria-roledescription": "chart" });
    return h("figure", { class: "chart" }, h("figcaption", {}), plot, h("p", { class: "readout", "aria-live": "polite" }));
  });
  const chart = charts.get(options.id) || { figure, plot: figure.querySelector(".plot"), readout: figure.querySelector(".readout") };
  charts.set(options.id, chart);
  chart.options = options;
  figure.querySelector("figcaption").textContent = options.title;
  chart.plot.setAttribute("aria-label", `${options.title}. ${options.series.length} lines over ${options.xLabel}. Arrow keys read values. A table with the numbers follows.`);
  chart.plot.onkeydown = (event) => step(chart, event);
  if (!chart.observer) {
    chart.observer = new ResizeObserver(() => resize(chart));
    chart.observer.observe(chart.plot);
  }
  build(chart);
}

function build(chart) {
  const { options, plot } = chart;
  if (chart.uplot) chart.uplot.destroy();
  chart.focus = null;
  const width = theme.printing ? (options.height ? 680 : 330) : plot.clientWidth || 320;
  const ink = token("muted"), rule = token("rule"), font = `12px ${getComputedStyle(document.body).fontFamily}`;
  const axis = { stroke: ink, font, labelFont: font, labelGap: 2, labelSize: 18, ticks: { show: false }, grid: { stroke: rule, width: 1 } };
  const marks = options.xTicks ? options.xTicks(width) : null;
  const xAxis = { ...axis, label: options.xLabel, size: 24, space: 44 };
  if (options.whole) xAxis.incrs = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000];
  if (marks) Object.assign(xAxis, { splits: () => marks.map(([at]) => at), values: () => marks.map(([, text]) => text), filter: (_, found) => found });
  else xAxis.values = (_, found) => found.map((value) => (value === null ? "" : shown(value, 3)));
  const settings = {
    width,
    height: options.height || 260,
    padding: [8, 10, 0, 0],
    legend: { show: false },
    cursor: { drag: { x: false, y: false }, y: false, focus: { prox: 40 }, points: { size: 7, width: 1.5, fill: token("paper") } },
    focus: { alpha: 0.22 },
    scales: { x: { time: false, distr: options.logarithmic ? 3 : 1, range: options.xRange ? () => options.xRange : undefined }, y: { range: options.yRange ? () => options.yRange : undefined } },
    axes: [xAxis, { ...axis, size: 52, values: (_, found) => found.map((value) => (value === null ? "" : shown(value, 4))) }],
    series: [{}, ...options.series.map(drawn)],
    hooks: { setSeries: [(_, at) => tell(chart, at)], setCursor: [() => tell(chart)], draw: options.bars ? [(u) => bars(u, options)] : [] },
  };
  if (!options.xRange) delete settings.scales.x.range;
  if (!options.yRange) delete settings.scales.y.range;
  chart.uplot = new uPlot(settings, [options.x, ...options.series.map((one) => one.values)], plot);
  chart.readout.textContent = options.hint || "Point at a line to name it.";
  chart.readout.classList.add("idle");
}

function drawn(one) {
  const stroke = tone(one.colour);
  const series = { label: one.label, stroke, width: one.width || 1.5, dash: dashes(one, one.width || 1.5), spanGaps: true, points: { show: Boolean(one.points), size: one.points || 0, fill: one.hollow ? token("paper") : stroke } };
  if (one.scattered) series.paths = () => null;
  return series;
}

function resize(chart) {
  const width = chart.plot.clientWidth;
  if (!theme.printing && width && Math.abs(width - chart.uplot.width) > 1) build(chart);
}

/** Name the line under the pointer, and the value there. */
function tell(chart, at) {
  if (!chart.uplot) return;
  if (at !== undefined) chart.focus = at;
  const place = chart.uplot.cursor.idx;
  const one = chart.focus ? chart.options.series[chart.focus - 1] : null;
  const text = one && place !== null && place !== undefined && one.values[place] !== null && one.values[place] !== undefined ? chart.options.say(one, place) : "";
  chart.readout.textContent = text || chart.options.hint || "Point at a line to name it.";
  chart.readout.classList.toggle("idle", !text);
}

/** Move from point to point with the arrow keys. */
function step(chart, event) {
  const moves = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
  if (!(event.key in moves) || !chart.options.series.length) return;
  event.preventDefault();
  const { series, x, say } = chart.options;
  const count = series.length;
  let [line, place] = chart.at && chart.at[0] < count ? chart.at : [0, -1];
  const [down, right] = moves[event.key];
  line = (line + down + count) % count;
  const there = x.map((_, at) => at).filter((at) => series[line].values[at] !== null && series[line].values[at] !== undefined);
  if (!there.length) return;
  if (right) place = (right > 0 ? there.find((at) => at > place) : there.findLast((at) => at < place)) ?? (right > 0 ? there.at(-1) : there[0]);
  else place = there.reduce((best, at) => (Math.abs(at - place) < Math.abs(best - place) ? at : best), there[0]);
  chart.at = [line, place];
  const u = chart.uplot;
  u.setCursor({ left: u.valToPos(x[place], "x"), top: u.valToPos(series[line].values[place], "y") }, false);
  u.setSeries(line + 1, { focus: true }, false);
  chart.readout.textContent = say(series[line], place);
  chart.readout.classList.remove("idle");
}

/** Draw a vertical line from the lowest to the highest seed at each point. */
function bars(u, options) {
  const context = u.ctx;
  context.save();
  options.series.forEach((one, at) => {
    context.strokeStyle = tone(one.colour);
    context.lineWidth = devicePixelRatio;
    context.setLineDash([]);
    options.x.forEach((value, place) => {
      const ends = options.bars(one, place);
      if (!ends) return;
      const x = u.valToPos(value, "x", true);
      context.beginPath();
      context.moveTo(x, u.valToPos(ends[0], "y", true));
      context.lineTo(x, u.valToPos(ends[1], "y", true));
      context.stroke();
    });
  });
  context.restore();
}

function redrawCharts() {
  for (const chart of charts.values()) if (chart.plot.isConnected && chart.plot.offsetParent !== null) build(chart);
}

/** Return the ends of an axis for values; few extreme ones may lie beyond, where `ends` says how many. */
function limits(values, ends = [0, 1]) {
  const ordered = Float64Array.from(values.filter((value) => value !== null && value !== undefined)).sort();
  if (!ordered.length) return [0, 1];
  const at = (share) => ordered[Math.round(share * (ordered.length - 1))];
  const [low, high] = [at(ends[0]), at(ends[1])];
  const margin = 0.05 * (high - low) || Math.abs(low) * 0.05 || 0.5;
  return [low - margin, high + margin];
}
