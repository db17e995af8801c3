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
  const more = cell[2] > 1 ? `, ${cell[2]} runs are remembered` : "";
  const words = `${told.cases[row]}, ${told.stages[column].name}: ${MEANS[state]}`;
  return el("td", {}, el("button", {
    class: `cell ${state}`, type: "button", "data-row": row, "data-column": column,
    "aria-label": `${words}${time ? `, ${time}` : ""}${more}`, disabled: !cell[2],
    title: `${words}${more}`,
  }, `${SIGNS[state]} ${time}`));
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
const reasons = (why) => el("ul", { class: "why" }, ...why.map((each) => el("li", {}, each)));

function failureText(run) {
  const made = [el("pre", { tabindex: "0" }, run.failure)];
  if (run.reproduce) made.push(el("p", {}, "To run this stage alone, with the same inputs:"), el("pre", {}, `python ${run.reproduce}`));
  for (const [name, text] of run.logs) made.push(folded(name, el("pre", { tabindex: "0" }, text)));
  return made;
}

function runParts(run) {
  const made = [];
  if (run.failure) made.push(...failureText(run));
  if (run.reasons) made.push(...titled("Why it ran", reasons(run.reasons)));
  if (run.changed?.length) made.push(...titled("What changed since the run before", list(run.changed)));
  if (run.inputs.length) made.push(...titled("Inputs", list(run.inputs)));
  if (run.files.length) made.push(...titled("Files among them", list(run.files)));
  if (run.fed_by.length) made.push(el("p", {}, `made by ${run.fed_by.join(", ")}`));
  if (run.outputs) made.push(...titled("Outputs", list(run.outputs)));
  if (run.command) made.push(...titled("Command", el("pre", { tabindex: "0" }, run.command)));
  if (!run.failure) for (const [name, text] of run.logs) made.push(folded(name, el("pre", { tabindex: "0" }, text)));
  if (run.function) {
    made.push(...titled("Code", list([["function", run.function], ["digest", run.code]])));
    made.push(folded(`${run.components.length} parts that it reaches`, el("pre", { tabindex: "0" }, run.components.join("\n"))));
    made.push(...titled("Versions", list(run.versions)));
  }
  if (run.earlier.length) {
    made.push(...titled("Other runs that are remembered"));
    for (const each of run.earlier) made.push(folded(`${each.title}, ${date(each.at)}`, el("p", {}, each.inputs), reasons(each.why)));
    if (run.more_earlier) made.push(el("p", {}, `and ${run.more_earlier} more`));
  }
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

// Figures

function drawFigure(figure, stage = "") {
  const caption = el("figcaption", {}, el("strong", {}, stage ? `${stage}: ${figure.title}` : figure.title), ` ${figure.file}`,
    figure.note ? el("small", {}, figure.note) : null);
  const made = el("figure", {}, caption);
  if (figure.kind === "image") made.append(el("img", { src: figure.src, alt: figure.alt, loading: "lazy" }));
  if (figure.kind === "slices") drawSlices(made, figure);
  if (figure.kind === "lines") made.append(el("div", { class: "lines" }, ...figure.columns.map(drawLine)));
  return made;
}

function drawSlices(made, figure) {
  const planes = ["sagittal", "coronal", "axial"].map((plane) => el("div", { role: "img", "aria-label": `${figure.alt}, ${plane} slice` }));
  let [sheet, column] = [0, 8];
  const label = el("small", {}, "");
  const box = el("div", { class: "planes" }, ...planes);
  const show = () => planes.forEach((each, row) => {
    each.style.backgroundImage = `url("${figure.sheets[sheet].src}")`;
    each.style.backgroundPosition = `${(column / 15) * 100}% ${row * 50}%`;
    label.textContent = figure.sheets[sheet].label;
  });
  const range = el("input", { type: "range", min: 0, max: 15, value: column, "aria-label": `slice of ${figure.title}`,
    oninput: () => { column = Number(range.value); show(); } });
  const tools = el("div", { class: "tools" }, range);
  if (figure.sheets.length > 1) {
    tools.append(el("button", { type: "button", onclick: () => { sheet = (sheet + 1) % figure.sheets.length; show(); } }, "Before / after"));
  }
  if (figure.viewer) {
    tools.append(el("button", { type: "button", onclick: (event) => {
      event.target.remove();
      made.classList.add("tall");
      box.hidden = range.hidden = label.hidden = true;
      made.append(el("iframe", { sandbox: "allow-scripts", srcdoc: figure.viewer, title: `slice viewer of ${figure.title}` }));
    } }, "Slice viewer"));
  }
  show();
  made.append(box, tools, label);
  if (figure.carpet) made.append(el("img", { class: "carpet", src: figure.carpet, alt: `carpet plot of ${figure.title}: a row a voxel, time to the right` }));
}

function drawLine(column) {
  const known = column.points.filter((each) => each !== null);
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const points = column.points.map((value, place) => value === null ? "" :
    `${(100 * place / Math.max(1, column.points.length - 1)).toFixed(2)},${(38 - 36 * (value - low) / (high - low || 1)).toFixed(2)}`);
  const words = `${column.name}: from ${low} to ${high}`;
  return el("div", {}, el("b", {}, column.name), el("svg:svg", { viewBox: "0 0 100 40", preserveAspectRatio: "none", role: "img", "aria-label": words },
    el("svg:polyline", { points: points.filter(Boolean).join(" ") })), el("small", {}, `${low} … ${high}`));
}

async function drawPictures() {
  const row = $("case").value;
  const figures = await part(`figures-${row}`);
  const made = Object.entries(figures ?? {}).flatMap(([column, each]) =>
    each.map((figure) => drawFigure(figure, told.stages[column].name)));
  if (row === $("case").value) $("pictures").replaceChildren(...made);
}

// Graph and time

function drawGraph() {
  const columns = [];
  told.stages.forEach((stage, place) => (columns[stage.level] ??= []).push(place));
  const width = 24 + Math.max(...told.stages.map((stage) => Math.min(stage.name.length, 26))) * 7.2;
  const [gap, height] = [46, 40];
  const tallest = Math.max(...columns.map((each) => each.length));
  const at = [];
  columns.forEach((each, level) => each.forEach((place, row) => {
    at[place] = [8 + level * (width + gap), 8 + (row + (tallest - each.length) / 2) * (height + 14)];
  }));
  const edges = told.edges.map(([above, below]) => {
    const [x0, y0, x1, y1] = [at[above][0] + width, at[above][1] + height / 2, at[below][0], at[below][1] + height / 2];
    const bend = Math.max(20, (x1 - x0) / 2);
    return el("svg:path", { class: "edge", d: `M${x0},${y0}C${x0 + bend},${y0} ${x1 - bend},${y1} ${x1},${y1}` });
  });
  const nodes = told.stages.map((stage, place) => {
    const [x, y] = at[place];
    const counts = Object.entries(stage.states).map(([state, count]) => `${SIGNS[state]} ${count}`).join("  ");
    const go = () => $(`stage-${place}`).scrollIntoView({ block: "center" });
    return el("svg:g", { class: `node ${stage.states.failed ? "failed" : ""}`, onclick: go },
      el("svg:title", {}, `${stage.name}: ${stage.function}`),
      el("svg:rect", { x, y, width, height, rx: 6 }),
      el("svg:text", { x: x + 10, y: y + 17 }, stage.name.slice(0, 26)),
      el("svg:text", { x: x + 10, y: y + 33, class: "soft" }, counts));
  });
  const [w, h] = [16 + columns.length * (width + gap) - gap, 16 + tallest * (height + 14)];
  const words = told.edges.map(([above, below]) => `${told.stages[above].name} to ${told.stages[below].name}`).join(", ");
  $("graph").append(el("svg:svg", { width: w, height: h, viewBox: `0 0 ${w} ${h}`, role: "img", "aria-label": `Graph: ${words || "no stage made files for another"}` }, ...edges, ...nodes));
}

function drawStages() {
  const heads = ["stage", "", "why it ran", "median", "longest", "all", "memory"];
  const most = Math.max(1, ...told.stages.map((stage) => stage.total));
  const rows = told.stages.map((stage, place) => {
    const states = Object.entries(stage.states).map(([state, count]) => el("span", { class: state, title: MEANS[state] }, `${SIGNS[state]} ${count} `));
    const why = stage.why.length ? reasons(stage.why.map(([count, why]) => (count > 1 ? `${count} × ${why}` : why))) : el("span", { class: "soft" }, "did not run; it is remembered");
    const number = (value) => el("td", { class: "number" }, value === null ? "" : duration(value));
    const share = el("td", { class: "number" }, el("meter", { value: stage.total, max: most, "aria-label": `share of ${stage.name}` }), ` ${duration(stage.total)}`);
    return el("tr", { id: `stage-${place}` }, el("th", { scope: "row", title: stage.function }, stage.name), el("td", {}, ...states), el("td", {}, why),
      number(stage.median), number(stage.most), share, el("td", { class: "number" }, stage.peak ? `≤ ${size(stage.peak)}` : ""));
  });
  $("stages").append(el("thead", {}, el("tr", {}, ...heads.map((head) => el("th", { scope: "col" }, head)))), el("tbody", {}, ...rows));
}

function drawTime() {
  const { bars, lanes, start } = told.timeline;
  if (!bars.length) { $("span").textContent = "nothing ran"; return; }
  const whole = Math.max(...bars.map((bar) => bar[3] + bar[4]), 0.001);
  const [width, high] = [1180, Math.max(6, Math.min(18, 420 / lanes))];
  const x = (seconds) => (seconds / whole) * (width - 2);
  const drawn = bars.map(([row, column, lane, from, seconds, peak]) => el("svg:rect",
    { x: x(from), y: lane * (high + 2), width: Math.max(1.5, x(seconds)), height: high, rx: 2,
      fill: `hsl(${(column * 137.5) % 360} 50% 52%)`, stroke: "var(--card)", "stroke-width": 0.5 },
    el("svg:title", {}, `${told.stages[column].name}, ${told.cases[row]}: ${duration(seconds)}${peak ? `, at most ${size(peak)}` : ""}`)));
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((part) => el("svg:text", { class: "soft", x: x(whole * part), y: lanes * (high + 2) + 16,
    "text-anchor": part === 0 ? "start" : part === 1 ? "end" : "middle" }, duration(whole * part)));
  const height = lanes * (high + 2) + 22;
  $("timeline").append(el("svg:svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `Timeline: ${bars.length} runs in ${duration(whole)}` }, ...drawn, ...ticks));
  const used = [...new Set(bars.map((bar) => bar[1]))].sort((a, b) => a - b);
  const key = used.map((column) => el("span", {}, el("span", { style: `color: hsl(${(column * 137.5) % 360} 50% 52%)`, "aria-hidden": "true" }, "■ "), `${told.stages[column].name}  `));
  const out = told.timeline.left_out ? ` ${told.timeline.left_out} of the shortest are left out.` : "";
  $("span").append(`The last run began ${date(start)} and took ${duration(whole)}; what lies below each other ran at once.${out} Memory is a bound: the most that the process had held by then.`, el("br"), ...key);
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
