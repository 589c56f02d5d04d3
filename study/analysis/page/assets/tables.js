"use strict";
// Tables that a reader can sort and filter, and the list of runs.

/**
 * Show a table below an element. What the reader has sorted and filtered stays when other rows come.
 *
 * table: stem, title, headers, words (columns of words), rows (texts), and optional bold, total, notes, wide.
 * options.cell(text, column, row): another content of a cell. options.detail(row): what a row opens, by its place.
 */
function showTable(parent, table, options = {}) {
  const root = part(parent, table.stem, () => h("div", { class: "table" }));
  const names = new Set();
  const add = (name, make) => (names.add(name), part(root, name, make));
  const id = `table-${table.stem}`;
  if (options.heading) add("heading", () => h("h3", {}, table.title));
  const redraw = () => fill(root, table, options);
  if (table.rows.length > (options.heading ? 8 : 3)) {
    const tools = add("tools", () =>
      h("div", { class: "tools" }, h("label", { for: `${id}-filter` }, "Filter"), h("input", { type: "search", id: `${id}-filter`, autocomplete: "off" }), h("span", { class: "count", role: "status" })),
    );
    tools.querySelector("input").oninput = (event) => {
      state.filters[table.stem] = event.target.value;
      redraw();
    };
  }
  const scroll = add("scroll", () =>
    h("div", { class: "scroll", role: "region", tabindex: 0, "aria-label": `${table.title}, table` }, h("table", { id }, h("caption", {}, table.title), h("thead"), h("tbody"))),
  );
  scroll.querySelector("table").classList.toggle("wide", table.headers.length > 8);
  scroll.querySelector("table").classList.toggle("widest", table.headers.length > 11);
  scroll.classList.toggle("tall", table.rows.length > 24);
  const notes = table.notes || [];
  const more = table.total > table.rows.length ? [`The first ${table.rows.length} of ${table.total} rows. ${table.stem}.csv has all.`] : [];
  if (notes.length + more.length) add("notes", () => h("div", { class: "notes" })).replaceChildren(...[...more, ...notes].map((note) => h("p", {}, note)));
  keepParts(root, names);
  redraw();
}

function fill(root, table, options) {
  const [column, direction] = state.sorts[table.stem] || [null, 1];
  heads(root, table, options, column, direction);
  const wanted = (state.filters[table.stem] || "").toLowerCase().split(/\s+/).filter(Boolean);
  const texts = table.rows.map((row) => row.map((text, place) => spoken(text, table.headers[place])).join(" ").toLowerCase());
  let places = table.rows.map((_, place) => place).filter((place) => wanted.every((word) => texts[place].includes(word)));
  if (column !== null && column < table.headers.length) places = sorted(places, table.rows, column, direction, table.words[column]);
  const bold = new Set((table.bold || []).map((pair) => pair.join()));
  const rows = places.flatMap((place) => {
    const cells = table.rows[place].map((text, at) => {
      const content = (options.cell && options.cell(text, at, place)) || label(text, table.headers[at]);
      const inner = bold.has(`${place},${at}`) ? h("strong", {}, content) : content;
      return at === 0 ? h("th", { scope: "row" }, inner) : h("td", { class: table.words[at] ? null : "number" }, inner);
    });
    const row = h("tr", {}, ...cells);
    const detail = options.detail ? options.detail(place, row, () => fill(root, table, options)) : null;
    return detail ? [row, detail] : [row];
  });
  const nothing = h("tr", {}, h("td", { colspan: table.headers.length + (options.detail ? 1 : 0), class: "nothing" }, "No row matches the filter."));
  root.querySelector("tbody").replaceChildren(...(rows.length ? rows : [nothing]));
  const count = root.querySelector(".count");
  if (count) count.textContent = `${places.length} of ${table.rows.length} rows`;
  const input = root.querySelector("input");
  if (input && input.value !== (state.filters[table.stem] || "")) input.value = state.filters[table.stem] || "";
}

/** Draw the headers. The button that has the focus keeps it. */
function heads(root, table, options, column, direction) {
  const head = root.querySelector("thead");
  const names = table.headers.join("\n");
  if (head.dataset.names !== names) {
    head.dataset.names = names;
    const cells = table.headers.map((header, at) =>
      h("th", { scope: "col", class: table.words[at] ? null : "number" }, h("button", { type: "button" }, h("span", {}, header), h("span", { class: "arrow", "aria-hidden": "true" }))),
    );
    if (options.detail) cells.push(h("th", { scope: "col" }, h("span", { class: "unseen" }, "Details")));
    head.replaceChildren(h("tr", {}, ...cells));
  }
  head.querySelectorAll("button").forEach((button, at) => {
    const direct = at === column ? (direction > 0 ? "ascending" : "descending") : null;
    const cell = button.closest("th");
    if (direct) cell.setAttribute("aria-sort", direct);
    else cell.removeAttribute("aria-sort");
    button.querySelector(".arrow").textContent = direct ? (direction > 0 ? "▲" : "▼") : "";
    button.onclick = () => {
      const first = table.words[at] ? 1 : -1; // numbers: the largest first
      const [before, way] = state.sorts[table.stem] || [null, 1];
      state.sorts[table.stem] = before !== at ? [at, first] : way === first ? [at, -first] : [null, 1];
      fill(root, table, options);
    };
  });
}

function sorted(places, rows, column, direction, words) {
  const text = (place) => rows[place][column];
  if (words) return places.sort((a, b) => direction * text(a).localeCompare(text(b), "en", { numeric: true }) || a - b);
  const value = new Map(places.map((place) => [place, leading(text(place))]));
  return places.sort((a, b) => {
    const [x, y] = [value.get(a), value.get(b)];
    if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y) || a - b;
    return direction * (x - y) || a - b;
  });
}

/** Return what a cell says: a variant's key together with its label. */
function spoken(text, header) {
  const variant = header === "Variant" && known.get(text);
  return variant ? `${variant.label} ${text}` : text;
}

/** Return the content of a cell: a variant that charts show has its label and a sample of its line. */
function label(text, header) {
  const variant = header === "Variant" && known.get(text);
  return variant ? named(variant) : text;
}

function named(variant) {
  return h("span", { class: variant.label.length > 30 ? "variant long" : "variant", title: variant.key }, swatch(variant), h("span", {}, unbroken(variant.label)));
}

/** Show every run, with a button that opens its settings, versions, seal and command. */
function showRuns(parent, runs) {
  const common = Object.entries(runs.common);
  const shared = part(parent, "common", () => h("details", { class: "shared" }, h("summary", {}, "Settings that all runs share"), h("dl", { class: "settings" })));
  shared.querySelector("dl").replaceChildren(...common.flatMap(([key, value]) => [h("dt", {}, key), h("dd", {}, value)]));
  shared.hidden = common.length === 0;
  const before = ["Variant", "Seed", "State"];
  const headers = [...before, ...runs.headers, "Epochs", "Seal"];
  const table = {
    stem: "runs",
    title: "Runs",
    headers,
    words: headers.map((header) => ["Variant", "State", "Seal"].includes(header)),
    rows: runs.rows.map((run) => [run.variant, String(run.seed), run.state, ...run.scores, run.epochs, run.seal]),
    total: runs.total,
  };
  showTable(parent, table, {
    cell: (text, at) => (at === before.length - 1 || at === headers.length - 1 ? status(text) : null),
    detail: (place, row, redraw) => {
      const run = runs.rows[place];
      const open = state.open.has(run.run);
      const toggle = () => {
        if (!state.open.delete(run.run)) state.open.add(run.run);
        redraw();
        const again = document.querySelector(`[data-run="${CSS.escape(run.run)}"]`);
        if (again) again.focus();
      };
      const button = h("button", { type: "button", class: "quiet", "aria-expanded": String(open), "data-run": run.run, onclick: toggle }, open ? "Close" : "Details", h("span", { class: "unseen" }, ` of ${run.run}`));
      row.append(h("td", { class: "act" }, button));
      return open ? h("tr", { class: "detail" }, h("td", { colspan: headers.length + 1 }, details(run, runs))) : null;
    },
  });
}

function status(text) {
  return ["complete", "intact"].includes(text) ? text : h("strong", { class: "bad" }, text);
}

function details(run, runs) {
  const pairs = (entries) => entries.flatMap(([key, value]) => [h("dt", {}, key), h("dd", {}, value)]);
  const own = Object.entries(run.config);
  return h(
    "div",
    { class: "details" },
    h("h4", {}, "Repeat this run"),
    command(run.command),
    h("h4", {}, "Run"),
    h("dl", { class: "settings" }, ...pairs([["folder", run.run], ["id", run.id], ["seal", run.digest ? `${run.seal}, SHA-256 of status.json ${run.digest}…` : run.seal]])),
    h("h4", {}, "Settings in which runs differ"),
    own.length ? h("dl", { class: "settings" }, ...pairs(own)) : h("p", {}, "None."),
    h("h4", {}, "Versions and machine"),
    h("dl", { class: "settings" }, ...pairs(Object.entries(runs.versions[run.versions] || {}))),
  );
}

/** Return a command with a button that copies it. */
function command(text) {
  if (!text) return h("p", {}, "Its config cannot be read.");
  const code = h("code", {}, text);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(code); // a browser may forbid the clipboard to a local file
      button.textContent = "Selected";
    }
  };
  const button = h("button", { type: "button", class: "quiet", onclick: copy }, "Copy");
  return h("div", { class: "command" }, h("pre", { tabindex: 0, role: "region", "aria-label": "Command" }, code), button);
}
