"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const timeline = document.querySelector(".timeline");
  const filter = document.querySelector(".filter");
  let held = null;

  const wallClock = (at) =>
    data.wall === null ? "" : " · " + new Date((data.wall + at) * 1000).toISOString().slice(11, 21) + " UTC";
  const latencyText = (ms) =>
    ms === null || ms === undefined ? "–" : ms >= 1000 ? (ms / 1000).toFixed(2) + " s" : ms.toFixed(ms < 10 ? 1 : 0) + " ms";

  function readCharts(at) {
    document.querySelectorAll("[data-chart]").forEach((row) => {
      const chart = data.charts[row.dataset.chart];
      const bin = at === null ? -1 : Math.floor((at - chart.start) / chart.width);
      row.querySelectorAll("[data-rate]").forEach((cell) => {
        cell.dataset.total ??= cell.textContent;
        const rate = chart.rates[cell.dataset.rate][bin];
        cell.textContent = rate === undefined ? cell.dataset.total : rate.toFixed(0) + "/s";
      });
      row.querySelectorAll("[data-latency]").forEach((cell) => {
        cell.textContent = at === null ? "" : latencyText(chart.latency[cell.dataset.latency][bin]);
      });
    });
  }

  function readLanes(at) {
    document.querySelectorAll("[data-lane]").forEach((row, index) => {
      const span = at === null ? undefined : data.lanes[index].find(([begin, end]) => begin <= at && at <= end);
      const text = at === null ? "" : span ? span[2] : "not observed";
      row.querySelector("output").textContent = text;
    });
  }

  function show(at) {
    const crosshair = timeline.querySelector(".crosshair");
    const now = timeline.querySelector(".now");
    crosshair.hidden = at === null;
    crosshair.classList.toggle("held", held !== null);
    now.textContent = at === null ? "" : at.toFixed(1) + " s" + wallClock(at);
    if (at !== null) {
      const share = (at - data.start) / (data.end - data.start);
      crosshair.firstElementChild.style.left = share * 100 + "%";
      const room = now.parentElement.clientWidth, half = now.offsetWidth / 2;
      now.style.left = Math.min(Math.max(share * room, half), room - half) + "px";
    }
    readCharts(at);
    readLanes(at);
  }

  function moment(event) {
    const box = timeline.querySelector(".axis .plot").getBoundingClientRect();
    const share = (event.clientX - box.left) / box.width;
    return share < 0 || share > 1 ? null : data.start + share * (data.end - data.start);
  }

  function zoom(factor) {
    const scroller = timeline.parentElement, plot = timeline.querySelector(".axis .plot");
    const middle = held ?? data.focus ?? (data.start + data.end) / 2;
    timeline.style.setProperty("--zoom", factor);
    timeline.classList.toggle("zoomed", factor > 1);
    const share = (middle - data.start) / (data.end - data.start);
    scroller.scrollLeft = share * plot.clientWidth - (scroller.clientWidth - plot.offsetLeft) / 2;
    document.querySelectorAll(".zoom button").forEach((button) => {
      button.setAttribute("aria-pressed", Number(button.value) === factor);
    });
    show(held);
  }

  function hold(at) {
    held = at;
    show(at);
    filterLogs();
  }

  function keys(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step) {
      event.preventDefault();
      const by = (step * (data.end - data.start)) / (event.shiftKey ? 20 : 200);
      hold(Math.min(Math.max((held ?? (data.start + data.end) / 2) + by, data.start), data.end));
    } else if (event.key === "Escape") {
      hold(null);
    }
  }

  function matcher(text) {
    const pattern = /^\/(.+)\/?$/.exec(text.replace(/\/$/, ""));
    try {
      const expression = pattern && new RegExp(pattern[1], "i");
      return expression ? (line) => expression.test(line) : (line) => line.toLowerCase().includes(text.toLowerCase());
    } catch {
      return () => true;
    }
  }

  function filterLogs() {
    if (!filter) return;
    const text = filter.querySelector("[type=search]").value.trim();
    const onlyMarked = filter.querySelector("[name=marked]").checked;
    const nearMoment = filter.querySelector("[name=moment]").checked && held !== null;
    const matches = matcher(text);
    const active = text !== "" || onlyMarked || nearMoment;
    let total = 0;
    document.querySelectorAll(".log").forEach((log) => {
      let shown = 0;
      log.querySelectorAll("p").forEach((line) => {
        const near = line.dataset.t !== undefined && Math.abs(line.dataset.t - held) <= 5;
        const keep = (!onlyMarked || line.className) && (!nearMoment || near) && (text === "" || matches(line.textContent));
        line.hidden = !keep;
        shown += keep ? 1 : 0;
      });
      if (active) log.open = shown > 0;
      total += shown;
    });
    filter.querySelector("output").textContent = active ? total + " lines" : "";
  }

  if (timeline) {
    timeline.addEventListener("pointermove", (event) => held === null && show(moment(event)));
    timeline.addEventListener("pointerleave", () => held === null && show(null));
    timeline.addEventListener("click", (event) => hold(held === null ? moment(event) : null));
    timeline.addEventListener("keydown", keys);
  }
  const zoomer = document.querySelector(".zoom");
  if (zoomer) {
    zoomer.hidden = false;
    zoomer.addEventListener("click", (event) => event.target.value && zoom(Number(event.target.value)));
  }
  if (filter) {
    filter.hidden = false;
    filter.addEventListener("input", filterLogs);
  }
  document.querySelectorAll("[data-copy]").forEach((button) => {
    if (!navigator.clipboard) return;
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(button.previousElementSibling.textContent);
      button.textContent = "Copied";
    });
  });
})();
