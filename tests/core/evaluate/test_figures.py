"""Pictures show what the results say, and names from outside as text."""

from __future__ import annotations

import numpy as np
import pytest

from core.evaluate.figure_style import shown
from core.evaluate.figures import dots, forest, heat_map, length_figure, radar, scales
from core.evaluate.results import EvaluationResults, Measure
from core.paths import Home
from tests.build_report import counted_evaluation


@pytest.fixture
def results(home: Home) -> EvaluationResults:
    found = counted_evaluation(home).results()
    assert found is not None
    return found


def total(results: EvaluationResults) -> Measure:
    measure = results.measure("total")
    assert measure is not None
    return measure


def test_the_radar_has_an_outline_for_each_candidate_that_ends_where_it_began(results: EvaluationResults) -> None:
    figure = radar(results)
    assert [outline.name for outline in figure.data] == list(results.candidates)
    for place, outline in enumerate(figure.data):
        assert outline.r[0] == outline.r[-1] == results.measure("accuracy").averages[place].mean  # type: ignore[union-attr]


def test_there_is_no_radar_without_a_judge(home: Home) -> None:
    found = counted_evaluation(home, judges=(), methods=()).results()
    assert found is not None and radar(found) is None


def test_marks_on_one_axis_have_the_same_ends(results: EvaluationResults) -> None:
    for scale in scales(results):
        assert len({(measure.low, measure.high) for measure in scale.measures}) == 1


def test_every_measure_with_a_value_stands_on_one_axis(results: EvaluationResults) -> None:
    names = [measure.name for scale in scales(results) for measure in scale.measures]
    assert sorted(names) == sorted(measure.name for measure in results.measures if any(measure.averages))


def test_dots_stand_at_the_means_and_their_bars_reach_the_ends_of_the_intervals(results: EvaluationResults) -> None:
    marks, average = dots(results, [total(results)]).data[1], total(results).averages[1]
    assert average is not None and average.low is not None and average.high is not None
    assert marks.x[0] == average.mean
    assert marks.x[0] - marks.error_x.arrayminus[0] == pytest.approx(average.low)
    assert marks.x[0] + marks.error_x.array[0] == pytest.approx(average.high)


def test_candidates_differ_by_colour_and_by_mark(results: EvaluationResults) -> None:
    first, second = dots(results).data
    assert first.marker.color != second.marker.color
    assert first.marker.symbol != second.marker.symbol


def test_the_forest_tells_findings_apart(results: EvaluationResults) -> None:
    measure = total(results)
    found = [measure.differences[0].model_copy(update={"finding": name}) for name in ("better", "worse", "unclear")]
    rows = [measure.model_copy(update={"differences": (difference,)}) for difference in found]
    figure = forest(results, rows)
    assert [trace.name for trace in figure.data] == ["better", "worse", "not decided"]
    assert [trace.y[0] for trace in figure.data] == [0, 1, 2]


def test_the_axis_of_the_forest_holds_zero(results: EvaluationResults) -> None:
    low, high = forest(results).layout.xaxis.range
    assert low < 0 < high


def test_one_candidate_alone_has_no_forest(results: EvaluationResults) -> None:
    alone = [measure.model_copy(update={"differences": ()}) for measure in results.measures]
    assert forest(results, alone) is None


def test_a_cell_of_the_heat_map_names_its_question_and_column(results: EvaluationResults) -> None:
    scores = np.array([[1.0, 2.0], [np.nan, 4.0]])
    cells, points = heat_map(["one", "two"], ["Why?", "How?"], scores, total(results)).data
    assert cells.z[1][0] is None
    assert [(list(place), y) for place, y in zip(points.customdata, points.y, strict=True)] == [
        ([0, 0], 1),
        ([0, 1], 1),
        ([1, 0], 2),
        ([1, 1], 2),
    ]
    assert "no score" in points.text[2]


def test_nothing_is_drawn_of_no_scores(results: EvaluationResults) -> None:
    nothing = np.full((2, 2), np.nan)
    assert heat_map(["one", "two"], ["Why?", "How?"], nothing, total(results)) is None
    assert length_figure(["one", "two"], nothing, nothing, total(results)) is None


def test_an_answer_without_a_score_has_no_mark_beside_its_length(results: EvaluationResults) -> None:
    characters, scores = np.array([[10.0, 20.0], [30.0, 40.0]]), np.array([[1.0, np.nan], [3.0, 4.0]])
    figure = length_figure(["one", "two"], characters, scores, total(results))
    assert [list(trace.x) for trace in figure.data] == [[10.0, 30.0], [40.0]]


def test_tags_in_names_are_no_markup() -> None:
    assert shown("<a href='javascript:alert(1)'>x</a>") == "&lt;a href='javascript:alert(1)'&gt;x&lt;/a&gt;"


def test_an_item_of_a_rubric_is_text_in_every_picture(home: Home) -> None:
    item = {"id": "k", "text": "K+ <3.0 and >5.5 mmol/l is named" + ", and so on" * 40}
    found = counted_evaluation(home, methods=("rubric",), rubric=(item,)).results()
    assert found is not None
    measure = found.measure("rubric:k")
    assert measure is not None
    ticks = [figure.layout.yaxis.ticktext[0] for figure in (dots(found, [measure]), forest(found, [measure]))]
    hover = dots(found, [measure]).data[0].customdata[0][0]
    axis = length_figure(["one"], np.array([[9.0]]), np.array([[1.0]]), measure).layout.yaxis.title.text
    for text in (*ticks, hover, axis):
        assert text.startswith("K+ &lt;3.0 and &gt;5.5 mmol/l") and len(text) < 80


def test_a_title_of_the_studio_is_not_cut(results: EvaluationResults) -> None:
    for measure in results.measures:
        assert dots(results, [measure]).layout.yaxis.ticktext[0] == measure.title
