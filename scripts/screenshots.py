"""Takes the pictures of README.md and docs/ from the running studio: `scripts/screenshots.py [--home DIR] [NAME ...]`.

What the home lacks is made first through `python -m core`: two runs, a prepared data set, an answered question, an
evaluation without a judge, an export and two people with roles. Without `--home` that is a scratch home, which takes
some twenty minutes on two cores; the embedded models are taken from the home of this checkout where they are prepared.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))

from core.compare.comparison import Comparison, list_comparisons  # noqa: E402
from core.data.prepared import list_prepared  # noqa: E402
from core.data.tables import list_tables  # noqa: E402
from core.evaluate.evaluation import evaluations_of, list_evaluations  # noqa: E402
from core.export.store import list_exports  # noqa: E402
from core.paths import HOME_VARIABLE, Home  # noqa: E402
from core.ports import free_port  # noqa: E402
from core.runs.run import Run, list_runs  # noqa: E402

FOLDER = PROJECT / "assets" / "screenshots"
BASE = "model:smollm2-135m-instruct"
QUESTION = "A patient on warfarin starts clarithromycin. What must be watched?"
RATER = "Dr. Ada"
WINDOW = (1360, 900)
PATIENCE_MS = 120_000
START_SECONDS = 90
SETTLING_MS = 2_000
"""Charts and tables draw themselves once more after the last change of size."""
MARGIN = 40
"""Pixels below the last part of a page that is shown whole."""
CHROMIUM_ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")


def stay(page: Page) -> None:
    """The picture shows the page as it opens."""


@dataclass(frozen=True)
class Picture:
    """One picture.

    Attributes:
        name: its file is `<name>.png`.
        address: of the page, from what the home holds.
        shows: text that is there when the page has drawn what the picture is about.
        steps: what is clicked before.
        tab: the tab that is scrolled to the top of the window; by default the page stays at its beginning.
        whole: the whole page, however long, instead of one window.
        height: of the window, in pixels.
    """

    name: str
    address: Callable[[Home], str]
    shows: str
    steps: Callable[[Page], None] = stay
    tab: str = ""
    whole: bool = False
    height: int = WINDOW[1]


def finished(home: Home) -> Run:
    """The newest finished run."""
    found = [run for run in list_runs(home) if run.status().state == "finished"]
    return found[0] if found else sys.exit("The home has runs, but none that is finished.")


def asked(home: Home) -> list[Comparison]:
    """Comparisons of one question, the newest first."""
    return [one for one in list_comparisons(home) if len(one.request().questions) == 1]


def to_vote_on(home: Home) -> list[Comparison]:
    """Comparisons over several questions that no evaluation is of, for an open vote hides its results; newest first."""
    found = [one for one in list_comparisons(home) if len(one.request().questions) > 1]
    return [one for one in found if not evaluations_of(home, one.id)]


def choose_notebook(page: Page) -> None:
    """The reward of the published notebook, whose fluency decides nothing."""
    page.get_by_role("radio", name="Notebook").click()


def open_held_out(page: Page) -> None:
    """The questions that were asked before and after training."""
    page.get_by_role("tab", name="Held-out questions").click()


def open_vote(page: Page) -> None:
    """Open a vote where there is none, and say who votes."""
    name = page.get_by_role("textbox", name="Your name")
    start = page.get_by_role("button", name="Open the vote")
    expect(name.or_(start).first).to_be_visible()
    if start.is_visible():
        start.click()
    name.fill(RATER)
    name.press("Enter")


def compared_runs(home: Home) -> str:
    """The address of the Runs page with the two newest runs compared."""
    return "/runs?compare=" + ",".join(run.id for run in list_runs(home)[:2])


PICTURES = (
    Picture("overview", lambda home: "/", "Newest runs"),
    Picture("data", lambda home: f"/data?table={list_tables(home)[0].id}", "Prepared data sets", whole=True),
    Picture("rewards", lambda home: "/rewards", "For study, not for use", choose_notebook, height=1040),
    Picture("train", lambda home: f"/train?run={finished(home).id}", "Total reward"),
    Picture(
        "held-out",
        lambda home: f"/train?run={finished(home).id}",
        "Before: reward",
        open_held_out,
        "Held-out questions",
        height=1070,
    ),
    Picture("runs", compared_runs, "Settings that differ", whole=True),
    Picture(
        "compare", lambda home: f"/compare?comparison={asked(home)[0].id}", "What differs, word by word", whole=True
    ),
    Picture("blind-vote", lambda home: f"/compare?view=blind&batch={to_vote_on(home)[0].id}", "Both unsafe", open_vote),
    Picture(
        "evaluate",
        lambda home: f"/evaluate?evaluation={list_evaluations(home)[0].id}",
        "Automatic metrics",
        height=1300,
    ),
    Picture("export", lambda home: f"/export?export={list_exports(home)[0].id}", "Everything as a zip", height=915),
    Picture("admin", lambda home: "/admin", "Take a role away from", height=575),
)

BY_HAND = {"gpu-run": "drawn from a run on an NVIDIA H200, which a machine without one cannot repeat"}
"""Pictures in the same folder that this script leaves alone, with the reason."""


def core(home: Home, *arguments: str) -> None:
    """Run `python -m core` on the home; its words go to the terminal."""
    print("python -m core", *arguments, flush=True)
    command = [sys.executable, "-m", "core", *arguments, "--home", str(home.root)]
    subprocess.run(command, cwd=PROJECT, env=environment(home), stdout=subprocess.DEVNULL, check=True)


def environment(home: Home) -> dict[str, str]:
    """Of every process: the home, no network, and a name to sign with that tells nothing of this machine."""
    return os.environ | {HOME_VARIABLE: str(home.root), "HF_HUB_OFFLINE": "1", "LOGNAME": "ada"}


def make_what_is_missing(home: Home) -> None:
    """Bring the home to a state in which every picture shows something; what is there stays as it is."""
    core(home, "prepare")
    for reward in ("article", "robust")[len(list_runs(home)) :]:
        core(home, "train", "--size", "demo", "--reward", reward)
        core(home, "tag", "last", "demo", "--title", f"Demo, {reward} reward")
    run = f"run:{finished(home).id}"
    if not list_tables(home):
        core(home, "data", "import", "sample")
        core(home, "data", "report", "last")
    if not list_prepared(home):
        core(home, "data", "prepare", "last", "--name", "medical-sample")
    if not asked(home):
        core(home, "generate", BASE, run, "--question", QUESTION)
    if not to_vote_on(home):
        core(home, "generate", BASE, run, "--test", "4")
    if not list_evaluations(home):
        core(home, "evaluate", BASE, run, "--questions", "12")
    if not list_exports(home):
        core(home, "export", finished(home).id, "--form", "gguf_q4_k_m", "--form", "adapter")
    core(home, "access", "--grant", "ben@hospital.example", "editor")
    core(home, "access", "--grant", "ada", "admin")


@contextmanager
def studio(home: Home) -> Iterator[str]:
    """The studio on a free port; yields its address."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "scripts/serve.py", "127.0.0.1", str(port)]
    process = subprocess.Popen(command, cwd=PROJECT, env=environment(home), stdout=subprocess.DEVNULL)
    try:
        wait_for(url, process)
        yield url
    finally:
        process.terminate()
        process.wait(30)


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    """Until the studio answers."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            with urllib.request.urlopen(f"{url}/_stcore/health", timeout=2):
                return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                sys.exit("The studio did not start.")
            time.sleep(0.2)


def take(page: Page, url: str, home: Home, picture: Picture) -> None:
    """Open the page, do the steps, wait for what must be seen and write the picture."""
    page.set_viewport_size({"width": WINDOW[0], "height": picture.height})
    page.goto(url + picture.address(home))
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    picture.steps(page)
    expect(page.get_by_text(re.compile(re.escape(picture.shows))).filter(visible=True).first).to_be_visible()
    expect(page.locator("[data-testid=stApp][data-test-script-state=notRunning]")).to_be_visible()
    expect(page.get_by_test_id("stException")).to_have_count(0)
    waiting = page.get_by_test_id("stSkeleton").filter(visible=True)  # in the place of a chart whose code is loaded
    expect(waiting).to_have_count(0)
    if picture.whole:
        show_whole(page)
    page.mouse.move(0, 0)
    page.wait_for_timeout(SETTLING_MS)
    if picture.tab:
        tab = page.get_by_role("tab", name=picture.tab)
        tab.evaluate("tab => { tab.scrollIntoView(); document.querySelector('[data-testid=stMain]').scrollBy(0, -70) }")
        page.wait_for_timeout(SETTLING_MS)
    page.screenshot(path=FOLDER / f"{picture.name}.png", animations="disabled")
    print(f"{picture.name}.png", flush=True)


def show_whole(page: Page) -> None:
    """Make the window as high as what the page holds: a page scrolls inside its window."""
    content = page.locator("[data-testid=stMainBlockContainer] > [data-testid=stVerticalBlock]")
    for _ in range(2):  # some parts draw themselves higher in a higher window
        bottom = content.evaluate("block => block.lastElementChild.getBoundingClientRect().bottom")
        page.set_viewport_size({"width": WINDOW[0], "height": int(bottom) + MARGIN})
        page.wait_for_timeout(SETTLING_MS)


def take_all(home: Home, pictures: tuple[Picture, ...]) -> None:
    """Take these pictures in one browser, each in a session of its own."""
    expect.set_options(timeout=PATIENCE_MS)
    with studio(home) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM") or None, args=list(CHROMIUM_ARGUMENTS)
        )
        for picture in pictures:
            context = browser.new_context(device_scale_factor=1, reduced_motion="reduce", color_scheme="light")
            context.set_default_timeout(PATIENCE_MS)
            take(context.new_page(), url, home, picture)
            context.close()
        browser.close()


def main() -> None:
    """Make what is missing and take the pictures that are named, by default all."""
    parser = argparse.ArgumentParser(description="Take the pictures of README.md and docs/ from the running studio.")
    parser.add_argument("--home", metavar="DIR", help="a home folder; what it lacks is made (default: a scratch home)")
    names = [picture.name for picture in PICTURES]
    parser.add_argument("names", metavar="NAME", nargs="*", help=f"only these of {', '.join(names)}")
    options = parser.parse_args()
    unknown = set(options.names) - set(names)
    if unknown:
        parser.error(f"There is no picture {', '.join(sorted(unknown))}.")
    chosen = tuple(picture for picture in PICTURES if not options.names or picture.name in options.names)
    with tempfile.TemporaryDirectory(prefix="studio-") as scratch:
        home = Home.open(options.home or Path(scratch) / "workspace")
        if not options.home:  # the models of this checkout's home, so that they are not written a second time
            home.models.rmdir()
            home.models.symlink_to(Home.open().models)
        make_what_is_missing(home)
        take_all(home, chosen)


if __name__ == "__main__":
    main()
