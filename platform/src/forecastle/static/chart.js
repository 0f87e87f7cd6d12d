// Draws the live version's forecast, asked for at the same address that a client asks: a fan for each endogenous column.

const MOST_PANELS = 6; // more than these nobody reads
const HEIGHT = 220;
const LINE = "#12355b";
const FILLS = { 80: "rgba(31, 119, 180, .38)", 95: "rgba(31, 119, 180, .17)" };

const figure = document.getElementById("chart");
const panels = figure.querySelector(".panels");

async function ask(address, request) {
  const answer = await fetch(address, { method: "POST", headers: { "Content-Type": "application/json" }, body: request });
  const found = await answer.json();
  if (!answer.ok) throw new Error(found.detail);
  return found;
}

const written = (number) => number.toLocaleString("en", { maximumSignificantDigits: 6 });

/** Return one step of a column in words. */
function stepInWords(forecast, name, step) {
  const bounds = forecast.intervals.map(
    ({ level, lower, upper }) => `${level} %: ${written(lower[name][step])} to ${written(upper[name][step])}`,
  );
  return `${forecast.timestamps[step]}: ${written(forecast.mean[name][step])} (${bounds.join("; ")})`;
}

/** Return uPlot's options: each interval is two hidden lines and the band between them, the mean a line above. */
function optionsOf(forecast, tell, width) {
  const hidden = { stroke: "transparent", points: { show: false } };
  const alone = forecast.timestamps.length === 1;
  const space = 8 * String(forecast.timestamps[0]).length + 24;
  return {
    width,
    height: HEIGHT,
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false } },
    scales: { x: { time: false } },
    series: [{}, ...forecast.intervals.flatMap(() => [hidden, hidden]), { stroke: LINE, width: 2, points: { show: alone } }],
    bands: forecast.intervals.map(({ level }, i) => ({ series: [2 * i + 2, 2 * i + 1], fill: FILLS[level] })),
    axes: [
      { incrs: [1, 2, 3, 4, 6, 12], space, grid: { show: false }, values: (_, steps) => steps.map((i) => forecast.timestamps[i] ?? "") },
      { size: 74, grid: { stroke: "#e7ebf0", width: 1 }, values: (_, values) => values.map(written) },
    ],
    hooks: { setCursor: [(plot) => tell(plot.cursor.idx ?? 0)] },
  };
}

function draw(forecast, name) {
  const panel = document.createElement("section");
  const title = document.createElement("h2");
  const canvas = document.createElement("div");
  const words = document.createElement("p");
  title.textContent = name;
  panel.append(title, canvas, words);
  panels.append(panel);
  const tell = (step) => (words.textContent = stepInWords(forecast, name, step));
  const steps = forecast.timestamps.map((_, i) => i);
  const bounds = forecast.intervals.flatMap(({ lower, upper }) => [lower[name], upper[name]]);
  const plot = new uPlot(optionsOf(forecast, tell, canvas.clientWidth), [steps, ...bounds, forecast.mean[name]], canvas);
  tell(0);
  new ResizeObserver(() => plot.setSize({ width: canvas.clientWidth, height: HEIGHT })).observe(canvas);
}

ask(figure.dataset.address, figure.dataset.request)
  .then((forecast) => {
    for (const name of Object.keys(forecast.mean).slice(0, MOST_PANELS)) draw(forecast, name);
  })
  .catch((error) => {
    figure.querySelector("figcaption").remove();
    panels.textContent = `There is no forecast to draw: ${error.message}`;
  });
