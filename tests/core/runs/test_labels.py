"""What people write on runs: kept whole, checked, and never lost to another change."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest

from core.errors import ConfigError, RunError
from core.paths import Home
from core.presets import preset_config
from core.runs.labels import Label, change_label, label_file, read_label
from core.runs.run import Run, create_run


@pytest.fixture
def run(home: Home) -> Run:
    return create_run(home, preset_config("demo"))


def test_a_run_without_a_label_has_an_empty_one_and_reading_writes_nothing(run: Run) -> None:
    assert read_label(run) == Label()
    assert not label_file(run).exists()


def test_what_is_not_mentioned_stays_as_it_is(run: Run) -> None:
    change_label(run, title=" Warfarin, second try ", add=["ward 7", "keep"], note="Two\nlines.")
    change_label(run, archived=True)
    changed = change_label(run, add=["keep", "best"], remove=["ward 7", "never there"])
    assert changed == read_label(run)
    assert changed == Label(title="Warfarin, second try", tags=("keep", "best"), note="Two\nlines.", archived=True)


def test_a_title_can_be_taken_away_again(run: Run) -> None:
    change_label(run, title="First")
    assert change_label(run, title="").title == ""


@pytest.mark.parametrize("tag", ["", "   ", "x" * 41, "a\x1b[31mb", "a\nb", "a\u202eb"])
def test_a_tag_that_nobody_could_read_is_refused_and_nothing_is_written(tag: str, run: Run) -> None:
    with pytest.raises(ConfigError, match="must be 1 to 40 characters"):
        change_label(run, add=["good", tag])
    assert read_label(run) == Label()


def test_a_run_has_at_most_twenty_tags(run: Run) -> None:
    change_label(run, add=[f"tag {number}" for number in range(20)])
    with pytest.raises(ConfigError, match="at most 20 tags"):
        change_label(run, add=["one more"])
    assert len(read_label(run).tags) == 20


def test_a_title_of_several_lines_is_refused(run: Run) -> None:
    with pytest.raises(ConfigError, match="one line"):
        change_label(run, title="a\nb")


def test_changes_at_the_same_moment_are_all_kept(run: Run) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: change_label(run, add=[f"tag {number}"]), range(16)))
    assert set(read_label(run).tags) == {f"tag {number}" for number in range(16)}


def test_a_damaged_label_is_named_and_never_written_over(run: Run) -> None:
    label_file(run).write_text('{"title": "half')
    with pytest.raises(RunError, match="cannot be read"):
        change_label(run, title="new")
    assert label_file(run).read_text() == '{"title": "half'


def test_a_run_that_is_gone_does_not_come_back_as_a_label(run: Run) -> None:
    shutil.rmtree(run.folder)
    with pytest.raises(RunError, match="not there any more"):
        change_label(run, title="new")
    assert not run.folder.exists()
