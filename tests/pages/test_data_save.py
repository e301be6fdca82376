"""Shares, saving, and what was saved on the Data page."""

from __future__ import annotations

from core.data.draft import ColumnMapping, Shares
from core.data.prepared import find
from core.data.quality import run_report
from core.data.saving import prepare
from core.data.tables import Table
from core.jobs.tasks import silent
from core.paths import Home, write_json
from studio import navigation
from tests.build_data_page import DATA, Open, draft_of, ended_task, shown, texts
from tests.build_tables import decide

TRAIN = str(navigation.TRAIN.path)


def test_shares_that_two_people_choose_at_once_are_both_kept(data: Open, home: Home, table: Table) -> None:
    run_report(home, {"table": table.id}, silent)
    one, other = data(table), data(table)
    one.slider(key=f"{table.id}.share.validation").set_value(20).run()
    other.slider(key=f"{table.id}.share.test").set_value(30).run()
    assert draft_of(table).shares == Shares(validation=0.2, test=0.3)


def test_shares_decide_how_many_rows_are_held_out(data: Open, home: Home, table: Table) -> None:
    run_report(home, {"table": table.id}, silent)
    at = data(table)
    at.slider(key=f"{table.id}.share.test").set_value(40).run()
    assert not at.exception
    counts = {metric.label: int(metric.value) for metric in at.metric}
    assert sum(counts.values()) == 60
    assert counts["Test"] > 10
    assert draft_of(table).shares == Shares(validation=0.05, test=0.4)


def test_a_split_column_without_splits_cannot_be_saved(data: Open, home: Home, table: Table) -> None:
    run_report(home, {"table": table.id}, silent)
    mapping = ColumnMapping(question="question", answer="answer", split="ward")
    decide(table, draft_of(table).model_copy(update={"mapping": mapping}))
    at = data(table)
    assert not at.exception
    assert "names no split" in texts(at)
    assert at.button(key="save_data").disabled


def test_a_name_is_made_plain(data: Open, home: Home, table: Table) -> None:
    run_report(home, {"table": table.id}, silent)
    at = data(table)
    at.text_input(key=f"{table.id}.name").set_value("../../etc/Ward 7").run()
    assert "Saved as etc\\-ward\\-7." in texts(at)
    at.text_input(key=f"{table.id}.name").set_value("???").run()
    assert at.button(key="save_data").disabled


def test_the_suggested_name_can_be_saved_under(data: Open, home: Home, table: Table) -> None:
    about = table.about().model_copy(update={"title": "sample.csv"})
    write_json(table.folder / "about.json", about.model_dump(mode="json"))
    run_report(home, {"table": table.id}, silent)
    at = data(table)
    assert at.text_input(key=f"{table.id}.name").value == "sample-data"
    assert not at.button(key="save_data").disabled
    assert prepare(home, {"table": table.id, "name": "sample-data"}, silent) == {"name": "sample-data"}
    assert data(table).text_input(key=f"{table.id}.name").value == "sample-data-2"


def test_the_name_of_the_sample_and_a_taken_one_are_told(data: Open, home: Home, table: Table) -> None:
    run_report(home, {"table": table.id}, silent)
    saved(home, table)
    at = data(table)
    at.text_input(key=f"{table.id}.name").set_value("Sample").run()
    assert "Choose another name" in texts(at)
    assert at.button(key="save_data").disabled
    at.text_input(key=f"{table.id}.name").set_value("ward").run()
    assert "ward is taken; a number will be added" in texts(at)
    assert not at.button(key="save_data").disabled


def saved(home: Home, table: Table) -> str:
    arguments = {"table": table.id, "name": "ward"}
    task = ended_task(home, "prepare", arguments, "finished")
    write_json(task.folder / "result.json", prepare(home, arguments, silent))
    return "ward"


def test_what_was_saved_is_shown_and_leads_to_training(data: Open, home: Home, table: Table) -> None:
    run_report(home, {"table": table.id}, silent)
    name = saved(home, table)
    at = data(table)
    assert not at.exception
    assert find(home, name).manifest.fingerprint in texts(at)
    at.button(key="train_on_it").click().run()
    assert not at.exception
    assert at.title[0].value == "New training run"
    assert at.selectbox(key="prepared_data").value == name
    assert at.text_input(key="model_folder").value == draft_of(table).model


def test_training_on_what_was_saved_wins_over_what_the_form_held_before(data: Open, home: Home, table: Table) -> None:
    run_report(home, {"table": table.id}, silent)
    name = saved(home, table)
    at = data(table)
    at.switch_page(TRAIN)
    at.run()
    at.get_by_key("data_source").set_value("Sample").run()
    at.switch_page(DATA)
    at.query_params["table"] = table.id
    at.run()
    at.button(key="train_on_it").click().run()
    assert not at.exception
    assert at.selectbox(key="prepared_data").value == name
    assert at.text_input(key="model_folder").value == draft_of(table).model


def test_a_prepared_data_set_brings_its_limits_to_the_train_page(data: Open, home: Home, table: Table) -> None:
    run_report(home, {"table": table.id}, silent)
    decide(table, draft_of(table).model_copy(update={"max_completion_length": 333}))
    saved(home, table)
    at = data(table)
    at.button(key="train_on_it").click().run()
    assert at.number_input(key="demo.ward.train.max_completion_length").value == 333


def test_a_prepared_file_that_was_changed_is_listed_with_the_problem(data: Open, home: Home, table: Table) -> None:
    folder = find(home, saved(home, table)).folder
    file = folder / "train.parquet"
    file.write_bytes(file.read_bytes() + b" ")
    at = data()
    assert not at.exception
    assert shown(at, "Fingerprint")["State"].tolist() == [["Changed"]]
    assert "has changed since it was saved" in at.error[0].value
