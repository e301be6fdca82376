"""What an evaluation is said to cost before it starts."""

from __future__ import annotations

from typing import Any

import pytest

from core.compare.comparison import ComparedAnswer
from core.endpoints import OPENAI
from core.evaluate.calls import calls_of
from core.evaluate.estimate import CHARACTERS_A_TOKEN, PRICES, SECONDS_A_CALL, estimate, with_prices
from core.evaluate.evaluation import comparison_of
from core.evaluate.judge_texts import JudgeTexts
from core.evaluate.request import EvaluationRequest, JudgeSettings, make_evaluation_request
from core.paths import Home
from tests.build_evaluation import build_evaluation, evaluated_request, judges_named, made_up_answer


def asking(**changes: Any) -> EvaluationRequest:
    values = {"comparison": "c", "judges": [JudgeSettings()], "methods": ("dimensions",), **changes}
    return make_evaluation_request(**values)


def answers_of(questions: int, candidates: int = 2) -> list[ComparedAnswer]:
    return [made_up_answer(q, c) for q in range(questions) for c in range(candidates)]


def test_the_protocol_on_100_questions_and_2_models_takes_400_calls_and_some_cents() -> None:
    request = asking(judges=[with_prices(JudgeSettings())])
    total = estimate(request, evaluated_request(100)).total
    assert (total.calls, total.answers_to_ask) == (400, 200)  # marks and dangers, and the format alone
    assert total.dollars is not None and 0.02 < total.dollars < 0.5


def test_nothing_is_left_to_ask_the_models_where_all_have_answered() -> None:
    assert estimate(asking(), evaluated_request(4), answers_of(4)).total.answers_to_ask == 0


def test_an_answer_that_broke_off_is_asked_for_and_judged() -> None:
    answers = [*answers_of(4)[:-1], made_up_answer(3, 1, error="The server ended.")]
    total = estimate(asking(), evaluated_request(4), answers).total
    assert (total.answers_to_ask, total.calls) == (1, 16)


def test_tokens_read_are_those_of_the_prompts_themselves() -> None:
    request, asked, answers = asking(methods=("rubric",), safety=False), evaluated_request(12), answers_of(12)
    texts = JudgeTexts(request, asked, answers)
    told = sum(
        len(prompt.system) + len(prompt.shown) for prompt in map(texts.prompt, calls_of(request, asked, answers, 0))
    )
    found = estimate(request, asked, answers).total.input_tokens
    assert told / CHARACTERS_A_TOKEN < found < 2 * told / CHARACTERS_A_TOKEN  # the schema comes on top


def test_longer_answers_cost_more() -> None:
    asked = evaluated_request(4)
    long = [answer.model_copy(update={"text": "x" * 4_000}) for answer in answers_of(4)]
    more = (
        estimate(asking(), asked, long).total.input_tokens - estimate(asking(), asked, answers_of(4)).total.input_tokens
    )
    assert more > 16 * 900


def test_answers_to_come_are_taken_to_be_as_long_as_those_that_are_there() -> None:
    asked = evaluated_request(20)
    alike = [answer.model_copy(update={"text": "x" * 400}) for answer in answers_of(20)]
    some, every = (estimate(asking(), asked, given).total.input_tokens for given in (alike[:4], alike))
    assert some == every


def test_many_calls_are_estimated_from_a_few() -> None:
    methods = ("dimensions", "rubric", "pairwise")
    small, large = (estimate(asking(methods=methods), evaluated_request(n, 3)).total for n in (20, 2_000))
    assert large.calls == 100 * small.calls
    assert large.input_tokens == pytest.approx(100 * small.input_tokens, rel=0.05)


def test_more_that_is_asked_is_more_that_is_written() -> None:
    asked = evaluated_request(4)
    few = estimate(asking(dimensions=("accuracy",), safety=False), asked).total
    many = estimate(asking(), asked).total
    assert few.output_tokens < many.output_tokens


def test_what_has_been_judged_is_not_estimated_again(home: Home) -> None:
    evaluation = build_evaluation(home, judged=lambda call: call.question < 9)
    comparison = comparison_of(home, evaluation)
    request, asked, answers = evaluation.request(), comparison.request(), comparison.answers()
    assert estimate(request, asked, answers).total.calls == 48
    assert estimate(request, asked, answers, evaluation.verdicts()).total.calls == 12


def test_several_judges_add_up_and_work_at_the_same_time() -> None:
    judges = (JudgeSettings(model="a", concurrent=4), JudgeSettings(model="b", concurrent=1))
    found = estimate(asking(judges=judges), evaluated_request(4))
    assert [one.calls for one in found.judges] == [16, 16]
    assert found.total.calls == 32
    assert [one.seconds for one in found.judges] == [4 * SECONDS_A_CALL, 16 * SECONDS_A_CALL]
    assert found.total.seconds == 16 * SECONDS_A_CALL


def test_a_limit_per_minute_lengthens_the_time() -> None:
    judges = [JudgeSettings(concurrent=64, per_minute=4)]
    assert estimate(asking(judges=judges), evaluated_request(4)).total.seconds == 4 * 60


def test_a_price_is_told_only_where_all_prices_are_known() -> None:
    judges = (JudgeSettings(model="a", input_price=1, output_price=2), JudgeSettings(model="b", input_price=1))
    found = estimate(asking(judges=judges), evaluated_request(4))
    first, second = found.judges
    assert first.dollars == pytest.approx((first.input_tokens + 2 * first.output_tokens) / 1e6)
    assert second.dollars is None and found.total.dollars is None


def test_nothing_is_judged_and_paid_without_a_judge() -> None:
    found = estimate(asking(judges=(), methods=()), evaluated_request(4))
    assert found.judges == ()
    assert (found.total.calls, found.total.answers_to_ask, found.total.dollars) == (0, 8, 0.0)
    assert found.total.seconds is None


@pytest.mark.parametrize("url", ["", OPENAI, f"{OPENAI}/"])
def test_published_prices_are_those_of_openai_itself(url: str) -> None:
    judge = with_prices(JudgeSettings(model="gpt-4o-mini", base_url=url))
    assert (judge.input_price, judge.output_price) == (PRICES["gpt-4o-mini"].input, PRICES["gpt-4o-mini"].output)


def test_behind_another_address_of_the_environment_no_price_is_known() -> None:
    proxy = {"OPENAI_BASE_URL": "https://proxy.example.org/v1"}
    judge = JudgeSettings(model="gpt-4o-mini")
    assert with_prices(judge, proxy) == judge
    assert with_prices(judge, {"OPENAI_BASE_URL": "no address"}) == judge
    assert with_prices(judge, {"OPENAI_BASE_URL": OPENAI}).input_price is not None


@pytest.mark.parametrize(
    "judge",
    [
        *judges_named("gpt-4o-mini", "other"),
        JudgeSettings(model="other"),
        JudgeSettings(input_price=3.0, output_price=0.0),
        JudgeSettings(output_price=3.0),
    ],
)
def test_other_prices_are_left_to_whoever_knows_them(judge: JudgeSettings) -> None:
    assert with_prices(judge) == judge
