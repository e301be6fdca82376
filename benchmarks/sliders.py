"""From the key press on a slider of the Rewards page to the page that shows the new weight, in a real browser."""

from __future__ import annotations

import os
import re
import statistics
from dataclasses import replace
from typing import Any

import numpy as np
from playwright.sync_api import Page, sync_playwright

from benchmarks import scratch_home
from benchmarks.interface import _server
from core.lab.board import Board
from core.lab.boards import bundled_board, save_board
from core.paths import Home

LIMITS = {1_000: 200.0, 10_000: 300.0}
"""Milliseconds of the median, by completions on the board."""
_PRESSES = 40
_WARM_PRESSES = 5
_GROUP = 8

# Everything that shows on the page is drawn either by a change of the document or on a canvas (table, histogram); the
# last of either, and the frame that it is shown in, is when the page has been repainted.
_WATCH = """
(() => {
  const seen = {last: 0, canvas: 0};
  const now = () => performance.now();
  const prototype = CanvasRenderingContext2D.prototype;
  for (const name of ['fillText', 'fillRect', 'drawImage', 'fill', 'stroke']) {
    const drawn = prototype[name];
    prototype[name] = function (...values) { seen.last = now(); seen.canvas += 1; return drawn.apply(this, values); };
  }
  // The table's copy for screen readers inside its canvas is written 200 ms later, when nothing changes to be seen.
  const visible = record => !(record.target.parentElement || record.target).closest?.('canvas');
  new MutationObserver(records => { if (records.some(visible)) seen.last = now(); })
    .observe(document, {subtree: true, childList: true, characterData: true, attributes: true});
  window.addEventListener('keydown', () => { seen.pressed = now(); seen.last = 0; seen.canvas = 0; }, true);
  window.repainted = seen;
})();
"""
_RESULT = """
() => new Promise(resolve => {
  const seen = window.repainted;
  const wait = () => {
    const quiet = performance.now() - seen.last;
    if (seen.canvas && quiet > 400) requestAnimationFrame(() => resolve(seen.last - seen.pressed));
    else setTimeout(wait, 20);
  };
  wait();
})
"""


def measure(home: Home) -> dict[str, Any]:
    medians: dict[int, float] = {}
    slowest: dict[int, float] = {}
    with scratch_home(home) as work:
        for count in LIMITS:
            save_board(work, f"board-{count}", board_of(count))
        with _server(work) as (url, _), sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=["--no-sandbox", "--disable-gpu"]
            )
            for count in LIMITS:
                with browser.new_context(viewport={"width": 1360, "height": 900}) as context:
                    page = context.new_page()
                    page.add_init_script(_WATCH)
                    _open(page, url, count)
                    found = _press(page)
                medians[count], slowest[count] = statistics.median(found), statistics.quantiles(found, n=10)[-1]
            browser.close()
    return {
        "presses": _PRESSES,
        "median_ms": {str(count): round(value) for count, value in medians.items()},
        "ninetieth_percentile_ms": {str(count): round(value) for count, value in slowest.items()},
        "met": {
            f"{count:,} completions within {LIMITS[count]:.0f} ms": medians[count] <= LIMITS[count] for count in LIMITS
        },
    }


def board_of(count: int) -> Board:
    """`count` completions in groups of eight: the bundled ones over again, their scores moved a little at random."""
    bundled, random = bundled_board(), np.random.default_rng(0)
    rows = np.arange(count) % len(bundled)
    samples = tuple(
        replace(
            bundled.samples[row],
            group=str(place // _GROUP),
            question=f"{place // _GROUP}: {bundled.samples[row].question}",
        )
        for place, row in enumerate(rows)
    )
    return Board(
        title=f"Benchmark {count}",
        samples=samples,
        kinds=tuple(bundled.kinds[row] for row in rows),
        grades=bundled.grades[rows],
        valid=bundled.valid[rows],
        well_formed=bundled.well_formed[rows],
        measures={
            name: np.clip(values[rows] + random.normal(0, 0.02, count), -1, 1)
            for name, values in bundled.measures.items()
        },
    )


def _open(page: Page, url: str, count: int) -> None:
    page.goto(f"{url}/rewards")
    page.get_by_role("heading", name="Rewards").wait_for()
    page.get_by_role("combobox").first.click()
    page.get_by_role("option", name=f"Benchmark {count}:").click()
    page.get_by_text(re.compile(r"^0: ")).first.wait_for()  # the question of its first group
    page.get_by_role("slider", name="Similarity").first.wait_for()
    page.wait_for_timeout(3000)


def _press(page: Page) -> list[float]:
    """Milliseconds from each key press to the last thing that was drawn because of it."""
    slider = page.get_by_role("slider", name="Similarity").first
    slider.focus()
    found = []
    for number in range(_WARM_PRESSES + _PRESSES):
        slider.press("ArrowLeft" if number % 2 else "ArrowRight")
        found.append(float(page.evaluate(_RESULT)))
    return found[_WARM_PRESSES:]
