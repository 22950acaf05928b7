"use strict";
(() => {
  const $ = (selector) => document.querySelector(selector);
  const data = JSON.parse($("#data").textContent);
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  const font = () => ({ family: getComputedStyle(document.body).fontFamily, size: 13, color: colour("muted") });
  // Okabe and Ito's colours, which stay apart for the colour-blind; dashes when they run out.
  const HUES = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6D1F"];
  const DASHES = ["solid", "dash", "dot"];

  // Names are other people's text: they enter the page as text only, never as markup.
  const element = (tag, text, className) => {
    const made = document.createElement(tag);
    if (text !== undefined) made.textContent = text;
    if (className) made.className = className;
    return made;
  };
  const label = (name) => [...name].slice(0, 70).join("").replace(/&/g, "&amp;").replace(/</g, "&lt;");
  const fixed = (x, digits = 3) => (x === null || x === undefined ? "–" : x.toFixed(digits));
  const small = (x) => (x === null ? "–" : x < 1e-3 ? x.toExponential(1) : x.toFixed(4));
  const range = (pair) => (pair ? `${fixed(pair[0], 2)}–${fixed(pair[1], 2)}` : "–");

  const fill = (table, heads, rows) => {
    const head = element("thead"), line = element("tr"), body = element("tbody");
    heads.forEach((name, i) => {
      const cell = element("th", name, i < 2 && rows.length && Number.isNaN(Number(rows[0][i])) ? "" : "right");
      cell.scope = "col";
      cell.style.padding = ".55rem .6rem";
      line.append(cell);
    });
    head.append(line);
    rows.forEach((cells) => {
      const row = element("tr");
      cells.forEach((text, i) => row.append(element("td", text, i < 2 && Number.isNaN(Number(text)) ? "" : "right")));
      body.append(row);
    });
    table.replaceChildren(head, body);
  };

  const pooled = () => fill(
    $("#pooled-table"),
    ["probes", "method", "AUC", "95 %", "one threshold", "TPR at 1 %", "95 %", "TPR at 5 %", "95 %", "F1", "P(p ≤ 0.1)", "95 %", "FDR at 0.05"],
    data.results.filter((r) => r.pooled.attacks.length).map((r) => [
      r.probes, r.method, fixed(r.pooled.auc), range(r.pooled.auc_interval), fixed(r.pooled.auc_one_threshold),
      fixed(r.pooled.tpr["0.01"].value), range(r.pooled.tpr["0.01"].interval),
      fixed(r.pooled.tpr["0.05"].value), range(r.pooled.tpr["0.05"].interval), fixed(r.pooled.f1.midpoint),
      r.calibration ? fixed(r.calibration.p_low) : "–", r.calibration ? range(r.calibration.p_low_interval) : "–",
      r.fdr ? fixed(r.fdr[0].obtained) : "–",
    ]),
  );

  const attacks = (r) => fill(
    $("#attacks-table"),
    ["attack", "stolen", "AUC", "95 %", "one threshold", "TPR at 1 %", "95 %", "TPR at 5 %", "Welch", "Mann–Whitney", "F1", "accuracy lost", "agreement", "over twin"],
    Object.entries(r.attacks).map(([name, a]) => [
      data.pooled.includes(name) ? name : `${name} (not pooled)`, a.stolen, fixed(a.auc), range(a.auc_interval), fixed(a.auc_one_threshold),
      fixed(a.tpr["0.01"].value), range(a.tpr["0.01"].interval), fixed(a.tpr["0.05"].value),
      small(a.welch_p), small(a.mann_whitney_p), fixed(a.f1.midpoint), fixed(a.accuracy_lost), fixed(a.agreement), fixed(a.excess_agreement),
    ]),
  );

  const axis = (more) => ({ gridcolor: colour("line"), linecolor: colour("line"), zeroline: false, fixedrange: true, ...more });
  const draw = (id, traces, layout) => Plotly.newPlot($(id), traces, {
    font: font(), paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", margin: { l: 60, r: 20, t: 10, b: 50 }, dragmode: false, hovermode: "closest",
    hoverlabel: { bgcolor: colour("panel"), bordercolor: colour("line"), font: { ...font(), color: colour("text") }, align: "left" }, ...layout,
  }, { displayModeBar: false, responsive: true });
  const look = (i) => ({ color: HUES[i % HUES.length], dash: DASHES[Math.floor(i / HUES.length) % DASHES.length] });

  const roc = (r) => draw("#roc-plot", [
    ...Object.entries(r.attacks).map(([name, a], i) => ({
      type: "scatter", mode: "lines", name: label(name), x: a.roc.fpr, y: a.roc.tpr, line: { ...look(i), width: 2, shape: "hv" },
      hovertemplate: `${label(name)}<br>%{y:.3f} found, %{x:.3f} accused<extra></extra>`,
    })),
    { type: "scatter", mode: "lines", x: [0, 1], y: [0, 1], line: { color: colour("quiet"), width: 1, dash: "dot" }, showlegend: false, hoverinfo: "skip" },
  ], {
    xaxis: axis({ title: { text: "innocent models accused (FPR)" }, range: [-0.01, 1.01] }),
    yaxis: axis({ title: { text: "stolen models found (TPR)" }, range: [-0.02, 1.02] }),
  });

  const scores = (r) => {
    const kinds = Object.entries(r.scores);
    $("#scores-plot").style.height = `${8 + 2.2 * kinds.length}rem`;
    draw("#scores-plot", kinds.map(([name, marks], i) => ({
      type: "box", orientation: "h", name: label(name), x: marks.map((mark) => mark[1]), text: marks.map((mark) => label(mark[0])),
      boxpoints: "all", jitter: 0.5, pointpos: 0, fillcolor: "rgba(0,0,0,0)",
      line: { color: name === "innocent" ? colour("quiet") : HUES[(i - 1) % HUES.length], width: 1 }, marker: { size: 4, opacity: 0.6 },
      hovertemplate: "%{text}: %{x:.4f}<extra></extra>",
    })), {
      showlegend: false, xaxis: axis({ title: { text: data.statistic === "z" ? "z (high = stolen)" : r.method === "paper" ? "less the distance (high = stolen)" : "score (high = stolen)" } }),
      yaxis: axis({ automargin: true, autorange: "reversed" }),
    });
  };

  const calibration = (r) => {
    $("#calibration").hidden = !r.calibration;
    $("#fdr").hidden = !r.fdr;
    if (!r.calibration) return;
    const c = r.calibration, n = c.histogram.length;
    $("#calibration-note").textContent = (c.splits ? `${c.splits} null banks drawn by author, ${c.innocent} innocent models held out in turn. ` : "")
      + `P(p ≤ ${c.checked}) = ${fixed(c.p_low)} (95 %: ${range(c.p_low_interval)}); Kolmogorov–Smirnov distance ${fixed(c.ks)}, on the harmful side ${fixed(c.ks_excess)}.`;
    draw("#calibration-plot", [{
      type: "bar", x: c.histogram.map((_, i) => (i + 0.5) / n), y: c.histogram, width: 0.94 / n, marker: { color: colour("bank") },
      hovertemplate: "p about %{x:.3f}: %{y:.3f} of all<extra></extra>",
    }], {
      xaxis: axis({ title: { text: "p-value of an innocent model" }, range: [0, 1] }), yaxis: axis({ title: { text: "share" }, rangemode: "tozero" }),
      shapes: [{ type: "line", x0: 0, x1: 1, y0: 1 / n, y1: 1 / n, line: { color: colour("stolen"), width: 1.5, dash: "dash" } }],
    });
    $("#fdr-note").textContent = r.fdr.map((one) => `Asked ${one.asked}: obtained ${fixed(one.obtained)}`
      + (one.standard_error === null ? "" : ` ± ${fixed(one.standard_error)}`) + `, ${fixed(one.power)} of the copies found`).join(". ") + ".";
    draw("#fdr-plot", [
      {
        type: "scatter", mode: "lines+markers", name: "false discoveries", x: r.fdr.map((one) => one.asked), y: r.fdr.map((one) => one.obtained),
        error_y: { type: "data", array: r.fdr.map((one) => 2 * (one.standard_error ?? 0)), color: colour("stolen") }, line: { color: colour("stolen") },
      },
      { type: "scatter", mode: "lines", name: "as asked", x: [0, 0.25], y: [0, 0.25], line: { color: colour("quiet"), dash: "dot" }, hoverinfo: "skip" },
    ], { xaxis: axis({ title: { text: "FDR asked" }, range: [0, 0.25] }), yaxis: axis({ title: { text: "FDR obtained" }, rangemode: "tozero" }) });
  };

  const picker = $("#picker");
  data.results.forEach((r, i) => picker.add(new Option(`${r.method} · ${r.probes}`, i)));
  const last = data.results[data.results.length - 1].probes;
  picker.value = data.results.findIndex((r) => r.probes === last);
  const show = () => {
    const r = data.results[Number(picker.value)];
    attacks(r); roc(r); scores(r); calibration(r);
  };
  picker.addEventListener("change", show);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
  pooled();
  show();
})();
