"""Custom rewards as processes: every way a file can fail has its sentence, and nothing is left running."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from core.config import CustomReward, Tags
from core.engine.child_process import OUTPUT_LIMIT
from core.engine.custom_component import CustomComponent, CustomRewardError
from core.engine.try_reward import try_reward
from core.errors import ConfigError, DataError, MissingColumn, RewardError
from core.jobs.tasks import silent
from core.paths import PROJECT, Home
from core.reward.custom_files import custom_reward, source_of, templates
from core.reward.scoring import Sample
from core.reward.trial import Trial

TEXTS = ("<answer>one</answer>", "<answer>one two</answer>", "", "حاد 急性")
SAMPLES = [
    Sample("Why?", "Because.", text, f"group {row // 2}", columns={"options": f"option {row}", "answer": "not this"})
    for row, text in enumerate(TEXTS)
]

TAGS = Tags()

Make = Callable[..., CustomComponent]


@pytest.fixture
def make(home: Home) -> Iterator[Make]:
    """Makes a component from the body of `reward`, or from a whole file."""
    made: list[CustomComponent] = []

    def build(body: str, seconds: float = 20.0, whole: bool = False) -> CustomComponent:
        made.append(unstarted(home, body if whole else f"def reward(completions, **kwargs):\n    {body}\n", seconds))
        made[-1].start()
        return made[-1]

    yield build
    for component in made:
        component.close()


def unstarted(home: Home, source: str, seconds: float = 20.0, tags: Tags = TAGS) -> CustomComponent:
    (home.rewards / "mine.py").write_text(source, encoding="utf-8")
    return CustomComponent(source_of(home.rewards, CustomReward(name="mine", seconds=seconds)), tags)


def child(component: CustomComponent) -> psutil.Process:
    assert component._child is not None
    return psutil.Process(component._child._process.pid)


def children() -> list[psutil.Process]:
    return psutil.Process().children(recursive=True)


def test_numbers_of_every_kind_come_back_in_order(make: Make) -> None:
    component = make(
        "import numpy as np; from fractions import Fraction; return [True, None, np.float32(0.5), Fraction(1, 4)]"
    )
    assert component.name == "mine"
    assert component.scores(SAMPLES) == [1.0, None, 0.5, 0.25]


@pytest.mark.parametrize("made", ["(0, 1, 0, 1)", "__import__('numpy').array([0, 1, 0, 1])"], ids=["tuple", "array"])
def test_other_sequences_are_as_good_as_a_list(make: Make, made: str) -> None:
    assert make(f"return {made}").scores(SAMPLES) == [0.0, 1.0, 0.0, 1.0]


def test_the_function_gets_what_trl_gives_and_every_carried_column(make: Make) -> None:
    names = ("prompts", "completions", "model_answer", "model_reasoning", "question", "reference", "answer", "group")
    component = make(
        "import json; print(json.dumps({'completions': completions, **kwargs})); return [0] * len(completions)"
    )
    component.scores(SAMPLES)
    given = json.loads(component.output)
    assert set(given) == {*names, "options"} and all(len(given[name]) == len(SAMPLES) for name in names)
    assert given["prompts"][0] == [{"role": "user", "content": "Why?"}]
    assert [c[0]["content"] for c in given["completions"]] == list(TEXTS)
    assert given["completions"][0][0]["role"] == "assistant"
    assert given["answer"] == given["reference"] == ["Because."] * 4
    assert given["options"][3] == "option 3" and given["group"][3] == "group 1"


def test_a_function_without_kwargs_gets_the_arguments_it_names(make: Make) -> None:
    component = make("def reward(completions, options, group): return [len(o) for o in options]", whole=True)
    assert component.scores(SAMPLES) == [8.0] * 4


def test_a_column_that_the_data_does_not_carry_is_named(make: Make) -> None:
    component = make("def reward(completions, dose): return []", whole=True)
    with pytest.raises(MissingColumn, match=r"asks for 'dose'.*There are options.*carry the column") as raised:
        component.scores(SAMPLES)
    assert (raised.value.reward, raised.value.column) == ("mine", "dose")
    assert component._child is None


def test_no_samples_need_no_process(home: Home) -> None:
    component = unstarted(home, "raise ValueError\ndef reward(completions, **kwargs): ...")
    assert component.scores([]) == []
    assert component._child is None


def test_the_parts_of_a_completion_are_read_by_the_runs_own_tags(home: Home) -> None:
    texts = [
        "<think>Why not</think><say>Rest. </say>",
        "<think>only</think> then <b>prose</b>",
        "<answer>x</answer>",
        "<say></say>",
    ]
    source = "import json\ndef reward(model_answer, model_reasoning):\n    "
    source += "print(json.dumps([model_answer, model_reasoning])); return [0] * 4"
    component = unstarted(home, source, tags=Tags(reasoning="think", answer="say"))
    component.scores([Sample("q", "r", text, "g") for text in texts])
    answers, reasonings = json.loads(component.output)
    component.close()
    assert answers == ["Rest.", "only then <b>prose</b>", "<answer>x</answer>", ""]
    assert reasonings == ["Why not", "only", "", ""]


def test_many_completions_are_scored_in_portions_of_whole_groups_and_come_back_in_order(make: Make) -> None:
    component = make(
        "print(len(completions), len(set(kwargs['group']))); return [float(c[0]['content']) for c in completions]"
    )
    samples = [Sample("q", "r", str(row), f"group {row % 7}") for row in range(150)]  # groups of 21 or 22, interleaved
    assert component.scores(samples) == [float(row) for row in range(150)]
    assert component.output == "66 3\n84 4\n"


def test_a_fault_in_a_later_portion_names_the_completion_among_all(make: Make) -> None:
    component = make("return [None if c[0]['content'] != '99' else 'bad' for c in completions]")
    samples = [Sample("q", "r", str(row), str(row // 10)) for row in range(100)]
    with pytest.raises(CustomRewardError, match=r"str 'bad' for completion 100 \(of 100, counted from 1\)"):
        component.scores(samples)


def test_long_and_broken_texts_arrive_whole(make: Make) -> None:
    long = [Sample("q", "r", text, "g") for text in ("x" * 1_000_000, "\ud800 lone", "\x00 null\n")]
    assert make("return [len(c[0]['content']) for c in completions]").scores(long) == [1_000_000.0, 6.0, 7.0]


def test_what_is_remembered_between_two_calls_stays(make: Make) -> None:
    component = make(
        "CALLS = []\ndef reward(completions, **kwargs):\n    CALLS.append(1)\n    return [len(CALLS)] * 4", whole=True
    )
    assert [component.scores(SAMPLES)[0] for _ in range(3)] == [1.0, 2.0, 3.0]


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("return [1 / 0]", r"mine\.py raised ZeroDivisionError: division by zero\. Line 2 is: return \[1 / 0\]$"),
        ("raise KeyboardInterrupt", r"raised KeyboardInterrupt\. Line 2 is"),
        ("import sys; sys.exit(3)", r"called sys\.exit instead of returning its scores\. Line 2"),
        ("import os; os._exit(3)", r"ended its process with exit code 3"),
        ("import os; os.abort()", r"crashed its process \(SIGABRT\)"),
        ("import os; os.kill(os.getpid(), 40)", r"crashed its process \(signal 40\)"),
        ("import os; os.kill(os.getpid(), 9)", r"crashed its process \(SIGKILL, perhaps because memory ran out\)"),
        (f"bytearray({psutil.virtual_memory().total * 6 // 10})", r"raised MemoryError\. Line 2"),
        ("open('large', 'wb').write(bytes(65_000_000))", r"raised OSError: .*File too large"),
        ("return [1.0]", r"returned a list of length 1 for 4 completions"),
        ("return []", r"returned a list of length 0 for 4 completions"),
        ("return [0.1, 'good', 2, 3]", r"returned str 'good' for completion 2 \(of 4, counted from 1\)"),
        (
            "return [0, [1], {}, 3j]",
            r"list \[1\] for completion 2, dict {} for completion 3, complex 3j for completion 4",
        ),
        (
            "return [0, float('nan'), float('-inf'), 0]",
            r"nan for completion 2, -inf for completion 3 .* no finite number",
        ),
        ("return [0, 0, 0, 10**400]", r"inf for completion 4"),
        (
            "return [0, -2e6, 1e6, 1e300]",
            r"-2000000\.0 for completion 2, 1e\+300 for completion 4 .* beyond 1,000,000\.",
        ),
        ("return {'a': 1}", r"returned a value of the type dict, not a list"),
        ("return 0.5", r"of the type float, not a list"),
        ("pass", r"of the type NoneType, not a list"),
        ("return 'good'", r"of the type str, not a list"),
        ("return (c for c in completions)", r"of the type generator, not a list"),
        (
            "import os, sys; os.write(int(sys.orig_argv[-3]), b'junk\\n'); return [0] * 4",
            r"wrote into the studio's own channel",
        ),
    ],
)
def test_every_failure_has_its_sentence_and_leaves_no_process(make: Make, body: str, sentence: str) -> None:
    component = make(body)
    process = child(component)
    with pytest.raises(RewardError, match=sentence):
        component.scores(SAMPLES)
    assert not process.is_running()


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (
            "import nothing_of_that_name\ndef reward(completions, **kwargs): ...",
            r"ModuleNotFoundError.*Line 1 is: import",
        ),
        ("def reward(completions, **kwargs): ...\nexit(1)", r"called sys\.exit instead of returning its scores"),
        ("def reward(completions, **kwargs): ...\ndel reward", r"raised AttributeError"),
    ],
)
def test_a_file_that_fails_while_it_is_loaded_is_said(make: Make, source: str, sentence: str) -> None:
    before = children()
    with pytest.raises(CustomRewardError, match=sentence):
        make(source, whole=True)
    assert children() == before


@pytest.mark.parametrize(
    "body",
    ["while True: pass", "import re; re.match('(a+)+b', 'a' * 60)", "while True: print('x' * 10000)"],
    ids=["a loop", "a pattern that never returns to Python", "a loop that prints"],
)
def test_what_goes_on_for_ever_is_stopped(make: Make, body: str) -> None:
    component = make(body, seconds=1)
    process = child(component)
    with pytest.raises(CustomRewardError, match=r"took longer than 1 s for 4 completions and was stopped"):
        component.scores(SAMPLES)
    assert not process.is_running()


def test_a_file_that_loops_while_it_is_loaded_is_stopped(make: Make) -> None:
    with pytest.raises(CustomRewardError, match=r"took longer than 1 s to load"):
        make("while True: pass\ndef reward(completions, **kwargs): ...", seconds=1, whole=True)


def test_after_a_failure_the_next_call_starts_again(make: Make) -> None:
    component = make("return [0] * 4 if len(completions) == 4 else 1 / 0")
    with pytest.raises(CustomRewardError):
        component.scores(SAMPLES[:1])
    assert component.scores(SAMPLES) == [0.0] * 4


@pytest.mark.parametrize(
    ("own_session", "orphaned"), [(False, False), (True, False), (True, True)], ids=["plain", "session", "daemon"]
)
def test_closing_ends_the_process_and_whatever_it_started(make: Make, own_session: bool, orphaned: bool) -> None:
    start = f"subprocess.Popen(['sleep', '1000'], start_new_session={own_session})"
    if orphaned:
        start = f"subprocess.run([sys.executable, '-c', {'import subprocess; ' + start!r}], check=True)"
    component = make(f"import subprocess, sys; {start}; return [0] * 4")
    component.scores(SAMPLES)
    started = [child(component), *child(component).children()]
    assert [process.name() for process in started[1:]] == ["sleep"]
    component.close()
    component.close()
    assert psutil.wait_procs(started, timeout=10)[1] == []


@pytest.mark.parametrize("body", ["import time; time.sleep(1000)", "while True: pass"], ids=["waiting", "busy"])
def test_the_process_ends_when_the_job_is_killed(home: Home, body: str) -> None:
    (home.rewards / "mine.py").write_text(
        f"import os\ndef reward(completions, **kwargs):\n    print(os.getpid(), flush=True)\n    {body}\n"
    )
    program = (
        "import os, sys, threading, time\nfrom core.config import CustomReward\nfrom core.paths import Home\n"
        "from core.engine.custom_component import CustomComponent\nfrom core.reward.scoring import Sample\n"
        "from core.config import Tags\nfrom core.reward.custom_files import source_of\n"
        f"folder = Home.open({str(home.root)!r}).rewards\n"
        "component = CustomComponent(source_of(folder, CustomReward(name='mine', seconds=600)), Tags())\n"
        "sample = Sample('q', 'r', 'c', 'g')\n"
        "threading.Thread(target=component.scores, args=([sample],), daemon=True).start()\n"
        "while not component.output: time.sleep(0.01)\n"
        "print(component.output, flush=True)\nos.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, timeout=120)
    try:
        left = psutil.Process(int(done.stdout))
    except psutil.NoSuchProcess:
        return
    assert psutil.wait_procs([left], timeout=60)[1] == []


def test_it_has_no_secret_no_input_and_a_home_of_its_own(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "opensesame")
    component = make(
        "import os, sys, json; print(json.dumps([dict(os.environ), sys.stdin.read(), sys.path, sys.argv]))\n"
        "    return [0] * 4"
    )
    component.scores(SAMPLES)
    environment, read, path, arguments = json.loads(component.output)
    assert set(environment) >= {"PATH", "LANG", "HOME"} and "SOME_API_KEY" not in environment
    assert not {name for name in environment if "GRPO" in name or "PYTHON" in name}
    assert read == "" and str(PROJECT) not in path and environment["HOME"] != os.environ.get("HOME")
    assert [Path(argument).name for argument in arguments] == ["mine.py"]


def test_it_cannot_read_the_environment_of_the_process_that_started_it(make: Make) -> None:
    component = make(
        "import os, subprocess\n"
        "    print(open(f'/proc/{os.getppid()}/cmdline').read() != '')\n"
        "    print(subprocess.run(['cat', f'/proc/{os.getppid()}/environ'], capture_output=True, text=True))\n"
        "    open(f'/proc/{os.getppid()}/environ').read()"
    )
    with pytest.raises(CustomRewardError, match="raised PermissionError"):
        component.scores(SAMPLES)
    assert component.output.startswith("True\n") and "stdout=''" in component.output
    assert "Permission denied" in component.output


def test_a_secret_is_masked_wherever_it_would_show(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "opensesame")
    component = make("key = 'open' + 'sesame'; print(key); return [0, 0, 0, key]")
    with pytest.raises(CustomRewardError, match=r"str '\*\*\*' for completion 4"):
        component.scores(SAMPLES)
    assert component.output == "***\n"
    component = make("raise ValueError('open' + 'sesame')")
    with pytest.raises(CustomRewardError, match=r"raised ValueError: \*\*\*\."):
        component.scores(SAMPLES)


@pytest.mark.parametrize("offset", range(0, 11, 5))
def test_no_part_of_a_secret_is_left_where_the_output_is_cut(
    make: Make, monkeypatch: pytest.MonkeyPatch, offset: int
) -> None:
    monkeypatch.setenv("HF_TOKEN", "opensesame")
    component = make(f"print('.' * {offset} + ('open' + 'sesame') * 100_000, end=''); return [0] * 4")
    component.scores(SAMPLES)
    assert "***" in component.output and set(component.output) <= {"*", "."}


def test_endless_printing_is_cut_and_stops_nothing(make: Make) -> None:
    component = make("print('x' * 10_000_000); return [0] * 4")
    assert component.scores(SAMPLES) == [0.0] * 4
    assert len(component.output) == OUTPUT_LIMIT


def test_control_characters_do_not_reach_a_message(make: Make) -> None:
    with pytest.raises(CustomRewardError) as raised:
        make("raise ValueError('\\x1b[31mred\\nnext')").scores(SAMPLES)
    assert "\x1b" not in str(raised.value) and "\n" not in str(raised.value)


def test_the_file_that_was_chosen_is_the_one_that_runs(home: Home) -> None:
    (home.rewards / "mine.py").write_text("def reward(completions, **kwargs): return [1] * len(completions)")
    component = CustomComponent(source_of(home.rewards, custom_reward(home, "mine")), Tags())
    (home.rewards / "mine.py").write_text("def reward(completions, **kwargs): return [0] * len(completions)")
    assert component.scores(SAMPLES) == [1.0] * 4
    component.close()


def tried(home: Home, **arguments: object) -> Trial:
    return Trial.model_validate(json.loads(json.dumps(try_reward(home, {"name": "mine", **arguments}, silent))))


def test_a_trial_says_what_came_of_it(home: Home) -> None:
    band = next(template for template in templates() if template.name == "length_band")
    (home.rewards / "mine.py").write_text(band.source)
    trial = tried(home)
    assert len(trial.scores) == len(trial.keys) == 64 and trial.error == ""
    assert trial.lowest is not None and trial.mean is not None and trial.highest is not None
    assert trial.lowest <= trial.mean <= trial.highest
    assert trial.groups == 8 and 0 < trial.differing <= 8 and trial.spread is not None and trial.spread > 0
    assert trial.missing == 0 and trial.seconds > 0


def test_a_trial_of_a_constant_says_that_it_teaches_nothing(home: Home) -> None:
    (home.rewards / "mine.py").write_text("def reward(completions, **kwargs): return [0.5] * len(completions)")
    trial = tried(home, count=16)
    assert (trial.groups, trial.differing, trial.spread) == (2, 0, 0.0)
    assert "learns nothing" in trial.verdict()


def test_a_trial_counts_what_has_no_opinion_and_what_is_out_of_bounds(home: Home) -> None:
    (home.rewards / "mine.py").write_text("def reward(completions, **kwargs): return [None, 5, 0, 1] * 2")
    trial = tried(home, count=8)
    assert (trial.missing, trial.outside, trial.highest) == (0.25, 2, 5.0)
    assert "outside -1 to 1" in trial.verdict()


def test_a_trial_that_fails_keeps_the_line_and_what_was_printed(home: Home) -> None:
    (home.rewards / "mine.py").write_text(
        "def reward(completions, **kwargs):\n    print('here')\n    return score(completions)\n"
        "def score(completions):\n    return completions['x']\n"
    )
    trial = tried(home)
    assert trial.scores == () and "raised TypeError" in trial.error and trial.output == "here\n"
    assert [(frame.line, frame.function) for frame in trial.frames] == [(3, "reward"), (5, "score")]
    assert trial.frames[-1].source == "return completions['x']"


def test_a_trial_says_which_column_is_missing(home: Home) -> None:
    (home.rewards / "mine.py").write_text("def reward(completions, dose): return []")
    trial = tried(home)
    assert "asks for 'dose'" in trial.error and trial.scores == ()


def test_a_trial_is_refused_for_what_is_not_there(home: Home) -> None:
    with pytest.raises(RewardError, match="no custom reward mine"):
        tried(home)
    (home.rewards / "mine.py").write_text("def reward(completions, **kwargs): return []")
    for wrong in ({"seconds": 0}, {"count": 0}, {"count": -3}, {"count": 1001}, {"counts": 4}, {"name": "no name"}):
        with pytest.raises(ConfigError, match=next(iter(wrong))):
            tried(home, **wrong)
    with pytest.raises(ConfigError, match="name is missing"):
        try_reward(home, {}, silent)
    with pytest.raises(DataError, match="no board"):
        tried(home, board="nowhere")
