// The admin's first page: charts, and figures that are asked for again every few seconds while somebody looks.
const EVERY = 5000; // ms
const PATIENCE = 15000; // ms until a question is given up

const page = document.querySelector(".sb-dashboard");
const live = document.getElementById("live");
const words = document.getElementById("live-words");
const first = JSON.parse(document.getElementById("figures").textContent);
const COLUMNS = ["waiting", "oldest", "running", "dead", "workers"];
const charts = [];

// --- charts ------------------------------------------------------------------------------------------------
function ink(name) {
  return getComputedStyle(page).getPropertyValue(name).trim();
}

function bars(id, series) {
  const canvas = document.getElementById(id);
  if (!canvas) return;
  const chart = new Chart(canvas, {
    type: "bar",
    data: {
      labels: [],
      datasets: series.map(([key, label, colour]) => ({ key, label, colour, data: [], borderRadius: 3, maxBarThickness: 14 })),
    },
    options: {
      animation: false,
      responsive: true,
      maintainAspectRatio: false,
      interaction: { mode: "index", intersect: false },
      plugins: { legend: { display: false } },
      scales: {
        x: { grid: { display: false }, ticks: { maxRotation: 0, autoSkip: true, maxTicksLimit: 8 } },
        y: { beginAtZero: true, suggestedMax: 4, ticks: { precision: 0, maxTicksLimit: 5 } },
      },
    },
  });
  charts.push(chart);
}

function paint() {
  for (const chart of charts) {
    for (const set of chart.data.datasets) set.backgroundColor = ink(set.colour);
    for (const scale of Object.values(chart.options.scales)) {
      scale.ticks.color = ink("--sb-quiet");
      scale.grid.color = ink("--sb-line");
    }
    chart.update();
  }
}

// --- figures -----------------------------------------------------------------------------------------------
function setText(element, text) {
  if (element && element.textContent !== text) element.textContent = text;
}

function tone(element, name) {
  element.classList.remove("sb-bad", "sb-warn");
  if (name) element.classList.add(`sb-${name}`);
}

function show(figures) {
  for (const card of figures.cards) {
    const place = document.getElementById(`card-${card.key}`);
    if (!place) continue;
    setText(place.querySelector(".sb-card-title"), card.title);
    setText(place.querySelector(".sb-card-value"), card.value);
    setText(place.querySelector(".sb-card-note"), card.note);
    tone(place, card.tone);
  }
  const body = document.querySelector("#queues tbody");
  if (body) showQueues(body, figures.queues);
  for (const chart of charts) {
    chart.data.labels = figures.hours.label;
    for (const set of chart.data.datasets) set.data = figures.hours[set.key];
    chart.update();
  }
  setText(words, `live, as of ${figures.at}`);
}

function showQueues(body, queues) {
  // The same queues in the same order, but for the rare one that came or went: then the page is loaded again.
  if (body.rows.length !== queues.length) return void location.reload();
  queues.forEach((queue, index) => {
    const row = body.rows[index];
    if (row.cells[0].textContent.trim() !== queue.name) return void location.reload();
    COLUMNS.forEach((name, place) => setText(row.cells[place + 1], queue[name]));
    tone(row, queue.tone);
  });
}

// --- asking again ------------------------------------------------------------------------------------------
let timer;

async function ask() {
  clearTimeout(timer);
  if (document.hidden) return; // nobody looks; `visibilitychange` asks at once when somebody does
  try {
    const answer = await fetch(page.dataset.figures, { headers: { Accept: "application/json" }, signal: AbortSignal.timeout(PATIENCE) });
    if (answer.redirected) return void location.reload(); // logged out meanwhile
    if (!answer.ok) throw new Error(String(answer.status));
    show(await answer.json());
    live.classList.remove("sb-lost");
  } catch {
    live.classList.add("sb-lost");
    setText(words, "not live: no answer, trying again");
  }
  clearTimeout(timer);
  timer = setTimeout(ask, EVERY);
}

if (first.cards.length) {
  bars("chart-messages", [["came", "messages in", "--sb-a"], ["sent", "answers out", "--sb-b"]]);
  bars("chart-failures", [["failed", "jobs failed", "--sb-c"], ["retried", "attempts retried", "--sb-d"]]);
  show(first);
  paint();
  new MutationObserver(paint).observe(document.documentElement, { attributeFilter: ["class"] });
  document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : ask()));
  timer = setTimeout(ask, EVERY);
}
