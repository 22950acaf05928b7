
"use strict";
(() => {
  const $ = (selector, root = document) => root.querySelector(selector);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const data = JSON.parse($("#data").textContent);
  const collator = new Intl.Collator("en", { numeric: true });

  // Names are other people's text: they enter the page as text only, never as markup.
  const element = (tag, className, text) => {
    const made = document.createElement(tag);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const badge = (verdict) => {
    const made = element("span", "verdict", verdict);
    made.dataset.verdict = verdict;
    return made;
  };

  // ---- numbers -----------------------------------------------------------------------------
  const signed = (text) => text.replace(/^-(?=[0.]+$)/, "").replace("-", "−");
  const fixed = (x, digits) => signed(Math.abs(x) >= 1e6 ? x.toExponential(1) : x.toFixed(digits));
  const small = (x) => signed(x !== 0 && Math.abs(x) < 1e-3 ? x.toExponential(1) : x.toFixed(4));
  const cell = (value, head) => {
    const as = head.dataset.as;
    const made = element("td");
    if (as === "fixed" || as === "small") made.className = "right";
    else if (as !== "verdict") made.className = as;
    if (value === null) {
      made.append(element("span", "missing", "–"));
    } else if (as === "verdict") {
      made.append(badge(value));
    } else if (as === "fixed") {
      made.textContent = fixed(value, Number(head.dataset.digits));
    } else if (as === "small") {
      made.textContent = small(value);
    } else {
      const text = element("span", "", value);
      if (as === "name" && value.length > 40) text.title = value;
      made.append(text);
    }
    return made;
  };

  // ---- tables ------------------------------------------------------------------------------
  const table = (target) => {
    const rows = data[target.dataset.rows];
    const heads = [...target.tHead.rows[0].cells];
    const body = target.tBodies[0];
    const root = target.closest("details") || target.closest("section");
    const search = $("input[type=search]", root);
    const boxes = all(".chips input", root);
    const verdictAt = heads.findIndex((head) => head.dataset.as === "verdict");
    const haystack = rows.map((row) => row.filter((x) => typeof x === "string").join("\n").toLowerCase());
    const size = Number(target.dataset.page);
    let sorted = rows.map((_, i) => i), shown = sorted, page = 0;

    const pager = $("nav", root);
    const back = element("button", "", "‹ previous"), next = element("button", "", "next ›");
    const where = element("output");
    back.type = next.type = "button";
    pager.append(back, next, where);

    const draw = (from, to) => {
      body.replaceChildren(...shown.slice(from, to).map((i) => {
        const line = element("tr");
        if (verdictAt >= 0) line.dataset.verdict = rows[i][verdictAt];
        line.append(...rows[i].map((value, k) => cell(value, heads[k])));
        return line;
      }));
      if (!shown.length) {
        const none = element("td", "text", rows.length ? "Nothing matches." : "Nothing was compared.");
        none.colSpan = heads.length;
        body.append(element("tr"));
        body.lastChild.append(none);
      }
    };
    const show = () => {
      const pages = Math.max(1, Math.ceil(shown.length / size));
      page = Math.min(Math.max(page, 0), pages - 1);
      draw(page * size, (page + 1) * size);
      back.disabled = page === 0;
      next.disabled = page === pages - 1;
      back.hidden = next.hidden = pages === 1;
      where.textContent = `${shown.length.toLocaleString("en")} of ${rows.length.toLocaleString("en")} rows`
        + (pages > 1 ? `, page ${page + 1} of ${pages}` : "");
    };
    const filter = () => {
      const text = search.value.trim().toLowerCase();
      const hidden = new Set(boxes.filter((box) => !box.checked).map((box) => box.value));
      shown = sorted.filter((i) => !hidden.has(rows[i][verdictAt]) && haystack[i].includes(text));
      page = 0;
      show();
    };
    const sort = (k) => {
      const head = heads[k];
      const was = head.getAttribute("aria-sort");
      const first = head.dataset.first || "ascending";
      const order = was === "none" ? first : was === "ascending" ? "descending" : "ascending";
      heads.forEach((other) => other.setAttribute("aria-sort", "none"));
      head.setAttribute("aria-sort", order);
      const sign = order === "ascending" ? 1 : -1;
      const value = (i) => (k === verdictAt ? data.order.indexOf(rows[i][k]) : rows[i][k]);
      sorted = rows.map((_, i) => i).sort((i, j) => {
        const a = value(i), b = value(j);
        if (a === null || b === null) return (a === null) - (b === null) || i - j;  // missing: last
        return sign * (typeof a === "string" ? collator.compare(a, b) : a - b) || i - j;
      });
      filter();
    };

    heads.forEach((head, k) => {
      const button = element("button", "", head.textContent);
      button.type = "button";
      button.addEventListener("click", () => sort(k));
      if (["fixed", "small"].includes(head.dataset.as)) head.classList.add("right");
      head.setAttribute("aria-sort", "none");
      head.replaceChildren(button);
    });
    boxes.forEach((box) => {
      box.closest("label").hidden = !rows.some((row) => row[verdictAt] === box.value);
      box.addEventListener("change", filter);
    });
    search.addEventListener("input", filter);
    back.addEventListener("click", () => { page -= 1; show(); });
    next.addEventListener("click", () => { page += 1; show(); });
    window.addEventListener("beforeprint", () => draw(0, 1000));
    window.addEventListener("afterprint", show);
    show();
  };

  // ---- figures -----------------------------------------------------------------------------
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  const font = () => ({ family: getComputedStyle(document.body).fontFamily, size: 13, color: colour("muted") });
  const quiet = { displayModeBar: false, responsive: true };
  // Plotly reads tags in its labels; a name must not become one.
  const label = (name) => [...name].slice(0, 70).join("").replace(/&/g, "&amp;").replace(/</g, "&lt;");

  const picker = (root, names, draw) => {
    const control = $("[data-picker]", root), select = $("select", control);
    names.forEach((name, i) => select.add(new Option(name, i)));
    control.hidden = names.length < 2;
    select.addEventListener("change", draw);
    return () => Number(select.value);
  };

  const scores = () => {
    const root = $("#scores"), plot = $("#scores-plot");
    const facets = data.facets;
    if (!facets.length) {
      root.hidden = true;
      return () => {};
    }
    const chosen = picker(root, facets.map((facet) => `${facet.source} · ${facet.mode}`), () => draw());
    const LOOKS = {
      "no evidence": ["quiet", "circle-open", 9], suspicious: ["suspicious", "diamond", 11], stolen: ["stolen", "circle", 12],
    };
    const LIMIT = 2000;

    const marks = (facet) => Object.entries(LOOKS).map(([verdict, [name, symbol, size]]) => {
      const found = facet.rows.map((i) => data.verdicts[i]).filter((row) => row[2] === verdict);
      const step = Math.ceil(found.length / LIMIT), crowd = found.length > 300;
      const rows = found.filter((_, i) => i % step === 0);
      return {
        type: "scatter", mode: "markers", name: verdict, yaxis: "y2", found: found.length, step,
        x: rows.map((row) => row[3]),
        y: rows.map((_, i) => (i * 0.618034) % 1),
        customdata: rows.map((row) => row[0]),
        text: rows.map((row) => `<b>${label(row[0])}</b><br>${verdict}, score ${fixed(row[3], 3)}`
          + (row[5] === null ? "" : `, p ${small(row[5])}`) + (row[6] === null ? "" : `, q ${small(row[6])}`)),
        hovertemplate: "%{text}<extra></extra>",
        marker: {
          color: colour(name), symbol, size: crowd ? 0.6 * size : size, opacity: crowd ? 0.5 : 0.9,
          line: { width: 1.3, color: colour(verdict === "no evidence" ? name : "page") },
        },
      };
    });

    const find = (event) => {
      const name = event.points[0].customdata;
      if (typeof name !== "string") return;
      const search = $("#verdicts input[type=search]");
      search.value = name;
      search.dispatchEvent(new Event("input"));
      $("#verdicts").scrollIntoView();
    };

    const draw = () => {
      const facet = facets[chosen()];
      const traces = marks(facet);
      const axis = { gridcolor: colour("line"), linecolor: colour("line"), zeroline: false, fixedrange: true };
      const aside = (text, y) => ({
        text, x: 0, xref: "paper", xanchor: "right", xshift: -10, y, yref: "paper", showarrow: false, align: "right", font: font(),
      });
      const shapes = [], annotations = [
        aside(`${traces.reduce((n, trace) => n + trace.found, 0).toLocaleString("en")}<br>suspects`, 0.78),
        aside(`${facet.null.length.toLocaleString("en")} in the<br>null bank`, 0.2),
      ];
      if (facet.threshold !== null) {
        shapes.push({
          type: "line", x0: facet.threshold, x1: facet.threshold, y0: 0, y1: 1, yref: "paper",
          line: { color: colour("stolen"), width: 1.5, dash: "5px,4px" },
        });
        annotations.push({
          text: `stolen ${data.distance ? "below" : "above"} ${fixed(facet.threshold, 3)}`, x: facet.threshold, y: 1, yref: "paper", yanchor: "bottom",
          showarrow: false, font: { ...font(), color: colour("stolen") },
        });
      }
      traces.push({
        type: "histogram", x: facet.null, name: "null bank", nbinsx: 40, marker: { color: colour("bank") },
        hovertemplate: "%{y} of the null bank, scores %{x}<extra></extra>",
      });
      Plotly.newPlot(plot, traces, {  // anew: on paper it is as wide as the paper
        font: font(), paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false, bargap: 0.06,
        margin: { l: 105, r: 20, t: 28, b: 46 }, hovermode: "closest", dragmode: false, shapes, annotations,
        hoverlabel: { bgcolor: colour("panel"), bordercolor: colour("line"), font: { ...font(), color: colour("text") }, align: "left" },
        xaxis: {
          ...axis, anchor: "y", autorange: data.distance ? "reversed" : true,
          title: { text: data.distance ? "distance (small = stolen)" : "score (high = stolen)", standoff: 8 },
        },
        yaxis: { ...axis, domain: [0, 0.42], showgrid: false, showticklabels: false, rangemode: "tozero" },
        yaxis2: { ...axis, domain: [0.5, 1], showgrid: false, showticklabels: false, range: [-0.12, 1.12] },
      }, quiet);
      $("#scores-note").textContent = [
        facet.null.length ? "" : "For this source and access mode there are no scores of the null bank.",
        facet.null.length && facet.threshold === null
          ? "No threshold is drawn: in this scan no single score was enough to be called stolen." : "",
        ...traces.filter((trace) => trace.step > 1).map((trace) => `One in ${trace.step} drawn of those with ${trace.name}.`),
        "Height within a band means nothing. Click a mark to find it in the table.",
      ].filter(Boolean).join(" ");
      plot.on("plotly_click", find);
    };
    draw();
    return draw;
  };

  const maps = () => {
    const root = $("#maps");
    if (!data.maps.length) {
      root.hidden = !$(".note", root);
      return () => {};
    }
    const chosen = picker(root, data.maps.map((one) => one.source), () => draw());
    const bytes = (text) => Int16Array.from(Int8Array.from(atob(text), (c) => c.charCodeAt(0)));
    const square = (triangle, n, diagonal) => {
      const z = Array.from({ length: n }, () => new Array(n).fill(diagonal));
      for (let i = 0, k = 0; i < n; i++) {
        for (let j = i + 1; j < n; j++, k++) z[i][j] = z[j][i] = triangle[k] / 100;
      }
      return z;
    };

    const figure = (one, panel, source, apart) => {
      const triangle = bytes(panel.map), n = one.probes.length;
      const difference = triangle.map((x, k) => Math.abs(x - source[k]));
      const mean = difference.reduce((sum, x) => sum + x, 0) / Math.max(1, difference.length) / 100;
      const made = element("figure"), plot = element("div", "map"), caption = element("figcaption");
      plot.setAttribute("role", "img");
      plot.setAttribute("aria-label", `${apart ? "Difference from the source" : "Correlations"} of ${panel.name}`);
      caption.append(element("b", "", panel.name));
      caption.firstChild.title = panel.name;
      if (panel.role === "source") caption.append(element("span", "", "the source"));
      if (panel.role === "independent") caption.append(element("span", "", "an independent model"));
      if (panel.verdict) {
        caption.append(badge(panel.verdict));
        caption.append(element("span", "", `score ${fixed(panel.score, 3)}`));
      }
      if (panel.role !== "source") caption.append(element("span", "", `mean difference ${fixed(mean, 3)}`));
      made.append(plot, caption);
      const probes = one.probes.map((i) => `${i}`);
      return [made, () => Plotly.newPlot(plot, [{
        type: "heatmap", z: square(apart ? difference : triangle, n, apart ? 0 : 1), x: probes, y: probes,
        zmin: apart ? 0 : -1, zmax: apart ? 0.5 : 1, showscale: false,
        colorscale: apart ? [[0, colour("mid")], [1, colour("apart")]] : [[0, colour("low")], [0.5, colour("mid")], [1, colour("high")]],
        hovertemplate: "probes %{y} and %{x}: %{z:.2f}<extra></extra>",
      }], {
        font: font(), margin: { l: 0, r: 0, t: 0, b: 0 }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", dragmode: false,
        hoverlabel: { bgcolor: colour("panel"), bordercolor: colour("line"), font: { ...font(), color: colour("text") } },
        xaxis: { type: "category", visible: false, fixedrange: true },
        yaxis: { type: "category", visible: false, fixedrange: true, autorange: "reversed" },
      }, quiet)];
    };

    const draw = () => {
      const one = data.maps[chosen()], source = bytes(one.panels[0].map);
      const apart = $("input[name=map]:checked", root).value === "difference";
      all(".map", root).forEach((plot) => Plotly.purge(plot));
      const figures = one.panels.map((panel) => figure(one, panel, source, apart));
      $("#maps-panels").replaceChildren(...figures.map(([made]) => made));
      figures.forEach(([, plot]) => plot());
      const [low, bar, high] = $("#maps-scale").children;
      low.textContent = apart ? "difference 0" : "correlation −1";
      high.textContent = apart ? "0.5 and more" : "1";
      bar.style.background = apart
        ? "linear-gradient(90deg, var(--mid), var(--apart))" : "linear-gradient(90deg, var(--low), var(--mid), var(--high))";
      const left = one.of - one.dropped;
      $("#maps-note").textContent = [
        one.probes.length < left ? `${one.probes.length} of ${left.toLocaleString("en")} probes, evenly chosen.` : `${left} probes.`,
        one.dropped ? `${one.dropped} left out: one of these models gave no usable answer to them.` : "",
        "The mean difference is that of the maps as drawn; the papers' distance is in the table.",
      ].filter(Boolean).join(" ");
    };
    all("input[name=map]", root).forEach((input) => input.addEventListener("change", draw));
    draw();
    return draw;
  };

  all("table[data-rows]").forEach(table);
  const figures = [scores(), maps()];
  for (const query of ["(prefers-color-scheme: dark)", "print"]) {
    window.matchMedia(query).addEventListener("change", () => figures.forEach((draw) => draw()));
  }
})();
