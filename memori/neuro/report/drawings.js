"use strict";
// What the page draws: figures of outputs, the graph, the stages, and the last run over time.
// It is one script with report.js, which begins.

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
  const counted = told.stages.map((stage) => Object.entries(stage.states).map(([state, count]) => `${SIGNS[state]} ${count}`).join("   "));
  const width = 24 + Math.max(...told.stages.map((stage, place) => Math.max(Math.min(stage.name.length, 26), counted[place].length))) * 7.2;
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
    const go = () => $(`stage-${place}`).scrollIntoView({ block: "center" });
    return el("svg:g", { class: `node ${stage.states.failed ? "failed" : ""}`, onclick: go },
      el("svg:title", {}, `${stage.name}: ${stage.function}`),
      el("svg:rect", { x, y, width, height, rx: 6 }),
      el("svg:text", { x: x + 10, y: y + 17 }, stage.name.slice(0, 26)),
      el("svg:text", { x: x + 10, y: y + 33, class: "soft" }, counted[place]));
  });
  const [w, h] = [16 + columns.length * (width + gap) - gap, 16 + tallest * (height + 14)];
  const words = told.edges.map(([above, below]) => `${told.stages[above].name} to ${told.stages[below].name}`).join(", ");
  $("graph").append(el("svg:svg", { width: w, height: h, viewBox: `0 0 ${w} ${h}`, role: "img", "aria-label": `Graph: ${words || "no stage made anything for another"}` }, ...edges, ...nodes));
}

function drawStages() {
  const heads = ["stage", "", "why it ran", "median", "longest", "all", "memory"];
  const most = Math.max(1, ...told.stages.map((stage) => stage.total));
  const rows = told.stages.map((stage, place) => {
    const states = Object.entries(stage.states).map(([state, count]) => el("span", { class: state, title: MEANS[state] }, `${SIGNS[state]} ${count} `));
    const why = stage.why.length ? reasons(stage.why.map(([count, why]) => (count > 1 ? `${count} × ${why}` : why))) : el("span", { class: "soft" }, "did not run; it is remembered");
    const number = (value) => el("td", { class: "number" }, value === null ? "" : duration(value));
    const share = el("td", { class: "number" }, el("meter", { value: stage.total, max: most, "aria-label": `share of ${stage.name}` }), ` ${duration(stage.total)}`);
    if (stage.edits.length) why.append(folded("the edit, as a diff", ...stage.edits.map(diff)));
    return el("tr", { id: `stage-${place}` }, el("th", { scope: "row", title: stage.function }, stage.name), el("td", {}, ...states), el("td", {}, why),
      number(stage.median), number(stage.most), share, el("td", { class: "number" }, stage.peak ? `≤ ${size(stage.peak)}` : ""));
  });
  $("stages").append(el("thead", {}, el("tr", {}, ...heads.map((head) => el("th", { scope: "col" }, head)))), el("tbody", {}, ...rows));
}

const colourOf = (column) => `oklch(var(--bar) 0.13 ${(25 + column * 137.5) % 360})`;

function drawTime() {
  const { bars, lanes, start } = told.timeline;
  if (!bars.length) { $("span").textContent = "nothing ran"; return; }
  const whole = Math.max(...bars.map((bar) => bar[3] + bar[4]), 0.001);
  const [width, high] = [1180, Math.max(6, Math.min(18, 420 / lanes))];
  const x = (seconds) => (seconds / whole) * (width - 2);
  const drawn = bars.map(([row, column, lane, from, seconds, peak]) => el("svg:rect",
    { x: x(from), y: lane * (high + 2), width: Math.max(1.5, x(seconds)), height: high, rx: 2,
      style: `fill: ${colourOf(column)}; stroke: var(--card)`, "stroke-width": 0.5 },
    el("svg:title", {}, `${told.stages[column].name}, ${told.cases[row]}: ${duration(seconds)}${peak ? `, at most ${size(peak)}` : ""}`)));
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((part) => el("svg:text", { class: "soft", x: x(whole * part), y: lanes * (high + 2) + 16,
    "text-anchor": part === 0 ? "start" : part === 1 ? "end" : "middle" }, part ? duration(whole * part) : "0"));
  const below = lanes * (high + 2) + 22;
  const memory = drawMemory(bars, x, below);
  const height = below + (memory.length ? 64 : 0);
  const words = `Timeline: ${bars.length} runs in ${duration(whole)}${memory.length ? `, at most ${size(Math.max(...bars.map((bar) => bar[5])))} of memory` : ""}`;
  $("timeline").append(el("svg:svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": words }, ...drawn, ...ticks, ...memory));
  const used = [...new Set(bars.map((bar) => bar[1]))].sort((a, b) => a - b);
  const key = used.map((column) => el("span", {}, el("span", { style: `color: ${colourOf(column)}`, "aria-hidden": "true" }, "■ "), `${told.stages[column].name}  `));
  const out = told.timeline.left_out ? ` ${told.timeline.left_out} of the shortest are left out.` : "";
  $("span").append(`The last run began ${date(start)} and took ${duration(whole)}; what lies below each other ran at once.${out} Memory is a bound: the most that the process had held by then.`, el("br"), ...key);
}

// The most that the process of any run had held, over time.
function drawMemory(bars, x, top) {
  const most = Math.max(...bars.map((bar) => bar[5]));
  if (!most) return [];
  const moments = [...new Set(bars.flatMap((bar) => [bar[3], bar[3] + bar[4]]))].sort((a, b) => a - b);
  const y = (peak) => top + 58 - 44 * (peak / most);
  let path = `M0,${y(0)}`;
  for (const [place, from] of moments.slice(0, -1).entries()) {
    const peak = Math.max(0, ...bars.filter((bar) => bar[3] <= from && bar[3] + bar[4] > from).map((bar) => bar[5]));
    path += `L${x(from)},${y(peak)}L${x(moments[place + 1])},${y(peak)}`;
  }
  return [el("svg:path", { class: "memory", d: `${path}L${x(moments[moments.length - 1])},${y(0)}Z` }),
    el("svg:text", { class: "soft", x: 0, y: top + 11 }, `memory, at most ${size(most)}`)];
}
