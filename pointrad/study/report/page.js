"use strict";
// Charts in SVG with hover and legends, sortable and filterable tables, before/after sliders. No library, no network.
(() => {
  const charts = JSON.parse(document.getElementById("charts").textContent);
  const tip = document.getElementById("tip");
  const MARKERS = { // paths within a radius of 4
    circle: "M4 0A4 4 0 1 1-4 0A4 4 0 1 1 4 0Z",
    square: "M-3.5-3.5H3.5V3.5H-3.5Z",
    triangle: "M0-4.5L4.3 3.3H-4.3Z",
    diamond: "M0-4.8L4.8 0 0 4.8-4.8 0Z",
    inverted: "M0 4.5L4.3-3.3H-4.3Z",
    plus: "M-1.5-4.5H1.5V-1.5H4.5V1.5H1.5V4.5H-1.5V1.5H-4.5V-1.5H-1.5Z",
    cross: "M0-2.1L2.6-4.7 4.7-2.6 2.1 0 4.7 2.6 2.6 4.7 0 2.1-2.6 4.7-4.7 2.6-2.1 0-4.7-2.6-2.6-4.7Z",
    star: "M0-5L1.2-1.6 4.8-1.5 1.9.6 2.9 4 0 2-2.9 4-1.9.6-4.8-1.5-1.2-1.6Z",
  };
  const MOST_CATEGORIES = 24; // named along x
  const PAGE = 100; // rows of a table
  const EYE = 4; // how far away clouds are seen from, in half their size
  const PRINTED_WIDTH = 340; // of a chart, pixels: half a page
  const redraws = []; // of each chart, at a width or as wide as there is room
  const BLACK = "#000000"; // is drawn in ink, so that it shows on dark paper

  function element(name, attributes = {}, text = "") {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.textContent = text;
    return made;
  }

  const colour = (line) => (line.colour === BLACK ? "var(--ink)" : line.colour);

  function marker(line, x, y, hollow = false) {
    const fill = line.published || hollow ? "var(--paper)" : colour(line);
    return element("path", { d: MARKERS[line.marker], transform: `translate(${x} ${y})`, fill, stroke: colour(line) });
  }

  /* Round numbers that cover [low, high], about `count` of them. */
  function ticks(low, high, count) {
    const rough = (high - low) / count;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = power * [1, 2, 2.5, 5, 10].find((factor) => factor * power >= rough * 0.999);
    const found = [];
    for (let index = Math.ceil(low / step - 1e-9); index * step <= high + 1e-9 * step; index++) found.push(index * step);
    return found.map((value) => Number(value.toPrecision(10)));
  }

  function range(values, margin) {
    const low = Math.min(...values), high = Math.max(...values);
    const extra = high > low ? (high - low) * margin : Math.abs(high) * 0.05 || 1;
    return [low - extra, high + extra];
  }

  /* Where values of a chart lie: common to all panels, and to the lines shown. */
  function ranges(chart, hidden) {
    const shown = chart.panels.flatMap((panel) => panel.lines.filter((line) => !hidden.has(line.name)));
    const points = shown.flatMap((line) => line.points);
    if (!points.length) return null;
    const gaps = shown.flatMap((line) => line.gaps);
    const ups = points.flatMap((point) => [
      point.y - (point.bar ?? 0), point.y + (point.bar ?? 0), ...point.repeats.map((repeat) => repeat[1]),
    ]);
    if (chart.of_differences) ups.push(0);
    const acrosses = [...points, ...gaps].flatMap((mark) => [mark.x, ...(mark.repeats ?? []).map((repeat) => repeat[0])]);
    const x = chart.categories ? [-0.5, chart.categories.length - 0.5] : range(acrosses, 0.04);
    return { x, y: range(ups, 0.06) };
  }

  function drawPanel(holder, width, chart, panel, hidden, limits) {
    const wordy = chart.categories && Math.max(...chart.categories.map((name) => name.length)) * 6.5 * chart.categories.length > width - 60;
    const left = 52, right = 8, top = 22, bottom = wordy ? 84 : 40;
    const height = Math.min(Math.max(width * 0.6, 190), 300) + (wordy ? 44 : 0);
    const x = (value) => left + ((value - limits.x[0]) / (limits.x[1] - limits.x[0])) * (width - left - right);
    const y = (value) => height - bottom - ((value - limits.y[0]) / (limits.y[1] - limits.y[0])) * (height - top - bottom);
    const svg = element("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img",
      "aria-label": `${chart.title}, ${panel.title}: the numbers are in the tables below` });
    svg.append(element("text", { class: "panel-title", x: left, y: 12 }, panel.title));
    for (const value of ticks(...limits.y, 6)) {
      svg.append(element("line", { class: "grid", x1: left, x2: width - right, y1: y(value), y2: y(value) }));
      svg.append(element("text", { x: left - 6, y: y(value) + 4, "text-anchor": "end" }, value.toLocaleString("en")));
    }
    svg.append(element("line", { class: "axis", x1: left, x2: width - right, y1: height - bottom, y2: height - bottom }));
    if (chart.of_differences) svg.append(element("line", { class: "axis", x1: left, x2: width - right, y1: y(0), y2: y(0) }));
    const every = Math.ceil((chart.categories?.length ?? 0) / MOST_CATEGORIES);
    const places = chart.categories ? chart.categories.map((name, index) => [index, name]).filter(([index]) => index % every === 0)
      : (chart.ticks ?? ticks(...limits.x, Math.min(8, width / 60))).map((value) => [value, value.toLocaleString("en")]);
    for (const [value, name] of places) {
      const slant = wordy ? { transform: `rotate(-30 ${x(value)} ${height - bottom + 14})`, "text-anchor": "end" } : { "text-anchor": "middle" };
      svg.append(element("line", { class: "axis", x1: x(value), x2: x(value), y1: height - bottom, y2: height - bottom + 4 }));
      svg.append(element("text", { x: x(value), y: height - bottom + 16, ...slant }, name));
    }
    svg.append(element("text", { x: (left + width - right) / 2, y: height - 4, "text-anchor": "middle" }, chart.x_label));
    svg.append(element("text", { transform: `translate(11 ${(top + height - bottom) / 2}) rotate(-90)`, "text-anchor": "middle" }, chart.y_label));
    const targets = [];
    const lines = panel.lines.filter((line) => !hidden.has(line.name));
    lines.forEach((line, index) => {
      // Where x is a category, lines stand beside each other.
      const aside = chart.categories ? 0.5 * ((index + 0.5) / lines.length - 0.5) : 0;
      drawLine(svg, chart, line, (value) => x(value + aside), y, targets);
      drawGaps(svg, line, (value) => x(value + aside), (share) => height - bottom - share * (height - top - bottom), targets);
    });
    namePoints(svg, chart, targets);
    svg.addEventListener("pointermove", (event) => hover(event, svg, width, targets, chart));
    svg.addEventListener("pointerleave", hideTip);
    holder.replaceChildren(svg);
  }

  function drawLine(svg, chart, line, x, y, targets) {
    const stroke = colour(line);
    for (const point of line.points) {
      if (point.repeats.length > 1) for (const [across, up] of point.repeats) {
        svg.append(element("circle", { class: "repeat", cx: x(across), cy: y(up), r: 2.5, fill: stroke, opacity: 0.35 }));
      }
      if (point.bar === null) continue;
      const at = x(point.x), high = y(point.y + point.bar), low = y(point.y - point.bar);
      svg.append(element("path", { d: `M${at} ${high}V${low}M${at - 3} ${high}h6M${at - 3} ${low}h6`, stroke, fill: "none" }));
    }
    if (chart.joined && line.points.length) {
      const path = line.points.map((point, index) => {
        const before = line.points[index - 1];
        const apart = !before || line.gaps.some((gap) => before.x < gap.x && gap.x < point.x);
        return `${apart ? "M" : "L"}${x(point.x)} ${y(point.y)}`;
      }).join("");
      svg.append(element("path", { d: path, stroke, fill: "none", "stroke-width": 1.8, "stroke-dasharray": line.published ? "5 4" : "none" }));
    }
    for (const point of line.points) {
      const drawn = marker(line, x(point.x), y(point.y), point.count !== "");
      drawn.setAttribute("class", point.count ? "point few" : "point");
      svg.append(drawn);
      targets.push({ line, point, x: x(point.x), y: y(point.y) });
    }
  }

  /* How many repeats there are of how many, and settings that x is not; where names would cover each other, the first. */
  function namePoints(svg, chart, targets) {
    const taken = [];
    const name = (text, x, y, attributes) => {
      const width = 6 * text.length;
      const box = { left: x - width / 2, right: x + width / 2, top: y - 10, bottom: y };
      if (taken.some((other) => box.left < other.right && other.left < box.right && box.top < other.bottom && other.top < box.bottom)) return;
      taken.push(box);
      svg.append(element("text", { x, y, "text-anchor": "middle", ...attributes }, text));
    };
    for (const { line, point, x, y } of targets) {
      if (point.count) name(point.count, x + 14, y + 13, { class: "count", style: `fill: ${colour(line)}` });
    }
    for (const { line, point, x, y } of targets) {
      if (!chart.joined && !chart.categories && !line.published) name(point.short, x, y - 8, { class: "short" });
    }
  }

  /* A cross above the axis for each setting without a value. */
  function drawGaps(svg, line, x, above, targets) {
    for (const gap of line.gaps) {
      const at = { x: x(gap.x), y: above(gap.height) };
      svg.append(cross(at.x, at.y, colour(line)));
      targets.push({ line, point: gap, ...at });
    }
  }

  function cross(x, y, stroke) {
    return element("path", { class: "gap", d: "M-3.5-3.5L3.5 3.5M-3.5 3.5L3.5-3.5", transform: `translate(${x} ${y})`, stroke });
  }

  function hover(event, svg, width, targets, chart) {
    const box = svg.getBoundingClientRect();
    const scale = width / box.width;
    const at = { x: (event.clientX - box.left) * scale, y: (event.clientY - box.top) * scale };
    const distance = (target) => Math.hypot(target.x - at.x, target.y - at.y);
    const nearest = targets.reduce((best, target) => (best && distance(best) <= distance(target) ? best : target), null);
    if (!nearest || distance(nearest) > 30) return hideTip();
    const heading = chart.legend_title && !nearest.line.published ? `${chart.legend_title} ${nearest.line.name}` : nearest.line.name;
    const unnamed = [heading, nearest.point.name, `${chart.y_label}: ${nearest.point.text}`];
    tip.textContent = unnamed.filter(Boolean).join("\n");
    tip.hidden = false;
    const across = box.left + nearest.x / scale + window.scrollX, up = box.top + nearest.y / scale + window.scrollY;
    const most = window.scrollX + document.documentElement.clientWidth - tip.offsetWidth - 8;
    tip.style.left = `${Math.max(8, Math.min(across + 12, most))}px`;
    tip.style.top = `${Math.max(0, up - tip.offsetHeight - 10)}px`;
  }

  function hideTip() { tip.hidden = true; }

  function legend(holder, chart, hidden, redraw) {
    const lines = new Map(chart.panels.flatMap((panel) => panel.lines).map((line) => [line.name, line]));
    const named = lines.size > 1 || chart.of_differences ? [...lines.values()] : [];
    if (named.length && chart.legend_title) holder.append(chart.legend_title);
    for (const line of named) {
      const button = document.createElement("button");
      button.type = "button";
      button.setAttribute("aria-pressed", "true");
      const sample = element("svg", { viewBox: "0 0 26 12", "aria-hidden": "true" });
      if (chart.joined) sample.append(element("path", { d: "M0 6H26", stroke: colour(line), "stroke-width": 1.8, "stroke-dasharray": line.published ? "5 4" : "none" }));
      sample.append(marker(line, 13, 6));
      button.append(sample, line.name);
      button.addEventListener("click", () => {
        if (!hidden.delete(line.name)) hidden.add(line.name);
        button.setAttribute("aria-pressed", String(!hidden.has(line.name)));
        redraw();
      });
      holder.append(button);
    }
    const grey = { marker: "circle", colour: "var(--quiet)" };
    if (chart.panels.some((panel) => panel.lines.some((line) => line.points.some((point) => point.count)))) {
      explain(holder, marker(grey, 13, 6, true), "fewer repeats");
    }
    if (chart.panels.some((panel) => panel.lines.some((line) => line.gaps.length))) explain(holder, cross(13, 6, grey.colour), "no value");
    if (chart.lost) explain(holder, element("g"), `not drawn: ${chart.lost} without a finished run`);
  }

  function explain(holder, mark, text) {
    const sample = element("svg", { viewBox: "0 0 26 12", "aria-hidden": "true" });
    const entry = document.createElement("span");
    sample.append(mark);
    entry.append(sample, text);
    holder.append(entry);
  }

  function showChart(figure) {
    const chart = charts[figure.dataset.chart];
    const hidden = new Set();
    const holders = chart.panels.map(() => figure.querySelector(".panels").appendChild(document.createElement("div")));
    let limits = ranges(chart, hidden);
    const redraw = (asked) => {
      hideTip(); // of a point that goes
      limits = ranges(chart, hidden) ?? limits; // with all lines hidden, the axes stay
      const width = asked ?? Math.max(holders[0].clientWidth, 200); // as wide as all: measured once, before anything changes
      chart.panels.forEach((panel, index) => drawPanel(holders[index], width, chart, panel, hidden, limits));
    };
    legend(figure.querySelector(".legend"), chart, hidden, redraw);
    redraws.push(redraw);
    redraw();
    let width = holders[0].clientWidth;
    new ResizeObserver(() => {
      if (holders[0].clientWidth !== width) { width = holders[0].clientWidth; redraw(); }
    }).observe(figure);
  }

  function makeSortable(table) {
    const body = table.tBodies[0];
    const headings = [...table.tHead.rows[0].cells];
    headings.forEach((heading, column) => heading.querySelector("button")?.addEventListener("click", () => {
      const down = heading.getAttribute("aria-sort") === "ascending";
      headings.forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", down ? "descending" : "ascending");
      const sign = down ? -1 : 1;
      body.append(...[...body.rows].sort((one, two) => compare(one.cells[column], two.cells[column], sign)));
      table.dispatchEvent(new Event("reordered"));
    }));
  }

  /* A page of the rows that `isWanted`, with buttons below where there are more; returns what shows the first page. */
  function makePaged(table, isWanted = () => true) {
    const body = table.tBodies[0];
    const pager = document.createElement("p");
    const [back, on] = ["‹ Previous", "Next ›"].map((text) => Object.assign(document.createElement("button"), { type: "button", textContent: text }));
    const place = document.createElement("span");
    pager.className = "pager";
    pager.append(back, place, on);
    table.parentElement.after(pager);
    let first = 0;
    const show = () => {
      const wanted = [...body.rows].filter(isWanted);
      const shown = new Set(wanted.slice(first, first + PAGE));
      for (const row of body.rows) row.hidden = !shown.has(row);
      pager.hidden = wanted.length <= PAGE;
      place.textContent = `rows ${first + 1} to ${first + shown.size} of ${wanted.length}`;
      back.disabled = first === 0;
      on.disabled = first + PAGE >= wanted.length;
    };
    const turnTo = (row) => { first = row; show(); };
    back.addEventListener("click", () => turnTo(first - PAGE));
    on.addEventListener("click", () => turnTo(first + PAGE));
    table.addEventListener("reordered", () => turnTo(0));
    window.addEventListener("beforeprint", () => { for (const row of body.rows) row.hidden = !isWanted(row); });
    window.addEventListener("afterprint", show);
    show();
    return () => turnTo(0);
  }

  /* Numbers before texts, whichever way; fields without a value come last. */
  function compare(one, two, sign) {
    const [first, second] = [one, two].map((cell) => cell.dataset.order);
    if (first !== undefined && second !== undefined) return sign * (first - second);
    if (first !== undefined || second !== undefined) return first !== undefined ? -1 : 1;
    return sign * one.textContent.trim().localeCompare(two.textContent.trim(), "en", { numeric: true });
  }

  /* What words, values with a unit and comparisons ask of a row; `unknown` collects what cannot be asked. */
  function conditions(text, columns, unknown) {
    const units = [...new Set(columns.map((column) => column.unit))].filter(Boolean);
    const unit = `(${units.map((name) => name.replace(/[^\w]/g, "\\$&")).join("|") || "%"})`;
    const joined = text.replace(new RegExp(`(\\d)\\s+${unit}(?!\\S)`, "gi"), "$1$2").replace(/\s*([=<>])\s*/g, "$1");
    const numberOf = (cell) => Number(cell.textContent.replaceAll(",", "") || NaN);
    return (joined.match(/(?:[^\s"]|"[^"]*")+/g) ?? []).map((quoted) => {
      const word = quoted.replaceAll('"', "").toLowerCase();
      const [, name, sign, asked] = /^([^=<>]+)([=<>])(.+)$/.exec(word) ?? [];
      const measured = new RegExp(`^([\\d.]+)${unit}$`, "i").exec(asked ?? word);
      if (!sign && measured) {
        const having = columns.filter((column) => column.unit.toLowerCase() === measured[2].toLowerCase());
        return (row) => having.some((column) => numberOf(row.cells[column.index]) === Number(measured[1]));
      }
      if (!sign) return (row) => row.textContent.toLowerCase().includes(word);
      const column = columnOf(name, columns), value = Number(measured ? measured[1] : asked);
      if (!column) unknown.push(`no column is called ${name}`);
      else if (sign !== "=" && Number.isNaN(value)) unknown.push(`${asked} is no number`);
      if (!column) return () => false;
      return (row) => {
        const cell = row.cells[column.index], number = numberOf(cell);
        if (sign === "=") return number === value || cell.textContent.trim().toLowerCase() === asked;
        return sign === "<" ? number < value : number > value;
      };
    });
  }

  /* The column of that key or heading, else the first that begins so. */
  function columnOf(name, columns) {
    const plain = (text) => text.toLowerCase().replace(/[\s_]/g, "");
    const named = (test) => columns.find((column) => [column.key, column.name].some((other) => test(plain(other), plain(name))));
    return named((other, asked) => other === asked) ?? named((other, asked) => other.startsWith(asked));
  }

  function makeFilter() {
    const words = document.getElementById("filter"), state = document.getElementById("state");
    const table = document.getElementById("runs-table");
    const rows = [...table.tBodies[0].rows];
    const columns = [...table.tHead.rows[0].cells].flatMap((cell, index) => {
      const [, name, unit] = /^(.*?)(?: \((.+)\))?$/.exec(cell.textContent.trim());
      return cell.dataset.key ? [{ index, key: cell.dataset.key, name, unit: unit ?? "" }] : [];
    });
    let wanted = new Set(rows);
    const turnToFirst = makePaged(table, (row) => wanted.has(row));
    const apply = () => {
      const unknown = [];
      const asked = conditions(words.value, columns, unknown);
      wanted = new Set(rows.filter((row) => (!state.value || row.dataset.state === state.value)
        && asked.every((condition) => condition(row))));
      document.getElementById("shown").textContent = `${wanted.size} of ${rows.length}`;
      document.getElementById("unknown").textContent = unknown.join("; ");
      turnToFirst();
    };
    words.addEventListener("input", apply);
    state.addEventListener("input", apply);
    words.form.addEventListener("submit", (event) => event.preventDefault());
  }

  function makeGallery(gallery) {
    const sliders = [...gallery.querySelectorAll(".compare input")];
    const split = (slider) => slider.parentElement.style.setProperty("--split", `${slider.value}%`);
    sliders.forEach((slider) => slider.addEventListener("input", () => split(slider)));
    gallery.querySelector(".split-all")?.addEventListener("input", (event) => sliders.forEach((slider) => {
      slider.value = event.target.value;
      split(slider);
    }));
    gallery.querySelector(".choices").addEventListener("change", (event) => {
      if (!event.target.name) return;
      gallery.dataset[event.target.name] = event.target.value;
      const { view, repeat } = gallery.dataset;
      for (const shot of gallery.querySelectorAll(".tile [data-view]")) {
        shot.hidden = shot.dataset.view !== view || shot.dataset.repeat !== repeat;
      }
    });
  }

  /* The points of a cloud in a dialog, drawn from far to near; what one looks from is a rotation, row by row. */
  function makeClouds() {
    const dialog = document.getElementById("cloud");
    if (!dialog) return;
    const canvas = dialog.querySelector("canvas"), paper = canvas.getContext("2d");
    let points = [], turned, zoom;
    const draw = () => {
      const size = canvas.width, [a, b, c, d, e, f, g, h, i] = turned;
      const seen = points.map(([x, y, z, colour]) => [a * x + b * y + c * z, d * x + e * y + f * z, g * x + h * y + i * z, colour]);
      seen.sort((one, two) => one[2] - two[2]);
      paper.clearRect(0, 0, size, size);
      for (const [x, y, z, colour] of seen) {
        const scale = zoom * 0.45 * size * EYE / (EYE - z), dot = Math.max(1.5, 0.018 * scale);
        paper.fillStyle = colour;
        paper.fillRect(size / 2 + scale * x - dot / 2, size / 2 - scale * y - dot / 2, dot, dot);
      }
    };
    const turn = (right, down) => {
      const [p, q, r, s] = [Math.cos(right), Math.sin(right), Math.cos(down), Math.sin(down)];
      turned = product([1, 0, 0, 0, r, -s, 0, s, r], product([p, 0, q, 0, 1, 0, -q, 0, p], turned));
      draw();
    };
    const resize = (factor) => { zoom = Math.min(8, Math.max(0.3, zoom * factor)); draw(); };
    const KEYS = {
      ArrowLeft: () => turn(-0.1, 0), ArrowRight: () => turn(0.1, 0), ArrowUp: () => turn(0, -0.1),
      ArrowDown: () => turn(0, 0.1), "+": () => resize(1.1), "-": () => resize(1 / 1.1),
    };
    let held = null; // where the pointer was last
    canvas.addEventListener("pointerdown", (event) => { canvas.setPointerCapture(event.pointerId); held = event; });
    canvas.addEventListener("pointermove", (event) => {
      if (!held || !event.buttons) return;
      turn((event.clientX - held.clientX) / 150, (event.clientY - held.clientY) / 150);
      held = event;
    });
    canvas.addEventListener("wheel", (event) => { event.preventDefault(); resize(Math.exp(-event.deltaY / 500)); });
    canvas.addEventListener("keydown", (event) => {
      if (KEYS[event.key]) { event.preventDefault(); KEYS[event.key](); }
    });
    document.getElementById("runs-table").addEventListener("click", (event) => {
      const button = event.target.closest("[data-cloud]");
      if (!button) return;
      points = unpacked(button.dataset.cloud);
      [turned, zoom] = [[1, 0, 0, 0, 1, 0, 0, 0, 1], 1];
      document.getElementById("cloud-title").textContent = button.dataset.title;
      dialog.showModal();
      canvas.focus();
      draw();
    });
  }

  /* Of [3, 3] matrices, row by row. */
  const product = (one, two) => one.map((_, at) => [0, 1, 2].reduce((sum, k) => sum + one[at - at % 3 + k] * two[3 * k + at % 3], 0));

  /* As `clouds.packed` has it: [x, y, z, colour] of each point, within -1 and 1. */
  function unpacked(text) {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const count = bytes.length / 9, places = new DataView(bytes.buffer), colours = bytes.subarray(6 * count);
    return Array.from({ length: count }, (_, n) => [
      ...[0, 1, 2].map((axis) => places.getUint16(6 * n + 2 * axis, true) / 32767.5 - 1),
      `rgb(${colours.subarray(3 * n, 3 * n + 3).join()})`,
    ]);
  }

  /* On paper nothing is folded, and charts have the width of a column. */
  function makePrintable() {
    let closed = [];
    window.addEventListener("beforeprint", () => {
      closed = [...document.querySelectorAll("details:not([open])")];
      closed.forEach((details) => { details.open = true; });
      redraws.forEach((redraw) => redraw(PRINTED_WIDTH));
    });
    window.addEventListener("afterprint", () => {
      closed.forEach((details) => { details.open = false; });
      redraws.forEach((redraw) => redraw());
    });
  }

  /* A copy without the study's folder offers no links into it. */
  function findStudy() {
    const { probe } = document.body.dataset;
    if (!probe) return;
    const picture = new Image();
    picture.addEventListener("error", () => document.body.classList.add("alone"));
    picture.src = probe;
  }

  // Tables first: where most of their rows are hidden, measuring for charts is quick.
  document.querySelectorAll("table.sortable").forEach(makeSortable);
  document.querySelectorAll("table.sortable:not(#runs-table)").forEach((table) => makePaged(table));
  makeFilter();
  document.querySelectorAll(".gallery").forEach(makeGallery);
  makeClouds();
  makePrintable();
  findStudy();
  document.querySelectorAll(".chart").forEach(showChart);
})();
