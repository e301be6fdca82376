"""One row as a run will read it, and what the page makes of names, presets and lengths."""

from __future__ import annotations

import pytest

from core.config import Example, Tags
from core.data.draft import ColumnMapping, Draft, DropRows, Redact, Resplit, Shares, StripReasoning
from core.data.findings import Lengths
from core.errors import ConfigError
from core.paths import Home
from core.prompts import PROMPTS
from studio import data_draft, data_lengths, data_prompt, data_split
from studio.data_preview import as_trained
from tests.build_tables import PROMPT, decide, make_draft, make_table

MAPPING = ColumnMapping(question="q", answer="a", carried=("ward",))


def draft(**changes: object) -> Draft:
    return Draft.model_validate({"table": "t", "mapping": MAPPING, "prompt": PROMPT, **changes})


def row(**changes: str | None) -> dict[str, object]:
    return {"row": 7, "q": " Why? ", "a": "<think>Hm.</think>So.", "ward": "A", **changes}


def test_a_row_loses_the_blanks_around_its_texts() -> None:
    assert as_trained(row(), draft()).question == "Why?"


def test_a_mend_that_strips_reasoning_is_seen_in_the_row() -> None:
    assert as_trained(row(), draft(mends=(StripReasoning(rows=(7,)),))).answer == "So."


@pytest.mark.parametrize("mend", [StripReasoning(rows=(8,)), DropRows(reason="x", rows=(8,)), Redact(rows=(8,))])
def test_a_mend_of_other_rows_leaves_a_row_alone(mend: object) -> None:
    shown = as_trained(row(), draft(mends=(mend,)))
    assert (shown.answer, shown.notes) == ("<think>Hm.</think>So.", ())


def test_a_row_that_is_left_out_says_so() -> None:
    assert as_trained(row(), draft(mends=(DropRows(reason="x", rows=(7,)),))).notes == ("A mend leaves this row out.",)


def test_an_empty_cell_is_named() -> None:
    assert as_trained(row(a=None), draft()).notes == ("The answer is empty.",)


def test_carried_columns_go_with_the_row() -> None:
    assert as_trained(row(), draft()).carried == (("ward", "A"),)


def test_a_preset_is_recognised_whatever_its_tags_are_called() -> None:
    prompt = PROMPTS["legal"].prompt.model_copy(update={"tags": Tags(reasoning="think")})
    assert data_prompt.preset_of(prompt) == "legal"
    assert data_prompt.preset_of(prompt.model_copy(update={"system": "x"})) is None


def test_a_change_that_changes_nothing_writes_nothing(home: Home) -> None:
    table = make_table(home, [{"question": "a", "answer": "b"}])
    decide(table, make_draft(table))
    file = table.folder / "draft.json"
    file.write_text(file.read_text() + "\n")
    written = file.read_text()
    data_draft.change(table, {"max_prompt_length": 512})
    assert file.read_text() == written


def test_a_mend_is_applied_once_and_taken_back_alone(home: Home) -> None:
    table = make_table(home, [{"question": "a", "answer": "b"}])
    decide(table, seen := make_draft(table))
    first, second = DropRows(reason="x", rows=(1,)), StripReasoning(rows=(1,))
    for mend in (first, second, first):
        data_draft.apply(table, mend, seen)
    data_draft.take_back(table, first)
    kept = table.draft()
    assert kept is not None
    assert kept.mends == (second,)


def test_other_columns_take_the_mends_of_their_texts_away(home: Home) -> None:
    table = make_table(home, [{"question": "a", "answer": "b", "other": "c"}])
    mends = (Redact(rows=(1,)), Resplit())
    decide(table, make_draft(table, mends=mends))
    for answer, left in (("answer", mends), ("other", (Resplit(),))):
        data_draft.keep_mapping(table, ColumnMapping(question="question", answer=answer), None)
        kept = table.draft()
        assert kept is not None
        assert (kept.mapping.answer, kept.mends) == (answer, left)


def columns(**changes: object) -> ColumnMapping:
    return ColumnMapping.model_validate({"question": "question", "answer": "answer", **changes})


def test_columns_that_somebody_else_has_chosen_meanwhile_stay(home: Home) -> None:
    table = make_table(home, [{"question": "a", "answer": "b", "ward": "c", "set": "train"}])
    decide(table, seen := make_draft(table))
    data_draft.keep_mapping(table, columns(carried=("ward", "set")), seen.mapping)
    data_draft.keep_mapping(table, columns(split="set"), seen.mapping)
    kept = table.draft()
    assert kept is not None
    assert (kept.mapping.split, kept.mapping.carried) == ("set", ("ward",))


def test_a_mend_for_columns_that_somebody_else_has_changed_is_not_applied(home: Home) -> None:
    table = make_table(home, [{"question": "a", "answer": "b", "other": "c"}])
    decide(table, seen := make_draft(table))
    data_draft.keep_mapping(table, columns(answer="other"), seen.mapping)
    for mend in (Redact(rows=(1,)), Resplit()):
        data_draft.apply(table, mend, seen)
    kept = table.draft()
    assert kept is not None
    assert (kept.mapping.answer, kept.mends) == ("other", (Resplit(),))


def test_a_table_that_somebody_else_has_begun_is_not_begun_again(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    table = make_table(home, [{"question": "a", "answer": "b"}])
    begun = make_draft(table, max_prompt_length=99)

    def meanwhile(*anything: object) -> ColumnMapping:
        decide(table, begun)
        return columns()

    monkeypatch.setattr(data_draft, "guess_mapping", meanwhile)
    data_draft.begin(table)
    assert table.draft() == begun


def test_tags_that_cannot_stand_beside_those_chosen_meanwhile_are_refused(home: Home) -> None:
    table = make_table(home, [{"question": "a", "answer": "b"}])
    decide(table, make_draft(table))
    data_draft.change(table, {"prompt.tags.reasoning": "final"})
    with pytest.raises(ConfigError, match="must differ"):
        data_draft.change(table, {"prompt.tags.answer": "final"})
    kept = table.draft()
    assert kept is not None
    assert kept.prompt.tags == Tags(reasoning="final")


def test_of_two_equal_examples_one_is_removed(home: Home) -> None:
    table = make_table(home, [{"question": "a", "answer": "b"}])
    twice, other = (Example(question=text, reasoning="So.", answer="Yes.") for text in ("Why?", "How?"))
    decide(table, make_draft(table, prompt=PROMPT.model_copy(update={"examples": (twice, other, twice)})))
    for left in ((other, twice), (other,), (other,)):
        data_draft.remove_example(table, twice)
        kept = table.draft()
        assert kept is not None
        assert kept.prompt.examples == left


def test_expected_counts_leave_dropped_rows_out(home: Home) -> None:
    table = make_table(home, [{"question": f"q{n}", "answer": "a"} for n in range(20)])
    wanted = make_draft(table, shares=Shares(validation=0, test=0), mends=(DropRows(reason="x", rows=(1, 2)),))
    assert data_split.expected(table, wanted).rows["train"] == 18


def test_expected_counts_name_words_that_are_no_split(home: Home) -> None:
    rows = [{"question": "a", "answer": "b", "fold": fold} for fold in ("train", "Dev", "fold 3", None)]
    table = make_table(home, rows)
    wanted = make_draft(table, mapping=ColumnMapping(question="question", answer="answer", split="fold"))
    found = data_split.expected(table, wanted)
    assert (found.rows["train"], found.rows["validation"]) == (1, 1)
    assert found.unknown == ("fold 3", "an empty cell")


def test_the_histogram_marks_both_limits_and_has_room_for_them() -> None:
    lengths = Lengths(texts=3, longest=20, edges=(0, 10, 20), counts=(1, 2))
    option = data_lengths.option(lengths, limit=512, suggested=24, colour="#000000")
    (bars,) = option["series"]
    assert bars["data"] == [[5.0, 1], [15.0, 2]]
    assert [line["xAxis"] for line in bars["markLine"]["data"]] == [512, 24]
    assert option["xAxis"]["max"] >= 512
