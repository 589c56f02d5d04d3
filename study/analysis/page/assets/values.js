"use strict";
// Shared by the other scripts: elements, numbers, colours, and what the reader has chosen.

const state = {
  filters: {}, // by table: the text
  sorts: {}, // by table: [column, 1 or -1]
  hidden: new Set(), // keys of variants that charts do not show
  curve: null, // name of the choice of learning curves
  epoch: null, // of the weights; null: the last one
  parameter: null,
  strengths: [null, null], // measures over λ, left and right
  difference: null, // measure of the differences
  open: new Set(), // runs whose details are open
};

/** Create an element. Text is set as text, never as HTML. */
function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  return filled(element, attributes, children);
}

/** Create an element of SVG. */
function s(tag, attributes, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [key, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Return a named part of an element, and make it the first time. What the reader typed into it stays. */
function part(parent, name, make) {
  for (const child of parent.children) if (child.dataset.part === name) return child;
  const child = make();
  child.dataset.part = name;
  parent.append(child);
  return child;
}

/** Remove the parts of an element whose names are not in a set. */
function keepParts(parent, names) {
  for (const child of [...parent.children]) if (child.dataset.part && !names.has(child.dataset.part)) child.remove();
}

/** Return a label that breaks at its commas, not within `λ = 3 · 10⁻⁴`. */
function unbroken(text) {
  return text.replace(/ ([=·]) /g, "\u00a0$1\u00a0");
}

/** Return the number that a cell begins with; NaN if it has none. */
function leading(text) {
  const found = /[-−+]?\d[\d.]*(?:e[-+]?\d+)?/.exec(text);
  return found && found.index <= 2 ? Number(found[0].replace("−", "-")) : NaN;
}

/** Format a number for reading: so many significant digits, with the minus sign of mathematics. */
function shown(value, digits = 4) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  const size = Math.abs(value);
  const text = size && (size < 1e-3 || size >= 1e6) ? powered(value, digits) : String(Number(value.toPrecision(digits)));
  return text.replace("-", "−");
}

function powered(value, digits) {
  const [factor, exponent] = value.toExponential(Math.min(digits - 1, 2)).split("e");
  const raised = [...String(Number(exponent))].map((c) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[c] || "⁻").join("");
  const short = String(Number(factor));
  return short === "1" ? `10${raised}` : short === "-1" ? `−10${raised}` : `${short} · 10${raised}`;
}

function signed(value, decimals) {
  if (value === null) return "–";
  const text = Math.abs(value).toFixed(decimals);
  return Number(text) === 0 ? text : (value > 0 ? "+" : "−") + text;
}

const theme = { printing: false };

function isDark() {
  return !theme.printing && matchMedia("(prefers-color-scheme: dark)").matches;
}

// On paper, as page.css has them there: when a browser asks to prepare for it, styles are still those of the screen.
const PAPER = { paper: "#ffffff", muted: "#444444", rule: "#dddddd" };

function token(name) {
  return theme.printing ? PAPER[name] : getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

const probe = document.createElement("canvas").getContext("2d");
const adjusted = new Map();

/** Return a variant's colour as it is drawn. On a dark page, all colours become lighter, and dark ones most. */
function tone(colour) {
  if (!isDark()) return colour;
  if (!adjusted.has(colour)) {
    probe.fillStyle = "#888888";
    probe.fillStyle = colour;
    const channels = [1, 3, 5].map((at) => parseInt(String(probe.fillStyle).slice(at, at + 2), 16));
    adjusted.set(colour, `rgb(${onDark(channels).join(",")})`);
  }
  return adjusted.get(colour);
}

/** Return a colour for the dark page. Shades keep their order, their hue, and 70 % of their differences in lightness. */
function onDark(channels) {
  const grey = Math.max(...channels) - Math.min(...channels) < 8;
  const lightness = lightnessOf(channels);
  if (grey && lightness < 42) return [228, 231, 234]; // black becomes the colour of text
  const wanted = luminanceAt(Math.max(44, 29 + 0.7 * lightness));
  const light = channels.map(toLight);
  const factor = Math.min(wanted / luminance(light), 1 / Math.max(...light)); // brighter
  const bright = light.map((c) => c * factor);
  const white = Math.max(0, (wanted - luminance(bright)) / (1 - luminance(bright))); // and paler where that is not enough
  return bright.map((c) => Math.round(255 * fromLight(c + (1 - c) * white)));
}

// Channels as sRGB stores them (0 to 255) and as light (0 to 1), and lightness as CIELAB has it (0 to 100)
const toLight = (c) => ((c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
const fromLight = (c) => (c <= 0.0031308 ? 12.92 * c : 1.055 * c ** (1 / 2.4) - 0.055);
const luminance = ([r, g, b]) => 0.2126 * r + 0.7152 * g + 0.0722 * b;
const lightnessOf = (channels) => 116 * Math.cbrt(Math.max(luminance(channels.map(toLight)), 0.00886)) - 16;
const luminanceAt = (lightness) => ((lightness + 16) / 116) ** 3;

/** Return a short sample of a variant's line. */
function swatch(variant) {
  const line = s("line", { x1: 1, y1: 5, x2: 25, y2: 5, "stroke-width": 2.5, "stroke-dasharray": dashes(variant).join(" ") });
  line.style.stroke = tone(variant.colour);
  return s("svg", { class: "swatch", width: 26, height: 10, "aria-hidden": "true" }, line);
}

function dashes(variant, width = 2) {
  return variant.dash.map((length) => length * width);
}
