"use strict";
// Draws each figure from the data beside it when it comes near the window, or all before printing; leads from the map of
// all questions to each of them; opens or closes all answers at once.
const waiting = new Set(document.querySelectorAll(".plot"));

// Compiling the library takes longer than all the rest, so the report can be read before. The policy knows its hash.
function library() {
  if (!window.Plotly) {
    const script = document.createElement("script");
    script.textContent = document.getElementById("plotly").textContent;
    document.head.append(script);
  }
  return window.Plotly;
}

function draw(place) {
  if (!waiting.delete(place)) return;
  const found = JSON.parse(document.getElementById(place.dataset.figure).textContent);
  const width = Math.min(place.clientWidth || 680, 680);
  const drawn = library().newPlot(place, found.data, { ...found.layout, width }, { displayModeBar: false });
  if (place.id === "figure-heat") drawn.then(() => place.on("plotly_click", ({ points }) => lead(points[0])));
}

// A cell of the map of all questions leads to its question; the figure counts them from 0.
function lead({ customdata }) {
  const question = document.getElementById(`question-${customdata[0] + 1}`);
  question.open = true;
  question.scrollIntoView();
  question.querySelector("summary").focus({ preventScroll: true });
}

function drawNear() {
  const drawSeen = (seen) => seen.filter((one) => one.isIntersecting).forEach((one) => draw(one.target));
  const near = new IntersectionObserver(drawSeen, { rootMargin: "800px" });
  waiting.forEach((place) => near.observe(place));
}

// The height is kept free, so that nothing moves when a figure is drawn.
for (const place of waiting) place.style.minHeight = `${place.dataset.height}px`;
addEventListener("load", () => setTimeout(drawNear, 50));
addEventListener("beforeprint", () => [...waiting].forEach(draw));

for (const button of document.querySelectorAll("button[data-open]")) {
  button.addEventListener("click", () => {
    for (const part of document.querySelectorAll("details")) part.open = button.dataset.open === "yes";
  });
}
