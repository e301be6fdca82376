import json
import math
from pathlib import Path

from core.runs.events import EventTail, EventWriter, latest_metrics, milestones_of, read_events
from tests.build import metrics


def test_what_is_written_is_read_in_order(tmp_path: Path) -> None:
    writer = EventWriter(tmp_path / "e.jsonl")
    writer.write("phase", 0, {"name": "loading"})
    writer.write("metrics", 1, metrics(1).data())
    assert [(event.kind, event.step) for event in read_events(tmp_path / "e.jsonl")] == [("phase", 0), ("metrics", 1)]


def test_a_tail_returns_only_what_is_new_and_never_half_a_line(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    tail = EventTail(path)
    assert tail.read() == []
    line = json.dumps({"time": 1, "kind": "alert", "step": 0, "message": "é"}).encode() + b"\n"
    path.write_bytes(line + line[:20])
    assert len(tail.read()) == 1
    assert tail.read() == []
    with path.open("ab") as file:
        file.write(line[20:])
    assert [event.data["message"] for event in tail.read()] == ["é"]


def test_writing_goes_on_after_a_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    path.write_bytes(b'{"time": 1, "kind": "alert", "st')
    EventWriter(path).write("alert", 3, {"message": "resumed"})
    assert [event.step for event in read_events(path)] == [3]


def test_a_step_done_again_after_a_resume_counts_once(tmp_path: Path) -> None:
    writer = EventWriter(tmp_path / "e.jsonl")
    for step, reward in ((1, 0.1), (2, 0.2), (2, 0.9), (3, 0.3)):
        writer.write("metrics", step, metrics(step, reward=reward).data())
    found = latest_metrics(read_events(tmp_path / "e.jsonl"))
    assert [(m.step, m.reward) for m in found] == [(1, 0.1), (2, 0.9), (3, 0.3)]


def test_numbers_that_are_not_finite_stay_valid_json(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    EventWriter(path).write("metrics", 1, metrics(1, entropy=float("nan")).data())
    assert json.loads(path.read_text())["entropy"] is None
    assert math.isnan(latest_metrics(read_events(path))[0].entropy)


def test_what_tells_what_happened_stands_in_the_milestones_too(tmp_path: Path) -> None:
    writer = EventWriter(tmp_path / "events.jsonl")
    writer.write("phase", 1, {"name": "generating"})
    writer.write("metrics", 1, metrics(1).data())
    writer.write("sample", 1, {"file": "step-000001.parquet"})
    writer.write("checkpoint", 1, {"path": "checkpoints/checkpoint-1"})
    writer.write("alert", 1, {"message": "a row is left out"})
    writer.write("validation", 1, {"reward": 0.5})
    found = read_events(milestones_of(tmp_path / "events.jsonl"))
    assert [event.kind for event in found] == ["alert", "validation"]
    assert [event for event in read_events(tmp_path / "events.jsonl") if event.kind == "alert"] == found[:1]


def test_a_log_that_was_written_without_milestones_gets_them_when_it_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    writer = EventWriter(path)
    writer.write("metrics", 1, metrics(1).data())
    writer.write("validation", 1, {"reward": 0.5})
    writer.close()
    milestones_of(path).unlink()
    with path.open("ab") as torn:
        torn.write(b'{"time": 1, "kind": "alert", "st')
    EventWriter(path).write("state", 1, {"state": "running"})
    assert [event.kind for event in read_events(milestones_of(path))] == ["validation", "state"]


def test_text_with_broken_characters_is_kept_readable(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    EventWriter(path).write("alert", 0, {"message": "half a pair \ud83d"})
    assert read_events(path)[0].data["message"].startswith("half a pair")


def test_a_component_without_an_opinion_comes_back_as_one(tmp_path: Path) -> None:
    path = tmp_path / "e.jsonl"
    nan = float("nan")
    EventWriter(path).write(
        "metrics", 1, metrics(1, components={"judge": nan, "tags": 1.0}, effective={"a": nan}).data()
    )
    (found,) = latest_metrics(read_events(path))
    assert math.isnan(found.components["judge"]) and found.components["tags"] == 1.0
    assert math.isnan(found.effective["a"])
