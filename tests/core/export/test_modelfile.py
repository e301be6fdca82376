"""The Modelfile: Ollama must read what the model's own chat template writes, or be refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from core.chat_template import ChatTemplate
from core.config import Example, PromptConfig, with_changes
from core.errors import ModelError
from core.export.chat_parts import chat_parts
from core.export.modelfile import ModelfileParts, go_template, modelfile_parts
from core.paths import Home
from core.presets import preset_config
from core.prompts import Message, merge_system, messages
from tests.build_go import ollama_text

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
CHATML_WITH_DEFAULT = (
    "{% if messages[0]['role'] != 'system' %}<|im_start|>system\nYou are kind.<|im_end|>\n{% endif %}" + CHATML
)
LLAMA_3 = (
    "{% for m in messages %}{% set content = '<|start_header_id|>' + m['role'] + '<|end_header_id|>\n\n'"
    " + m['content'] | trim + '<|eot_id|>' %}"
    "{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
GEMMA = (
    "{{ bos_token }}"
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for m in messages %}{% set role = 'model' if m['role'] == 'assistant' else m['role'] %}"
    "<start_of_turn>{{ role }}\n{{ m['content'] | trim }}<end_of_turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
MISTRAL = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{% set first = messages[0]['content'] + '\n\n' %}"
    "{% set turns = messages[1:] %}{% else %}{% set first = '' %}{% set turns = messages %}{% endif %}"
    "{% for m in turns %}{% if m['role'] == 'user' %}[INST] {{ first if loop.first else '' }}{{ m['content'] }} [/INST]"
    "{% else %} {{ m['content'] }}{{ eos_token }}{% endif %}{% endfor %}"
)
WITH_BRACES = CHATML.replace("<|im_start|>{{", "{{ '{{x}} ' }}<|im_start|>{{")
TEMPLATES = {
    "ChatML": CHATML,
    "ChatML with a system prompt of its own": CHATML_WITH_DEFAULT,
    "Llama 3": LLAMA_3,
    "Gemma": GEMMA,
    "Mistral": MISTRAL,
    "with braces in its text": WITH_BRACES,
}
SYSTEM_IN_THE_LAST_QUESTION = (
    "{% set system = messages[0]['content'] if messages[0]['role'] == 'system' else '' %}"
    "{% for m in messages if m['role'] != 'system' %}{% if m['role'] == 'user' %}[INST] "
    "{{ system + '\n\n' if system and loop.last else '' }}{{ m['content'] }}[/INST]"
    "{% else %}{{ m['content'] }}</s>{% endif %}{% endfor %}"
)
COUNTS_TURNS = CHATML.replace("{% endfor %}", "{{ '#' * (loop.index0 // 3) }}{% endfor %}")
EXCHANGE: list[Message] = [
    {"role": "user", "content": "Why?"},
    {"role": "assistant", "content": "<answer>So.</answer>"},
]
QUESTION: Message = {"role": "user", "content": "And\n\nthen?"}
SYSTEM: Message = {"role": "system", "content": "Be brief.\nUse tags."}
CONVERSATIONS = {
    "a question": [QUESTION],
    "a system prompt": [SYSTEM, QUESTION],
    "an earlier exchange": [*EXCHANGE, QUESTION],
    "all of it": [SYSTEM, *EXCHANGE, *EXCHANGE, QUESTION],
}


def template_of(source: str) -> ChatTemplate:
    return ChatTemplate("model", source, {"bos_token": "<s>", "eos_token": "</s>"})


@pytest.mark.parametrize("conversation", CONVERSATIONS.values(), ids=CONVERSATIONS)
@pytest.mark.parametrize("source", TEMPLATES.values(), ids=TEMPLATES)
def test_ollama_reads_what_the_models_own_template_writes(source: str, conversation: list[Message]) -> None:
    template = template_of(source)
    written = ollama_text(go_template(chat_parts(template)), conversation)
    assert written == template.text(template.fit(conversation))


def test_a_system_prompt_without_a_place_goes_before_the_first_question() -> None:
    template = template_of(GEMMA)
    assert template.system_role == "merged"
    written = ollama_text(go_template(chat_parts(template)), [SYSTEM, QUESTION])
    assert written == template.text(merge_system([SYSTEM, QUESTION]))


def test_a_beginning_that_is_put_in_front_by_the_tokenizer_is_not_written_twice() -> None:
    template = template_of(LLAMA_3)
    whole = ollama_text(go_template(chat_parts(template)), [SYSTEM, QUESTION])
    assert whole == "<s>" + ollama_text(go_template(chat_parts(template), added="<s>"), [SYSTEM, QUESTION])


@pytest.mark.parametrize("source", [SYSTEM_IN_THE_LAST_QUESTION, COUNTS_TURNS])
def test_a_template_that_treats_turns_differently_is_refused_with_the_way_out(source: str) -> None:
    with pytest.raises(ModelError, match="--jinja"):
        chat_parts(template_of(source))


def test_a_template_that_writes_todays_date_is_refused() -> None:
    with pytest.raises(ModelError, match="today's date"):
        chat_parts(template_of("{{ strftime_now('%d %b %Y') }}" + CHATML))


def test_a_template_that_leaves_messages_out_is_refused() -> None:
    with pytest.raises(ModelError, match="leaves messages out"):
        chat_parts(template_of("{{ messages[-1]['content'] }}!"))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.tiny import save_policy

    return save_policy(tmp_path_factory.mktemp("base") / "tiny")


def parts_of(home: Home, base: Path, **prompt: object) -> tuple[ModelfileParts, PromptConfig]:
    config = with_changes(preset_config("demo"), {"model": str(base), **{f"prompt.{k}": v for k, v in prompt.items()}})
    return modelfile_parts(home, base, config), config.prompt


def asked(parts: ModelfileParts, question: str) -> str:
    """What the model reads when somebody types a question after `ollama run`."""
    return ollama_text(parts.template, [*parts.messages, {"role": "user", "content": question}])


def tiny_template(base: Path) -> ChatTemplate:
    return ChatTemplate("tiny", (base / "chat_template.jinja").read_text(), {})


def test_a_question_reaches_the_model_as_in_training(home: Home, tiny: Path) -> None:
    parts, prompt = parts_of(home, tiny)
    assert asked(parts, "Why?") == tiny_template(tiny).text(messages(prompt, "Why?"))


def test_a_begun_answer_is_begun_in_ollama_too(home: Home, tiny: Path) -> None:
    parts, prompt = parts_of(home, tiny, prefill=True)
    assert asked(parts, "Why?") == tiny_template(tiny).text(messages(prompt, "Why?"))
    assert parts.text("m.gguf").startswith("# Every answer begins with <reasoning> ")


@pytest.mark.parametrize("says", [True, False])
def test_gguf_file_and_modelfile_agree_on_who_writes_the_token_that_begins_a_text(
    home: Home, tiny: Path, tmp_path: Path, says: bool
) -> None:
    from core.engine.export.gguf_vocab import read_vocabulary

    folder = tmp_path / "model"
    shutil.copytree(tiny, folder)
    (folder / "chat_template.jinja").write_text("{{ bos_token }}" + CHATML)
    file = folder / "tokenizer_config.json"
    settings = json.loads(file.read_text()) | {"bos_token": "<|im_start|>", "add_bos_token": says}
    file.write_text(json.dumps(settings))
    size = json.loads((folder / "config.json").read_text())["vocab_size"]
    assert read_vocabulary(folder, size).marks.add_begin is says
    written = asked(parts_of(home, folder)[0], "Why?")
    assert written.count("<|im_start|><|im_start|>system") == (not says)


def test_the_end_token_stops_an_answer(home: Home, tiny: Path) -> None:
    parts, _ = parts_of(home, tiny)
    assert parts.stops == ("<|im_end|>",)
    assert 'PARAMETER stop "<|im_end|>"\n' in parts.text("m.gguf")


def test_system_prompt_and_examples_are_written(home: Home, tiny: Path) -> None:
    text = parts_of(home, tiny, system="Answer in <reasoning> and <answer>.\nBe brief.")[0].text("m.gguf")
    assert text.startswith('FROM ./m.gguf\nTEMPLATE """')
    assert 'SYSTEM """Answer in <reasoning> and <answer>.\nBe brief."""\n' in text
    assert text.count("MESSAGE user") == text.count("MESSAGE assistant") == 2


def test_a_context_is_never_longer_than_the_model_takes(home: Home, tiny: Path) -> None:
    longest = json.loads((tiny / "config.json").read_text())["max_position_embeddings"]
    assert parts_of(home, tiny)[0].context == longest


def test_quotes_that_a_modelfile_cannot_hold_are_refused(home: Home, tiny: Path) -> None:
    example = Example(question='Say """.', reasoning="a", answer="b").model_dump()
    with pytest.raises(ModelError, match="cannot hold"):
        parts_of(home, tiny, examples=[example])
