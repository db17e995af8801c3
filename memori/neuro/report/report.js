"use strict";
// All that is shown comes from JSON and goes in as text: no value is ever parsed as markup.

const told = JSON.parse(document.getElementById("summary").textContent);
const SIGNS = { ran: "▶", hit: "✓", failed: "✗", running: "…", skipped: "–" };
const MEANS = {
  ran: "ran in the last run", hit: "remembered: had not to run", failed: "failed",
  running: "goes on", skipped: "not begun, because another stage of the case failed",
};
const $ = (id) => document.getElementById(id);

function el(tag, attributes = {}, ...children) {
  const made = tag.startsWith("svg:")
    ? document.createElementNS("http://www.w3.org/2000/svg", tag.slice(4))
    : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((each) => each !== null && each !== undefined));
  return made;
}

function duration(seconds) {
  if (seconds < 0.001) return "< 1 ms";
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 90) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

function size(bytes) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let place = 0;
  while (bytes >= 1000 && place < 4) { bytes /= 1000; place += 1; }
  return `${bytes < 10 && place ? bytes.toFixed(1) : Math.round(bytes)} ${units[place]}`;
}

const date = (seconds) => new Date(seconds * 1000).toLocaleString();
const stateOf = (cell) => told.states[cell[0]];

// Packed parts

const parts = new Map();
function part(name) {
  const holder = $(name);
  if (holder === null) return Promise.resolve(null);
  if (!parts.has(name)) {
    const bytes = Uint8Array.from(atob(holder.textContent), (each) => each.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    parts.set(name, new Response(stream).json());
  }
  return parts.get(name);
}

// The grid

const only = { state: null, words: [] };
let shownCases = [];
const AT_ONCE = 150;

const texts = told.cases.map((name, row) => {
  const states = told.cells[row].map((cell, column) =>
    cell ? `${told.stages[column].name}:${stateOf(cell)}` : "");
  return `${name} ${states.join(" ")}`.toLowerCase();
});
for (const [row, , line] of told.failures) texts[row] += ` ${line.toLowerCase()}`;

function fits(row) {
  const hasState = only.state === null
    || told.cells[row].some((cell) => cell && stateOf(cell) === only.state);
  return hasState && only.words.every((word) => texts[row].includes(word));
}

function cellButton(row, column) {
  const cell = told.cells[row][column];
  if (!cell) return el("td");
  const state = stateOf(cell);
  const time = cell[2] ? duration(cell[1]) : "";
  const times = cell[3] > 1 ? `${cell[3]} × ` : "";
  const more = `${cell[3] > 1 ? `, ${cell[3]} runs in all, as of the elements of a list` : ""}${cell[2] > cell[3] ? `, ${cell[2] - cell[3]} of before` : ""}`;
  const words = `${told.cases[row]}, ${told.stages[column].name}: ${MEANS[state]}`;
  return el("td", {}, el("button", {
    class: `cell ${state}`, type: "button", "data-row": row, "data-column": column,
    "aria-label": `${words}${time ? `, ${time}` : ""}${more}`, disabled: !cell[2],
    title: `${words}${more}`,
  }, `${SIGNS[state]} ${times}${time}`));
}

function addRows(body) {
  const begin = body.rows.length;
  for (const row of shownCases.slice(begin, begin + AT_ONCE)) {
    body.append(el("tr", {}, el("th", { scope: "row" }, told.cases[row]),
      ...told.stages.map((_, column) => cellButton(row, column))));
  }
  const left = shownCases.length - body.rows.length;
  $("more").replaceChildren(...(left > 0
    ? [el("button", { type: "button", onclick: () => addRows(body) }, `Show ${Math.min(left, AT_ONCE)} more of ${left}`)]
    : []));
}

function drawGrid() {
  shownCases = told.cases.map((_, row) => row).filter(fits);
  const heads = told.stages.map((stage) => el("th", { scope: "col" }, stage.name));
  const body = el("tbody");
  $("cells").replaceChildren(el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "case"), ...heads)), body);
  addRows(body);
  $("count").textContent = `${shownCases.length} of ${told.cases.length} cases`;
}

function choose(state) {
  only.state = only.state === state ? null : state;
  for (const each of $("states").children) {
    each.setAttribute("aria-pressed", String(each.dataset.state === only.state));
  }
  drawGrid();
}

$("search").addEventListener("input", () => {
  only.words = $("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  drawGrid();
});
$("cells").addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button) openRun(Number(button.dataset.row), Number(button.dataset.column));
});
$("cells").closest(".wide").addEventListener("scroll", (event) => {
  const box = event.target;
  const body = $("cells").tBodies[0];
  if (body.rows.length < shownCases.length && box.scrollTop + box.clientHeight > box.scrollHeight - 400) addRows(body);
});

// Keys

function goAbout(event) {
  const at = document.activeElement.closest?.("#cells td");
  const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  if (!at || !steps[event.key]) return false;
  let [row, column] = [at.parentElement.sectionRowIndex, at.cellIndex];
  const rows = at.closest("tbody").rows;
  do {
    row += steps[event.key][0];
    column += steps[event.key][1];
    const next = rows[row]?.cells[column]?.querySelector("button:enabled");
    if (next) { next.focus(); return true; }
  } while (rows[row] && column > 0 && column <= told.stages.length);
  return true;
}

let atFailure = -1;
document.addEventListener("keydown", (event) => {
  const typing = /^(input|select|textarea)$/i.test(event.target.tagName) || document.querySelector("dialog[open]");
  if (event.key === "Escape" && event.target === $("search")) { $("search").blur(); return; }
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "/") { $("search").focus(); event.preventDefault(); }
  else if (event.key === "?") $("keys").showModal();
  else if (event.key === "0") { $("search").value = ""; only.words = []; choose(only.state); }
  else if (told.states[event.key - 1]) choose(told.states[event.key - 1]);
  else if (event.key === "f" && told.failures.length) {
    atFailure = (atFailure + 1) % $("failures").querySelectorAll("details").length;
    const next = $("failures").querySelectorAll("details")[atFailure];
    next.open = true;
    next.querySelector("summary").focus();
  } else if (goAbout(event)) event.preventDefault();
});
$("help").addEventListener("click", () => $("keys").showModal());

// One run

const list = (pairs) => el("dl", {}, ...pairs.flatMap(([name, ...value]) =>
  [el("dt", {}, name), el("dd", {}, ...value)]));
const titled = (title, ...children) => [el("h3", {}, title), ...children];
const folded = (title, ...children) => el("details", {}, el("summary", {}, title), ...children);
const KINDS = { "+": "added", "-": "removed", "@": "place" };
const diff = (text) => el("pre", { class: "diff", tabindex: "0", "aria-label": "what was edited" }, ...text.split("\n").map((line) =>
  el("span", { class: /^(\+\+\+|---)/.test(line) ? "place" : KINDS[line[0]] ?? "same" }, `${line}\n`)));
const reasons = (why) => el("ul", { class: "why" }, ...why.map((each) => el("li", {}, each)));

function failureText(run) {
  const made = [el("pre", { tabindex: "0" }, run.failure)];
  if (run.reproduce) made.push(el("p", {}, "To run this stage alone, with the same inputs:"), el("pre", {}, `python ${run.reproduce}`));
  for (const [name, text] of run.logs) made.push(folded(name, el("pre", { tabindex: "0" }, text)));
  return made;
}

const otherRun = (each) => el("details", {}, el("summary", { class: each.state }, `${SIGNS[each.state]} ${each.inputs || each.title}`),
  el("p", { class: "hint" }, `${each.title}, ${date(each.at)}`), reasons(each.why), each.outputs ? el("p", {}, each.outputs) : null);

function runParts(run) {
  const made = [];
  if (run.failure) made.push(...failureText(run));
  if (run.reasons) made.push(...titled("Why it ran", reasons(run.reasons), ...run.edits.map(diff)));
  if (run.changed?.length) made.push(...titled("What changed since the run before", list(run.changed)));
  if (run.inputs.length) made.push(...titled("Inputs", list(run.inputs)));
  if (run.files.length) made.push(...titled("Files among them", list(run.files)));
  if (run.fed_by.length) made.push(el("p", {}, `made by ${run.fed_by.join(", ")}`));
  if (run.outputs) made.push(...titled("Outputs", list(run.outputs)));
  if (run.command) made.push(...titled("Command", el("pre", { tabindex: "0" }, run.command)));
  if (!run.failure) for (const [name, text] of run.logs) made.push(folded(name, el("pre", { tabindex: "0" }, text)));
  if (run.function) {
    made.push(...titled("Code", list([["function", run.function], ["digest", run.code]])));
    made.push(folded(`${run.components.length} part${run.components.length === 1 ? "" : "s"} that it reaches`, el("pre", { tabindex: "0" }, run.components.join("\n"))));
    made.push(...titled("Versions", list(run.versions)));
  }
  for (const [title, isLast] of [["Other runs of the stage in the last run", true], ["Other runs that are remembered", false]]) {
    const others = run.earlier.filter((each) => each.last === isLast);
    if (others.length) made.push(...titled(title, ...others.map(otherRun)));
  }
  if (run.more_earlier) made.push(el("p", {}, `and ${run.more_earlier} more`));
  return made;
}

async function openRun(row, column) {
  const dialog = $("run");
  const title = el("h2", { id: "run-title" }, `${told.stages[column].name}, ${told.cases[row]}`);
  const close = el("button", { type: "button", onclick: () => dialog.close() }, "Close");
  dialog.replaceChildren(el("div", { class: "head" }, title, close));
  if (!dialog.open) dialog.showModal();
  const run = (await part(`case-${row}`))?.[column];
  if (!run) { dialog.append(el("p", {}, "The details are left out to keep the file small.")); return; }
  const took = run.at ? `, at ${run.at} on ${run.host}` : "";
  const memory = run.peak ? `, at most ${size(run.peak)} of memory` : "";
  dialog.append(el("p", { class: run.state }, `${SIGNS[run.state]} ${MEANS[run.state]}`),
    el("p", { class: "hint" }, `${duration(run.seconds)}${took}${memory}`),
    el("p", { class: "hint" }, run.folder));
  const figures = (await part(`figures-${row}`))?.[column];
  const drawn = figures ? [el("div", { class: "figures" }, ...figures.map((each) => drawFigure(each)))] : [];
  const [first, rest] = [run.failure ? runParts(run) : [], run.failure ? [] : runParts(run)];
  dialog.append(...first, ...drawn, ...rest);
}

// All of it

function drawChanges() {
  const { changes } = told;
  const edits = [...new Set(told.stages.flatMap((stage) => stage.edits))];
  $("changed").hidden = !changes.length && !edits.length;
  $("changes").append(...changes.map((each) => el("li", {}, el("b", {}, each.reason),
    ` ran ${each.stages.join(", ")}${each.count > 1 ? ` (${each.count} runs)` : ""}`)));
  $("edits").append(...edits.map(diff));
}

function tellLastRun() {
  const { bars } = told.timeline;
  const count = (state) => told.stages.reduce((sum, stage) => sum + (stage.states[state] ?? 0), 0);
  const words = told.states.filter(count).map((state) => el("span", { class: `tile ${state}` }, el("b", {}, `${count(state)}`), { hit: " remembered" }[state] ?? ` ${state}`));
  if (bars.length) {
    const peak = Math.max(...bars.map((bar) => bar[5]));
    words.push(el("span", { class: "tile" }, el("b", {}, duration(Math.max(...bars.map((bar) => bar[3] + bar[4])))), " the last run"));
    if (peak) words.push(el("span", { class: "tile" }, el("b", {}, size(peak)), " of memory at most"));
  }
  $("lede").append(...words);
}

function begin() {
  $("where").textContent = told.folder;
  const runs = told.stages.reduce((sum, stage) => sum + stage.runs, 0);
  $("when").textContent = `${told.cases.length} cases, ${told.stages.length} stages, ${runs} runs; written ${told.made} by memori ${told.memori}`;
  $("notes").append(...told.notes.map((note) => el("li", {}, note)));
  told.states.forEach((state, place) => {
    const count = told.stages.reduce((sum, stage) => sum + (stage.states[state] ?? 0), 0);
    if (count) {
      $("states").append(el("button", { type: "button", class: state, "data-state": state, "aria-pressed": "false", title: `${MEANS[state]} (key ${place + 1})`,
        onclick: () => choose(state) }, `${SIGNS[state]} ${count} ${state}`));
    }
    $("legend").append(el("span", { class: state }, `${SIGNS[state]} `), `${MEANS[state]}. `);
  });
  for (const [row, column, line] of told.failures.slice(0, 200)) {
    const box = el("details", { class: "failure" }, el("summary", {}, el("strong", {}, `${told.stages[column].name}, ${told.cases[row]}`), ` ${line}`));
    box.addEventListener("toggle", async () => {
      if (!box.open || box.children.length > 1) return;
      const run = (await part(`case-${row}`))?.[column];
      box.append(...(run ? [...failureText(run), el("button", { type: "button", onclick: () => openRun(row, column) }, "All about this run")] : [el("p", {}, "The details are left out.")]));
    });
    $("failures").append(box);
  }
  if (told.failures.length > 200) $("failures").append(el("p", {}, `and ${told.failures.length - 200} more: show failed cases in the grid`));
  $("failed").hidden = !told.failures.length;
  tellLastRun();
  drawChanges();
  drawGrid();
  if (told.stages.length) { drawGraph(); drawStages(); }
  drawTime();
  if (told.pictured.length) {
    $("seen").hidden = false;
    $("case").append(...told.pictured.map((row) => el("option", { value: row }, told.cases[row])));
    $("case").addEventListener("change", drawPictures);
    drawPictures();
  }
}
begin();
