"use strict";
// The section "Now" of the live page: runs under way, with their curves, logs and machines. Everything is set as text.

const LOOK_EVERY = 1000; // milliseconds
let version = null; // of the data that the rest of the page shows
let openLog = null; // the run whose log is shown

async function ask(path) {
  const answer = await fetch(path, { cache: "no-store" });
  if (!answer.ok) throw new Error(`${answer.status}`);
  return answer.json();
}

async function look() {
  const body = document.querySelector("#now .body");
  try {
    const found = await ask("now");
    showNow(body, found);
    if (found.data !== version) {
      if (globalThis.study) globalThis.study.update(await ask("data"));
      else if (version !== null) location.reload(); // the page had no results so far
      version = found.data;
    }
    part(body, "problem", () => h("p", { class: "note" })).textContent = found.problem;
    part(body, "lost", () => h("p", { class: "note", role: "status" })).textContent = "";
  } catch {
    part(body, "lost", () => h("p", { class: "note", role: "status" })).textContent = "study watch does not answer. It may have been stopped; the numbers are those of the last look.";
  }
  setTimeout(look, LOOK_EVERY);
}

function showNow(body, found) {
  const counts = Object.entries(found.counts).map(([state, count]) => `${count} ${state}`);
  const left = found.left === null ? "" : `, about ${duration(found.left)} left`;
  part(body, "summary", () => h("p", { class: "summary", role: "status" })).textContent = `${counts.join(", ") || "no runs yet"}${left}`;
  const failed = part(body, "failed", () => h("div", { class: "warnings" }));
  failed.hidden = found.failed.length === 0;
  failed.replaceChildren(h("h3", {}, "Failed"), ...found.failed.map((run) => h("p", {}, h("code", {}, run.run), ` ${run.cause}`)));
  const list = part(body, "runs", () => h("div", { class: "under-way" }));
  const names = new Set(found.runs.map((run) => run.run));
  for (const child of [...list.children]) if (!names.has(child.dataset.part)) child.remove();
  for (const run of found.runs) showRun(part(list, run.run, () => h("article", { class: "run" })), run);
}

function showRun(card, run) {
  part(card, "name", () => h("h3", {}, h("code", {}))).firstChild.textContent = run.run;
  const bar = part(card, "bar", () => h("progress", { "aria-label": `Epochs of ${run.run}` }));
  bar.max = run.epochs || 1;
  bar.value = run.epoch;
  const pace = run.seconds === null ? "" : `, ${run.seconds.toPrecision(2)} s per epoch`;
  part(card, "state", () => h("p", { class: "note" })).textContent = `${run.state}: epoch ${run.epoch} of ${run.epochs ?? "?"}${pace}${scores(run.curves)}`;
  const charts = part(card, "charts", () => h("div", { class: "sparks" }));
  const score = run.curves.val_r2 ? ["r2", "R²", 1] : ["accuracy", "Accuracy (%)", 100];
  charts.replaceChildren(spark(run, "loss", "Loss", 1), spark(run, ...score));
  const machine = Object.entries({ ...run.machine, ...run.versions }).filter(([, value]) => value !== null && typeof value !== "object");
  const more = part(card, "more", () => h("details", { ontoggle: (event) => showLog(event.target, run.run) }, h("summary", {}, "Log and machine")));
  part(more, "machine", () => h("p", { class: "note" })).textContent = machine.map(([key, value]) => `${key}: ${value}`).join(", ");
  part(more, "log", () => h("pre", { class: "log", tabindex: 0, "aria-label": `Log of ${run.run}` }));
  if (more.open) showLog(more, run.run);
}

async function showLog(more, run) {
  if (!more.open) return;
  try {
    const found = await ask(`log?run=${encodeURIComponent(run)}`);
    const log = part(more, "log", () => h("pre", { class: "log" }));
    if (log.textContent !== found.log) {
      log.textContent = found.log;
      log.scrollTop = log.scrollHeight;
    }
  } catch {
    // the run has ended meanwhile
  }
}

function scores(curves) {
  const last = (name) => (curves[name] || []).filter((value) => value !== null).at(-1);
  const parts = [];
  if (last("val_loss") !== undefined) parts.push(`loss ${last("train_loss").toFixed(4)} and ${last("val_loss").toFixed(4)}`);
  if (last("val_accuracy") !== undefined) parts.push(`val ${(100 * last("val_accuracy")).toFixed(2)} %`);
  if (last("val_r2") !== undefined) parts.push(`val R² ${last("val_r2").toFixed(3)}`);
  return parts.length ? `; ${parts.join(", ")}` : "";
}

/** Draw the training and the validation curve of one kind, without epoch 0, whose values would make the limits wide. */
function spark(run, kind, title, factor) {
  const width = 300, height = 110, edge = 26;
  const curves = ["train", "val"].map((split) => [split, (run.curves[`${split}_${kind}`] || []).slice(1).map((value) => (value === null ? null : factor * value))]);
  const values = curves.flatMap(([, of]) => of).filter((value) => value !== null);
  const svg = s("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${title} of ${run.run}` });
  if (!values.length) return h("figure", {}, h("figcaption", {}, `${title}: no epoch yet`));
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const last = Math.max(run.epochs || 1, 2);
  const x = (epoch) => edge + ((epoch - 1) / (last - 1)) * (width - edge - 4);
  const y = (value) => 6 + (1 - (value - low) / (high - low || 1)) * (height - 12);
  svg.append(...[low, high].map((value) => s("text", { x: 0, y: Math.min(Math.max(y(value) + 4, 9), height - 2) }, Number(value.toPrecision(3)).toString())));
  for (const [split, of] of curves) {
    const points = of.map((value, place) => (value === null ? null : `${x(place + 1).toFixed(1)},${y(value).toFixed(1)}`)).filter(Boolean);
    svg.append(s("polyline", { class: split, points: points.join(" ") }));
    if (points.length === 1) svg.append(s("circle", { class: split, cx: points[0].split(",")[0], cy: points[0].split(",")[1], r: 2 }));
  }
  return h("figure", {}, svg, h("figcaption", {}, `${title}: validation solid, training dashed`));
}

function duration(seconds) {
  const minutes = Math.floor(seconds / 60), hours = Math.floor(minutes / 60);
  return hours ? `${hours} h ${minutes % 60} min` : minutes ? `${minutes} min ${Math.round(seconds % 60)} s` : `${Math.round(seconds)} s`;
}

look();
