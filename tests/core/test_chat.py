"""What is shown of a prompt is what transformers makes of it, for chat templates of every known shape."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import huggingface_hub.constants
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer
from tokenizers.normalizers import Prepend
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from core.chat import ChatModel, Rendered
from core.chat_template import ChatTemplate
from core.config import EMBEDDED_POLICY, Example, PromptConfig
from core.datasets import Row
from core.engine.device import choose_compute
from core.engine.policy import load_policy
from core.engine.run_rows import prompt_dataset
from core.errors import ModelError
from core.paths import PROJECT, Home
from core.presets import preset_config
from core.prompts import CONCISE_SYSTEM, EXAMPLES, Message, messages
from tests import tiny

PROMPT = PromptConfig(system=CONCISE_SYSTEM, examples=EXAMPLES)
BARE = PromptConfig(system="  Be brief.\n")
QUESTION = "A man of 61 has chest pain; what comes first? 胸痛 \U0001fac0"

CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
LLAMA = """{{- bos_token }}
{%- if tools is not none %}
    {{- "Tools: " + tools | tojson }}
{%- endif %}
{%- for m in messages %}
    {{- '<|start_header_id|>' + m.role + '<|end_header_id|>\n\n' + m.content | trim + '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}
{%- endif %}
"""
GEMMA = """{{ bos_token }}
{%- if messages[0]['role'] == 'system' %}
    {{- raise_exception('System role not supported') }}
{%- endif %}
{%- for m in messages %}
    {%- if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}
        {{- raise_exception('Roles must alternate') }}
    {%- endif %}
    {%- set role = 'model' if m['role'] == 'assistant' else m['role'] %}
    {{- '<start_of_turn>' + role + '\n' + m['content'] | trim + '<end_of_turn>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"""
MISTRAL = """{%- if messages[0].role == 'system' %}
    {%- set system, turns = messages[0].content, messages[1:] %}
{%- else %}
    {%- set system, turns = none, messages %}
{%- endif %}
{{- bos_token }}
{%- for m in turns %}
    {%- if m.role == 'user' %}
        {{- '[INST] ' + (system + '\n\n' if loop.last and system else '') + m.content + ' [/INST]' }}
    {%- else %}
        {{- ' ' + m.content + eos_token }}
    {%- endif %}
{%- endfor %}
"""
DROPPING = """{% for m in messages %}
  {% if m.role == 'system' %}{% continue %}{% endif %}
  {% if m.role == 'user' %}
Q: {{ m.content }}
{% else %}
A: {% generation %}{{ m.content }}{% endgeneration %}{{ eos_token }}

{% endif %}
{% endfor %}
{% if add_generation_prompt %}A:{% endif %}"""
DEFAULT_SYSTEM = (
    "{% if messages[0].role != 'system' %}<|im_start|>system\nBe a helpful <assistant>.<|im_end|>\n{% endif %}" + CHATML
)
THINKING = CHATML.replace("m['content']", "m['content'].split('</reasoning>')[-1]")

SHAPES = {
    "chatml": CHATML,
    "llama": LLAMA,
    "gemma": GEMMA,
    "mistral": MISTRAL,
    "dropping": DROPPING,
    "default-system": DEFAULT_SYSTEM,
}
MERGED = {"gemma", "dropping"}
MARKS = ["<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<start_of_turn>", "<end_of_turn>"]

Make = Callable[[str], Path]


@pytest.fixture(scope="module")
def make_model(tiny_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Makes a tiny model with the chat template it is given."""

    def make(template: str) -> Path:
        folder = tmp_path_factory.mktemp("chat") / "model"
        shutil.copytree(tiny_models / "policy", folder)
        tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
        tokenizer.add_special_tokens({"bos_token": "<s>", "extra_special_tokens": MARKS})
        tokenizer.chat_template = template
        tokenizer.save_pretrained(folder)
        return folder

    return make


@pytest.fixture(scope="module")
def shapes(make_model: Make) -> dict[str, Path]:
    return {name: make_model(template) for name, template in SHAPES.items()}


def nowhere(tmp_path: Path) -> Home:
    return Home.open(tmp_path / "home")


def assert_as_transformers(rendered: Rendered, folder: Path, conversation: list[Message]) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert rendered.text == tokenizer.apply_chat_template(conversation, add_generation_prompt=True, tokenize=False)
    ids = tokenizer.apply_chat_template(conversation, add_generation_prompt=True)["input_ids"]
    assert list(rendered.ids) == ids


@pytest.mark.parametrize("prompt", [PROMPT, BARE], ids=["examples", "bare"])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_prompt_is_written_as_transformers_writes_it(
    shape: str, prompt: PromptConfig, shapes: dict[str, Path], tmp_path: Path
) -> None:
    model = ChatModel.open(str(shapes[shape]), nowhere(tmp_path))
    conversation = messages(prompt, QUESTION)
    assert_as_transformers(model.render(conversation), shapes[shape], model.template.fit(conversation))


@pytest.mark.parametrize("shape", SHAPES)
def test_the_trainer_reads_what_is_shown(shape: str, shapes: dict[str, Path], tmp_path: Path) -> None:
    home = nowhere(tmp_path)
    rendered = ChatModel.open(str(shapes[shape]), home).render(messages(PROMPT, QUESTION))
    policy = load_policy(str(shapes[shape]), home, choose_compute())
    trained_on = prompt_dataset(preset_config(), policy, [Row(1, QUESTION, "An ECG.", "train")])[0]["prompt"]
    assert policy.prompt_token_ids(trained_on) == list(rendered.ids)


def test_the_embedded_and_the_tiny_model_read_what_transformers_says(embedded_home: Home, tiny_models: Path) -> None:
    for name, folder in (
        (EMBEDDED_POLICY, embedded_home.models / EMBEDDED_POLICY),
        (str(tiny_models / "policy"), tiny_models / "policy"),
    ):
        model = ChatModel.open(name, embedded_home)
        assert model.system_role == "own"
        for prompt in (PROMPT, BARE):
            assert_as_transformers(model.render(messages(prompt, QUESTION)), folder, messages(prompt, QUESTION))


@pytest.mark.parametrize("shape", SHAPES)
def test_the_system_prompt_always_reaches_the_model(shape: str, shapes: dict[str, Path], tmp_path: Path) -> None:
    model = ChatModel.open(str(shapes[shape]), nowhere(tmp_path))
    assert model.system_role == ("merged" if shape in MERGED else "own")
    rendered = model.render(messages(BARE, QUESTION))
    assert rendered.text.count("Be brief.") == 1
    assert rendered.altered == ()


def test_a_template_that_breaks_on_a_system_message_gets_it_in_the_question(make_model: Make, tmp_path: Path) -> None:
    folder = make_model("{% for m in messages %}{{ {'user': 'Q', 'assistant': 'A'}[m.role] + m.content }}{% endfor %}")
    assert "Be brief." in ChatModel.open(str(folder), nowhere(tmp_path)).render(messages(BARE, "Why?")).text


@pytest.mark.parametrize("dropped_when", ["messages | length > 2", "messages | length == 2"])
def test_a_template_that_takes_a_system_message_only_at_times_never_gets_one(
    dropped_when: str, make_model: Make, tmp_path: Path
) -> None:
    condition = "{% if m.role != 'system' or not (" + dropped_when + ") %}"
    folder = make_model("{% for m in messages %}" + condition + "{{ m.content }}{% endif %}{% endfor %}")
    model = ChatModel.open(str(folder), nowhere(tmp_path))
    assert model.system_role == "merged"
    assert "Be brief." in model.render(messages(BARE, "Why?")).text


def test_a_message_that_the_template_rewrites_is_named(make_model: Make, tmp_path: Path) -> None:
    model = ChatModel.open(str(make_model(THINKING)), nowhere(tmp_path))
    altered = model.render(messages(PROMPT, QUESTION)).altered
    assert [message["role"] for message in altered] == ["system", "assistant", "assistant"]


def test_special_tokens_stand_apart_and_no_text_is_lost(shapes: dict[str, Path], tmp_path: Path) -> None:
    for folder in shapes.values():
        rendered = ChatModel.open(str(folder), nowhere(tmp_path)).render(messages(PROMPT, QUESTION))
        assert "".join(piece.text for piece in rendered.pieces) == rendered.text
        assert tuple(number for piece in rendered.pieces for number in piece.ids) == rendered.ids
    llama = ChatModel.open(str(shapes["llama"]), nowhere(tmp_path)).render(messages(BARE, "Why?"))
    special = [piece.text for piece in llama.pieces if piece.special]
    assert special[:5] == ["<s>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|start_header_id|>"]
    assert [piece.text for piece in llama.pieces if not piece.special][1] == "\n\nBe brief."


def test_a_prompt_over_the_limit_says_by_how_much_and_where(shapes: dict[str, Path], tmp_path: Path) -> None:
    model = ChatModel.open(str(shapes["chatml"]), nowhere(tmp_path))
    rendered = model.render(messages(BARE, "Why?"))
    assert rendered.cut(rendered.tokens) is None
    ending = model.count(["<|im_start|>assistant\n"])[0]
    cut = rendered.cut(rendered.tokens - ending)
    assert cut is not None
    assert (cut.tokens, cut.beyond) == (ending, "<|im_start|>assistant\n")
    assert cut.fits + cut.beyond == rendered.text


def test_texts_are_counted_without_marks_at_their_ends(embedded_home: Home) -> None:
    model = ChatModel.open(EMBEDDED_POLICY, embedded_home)
    tokenizer = AutoTokenizer.from_pretrained(embedded_home.models / EMBEDDED_POLICY)
    texts = ["", "Meningitis.", QUESTION, "<|im_end|>"] * 600
    assert model.count(texts) == [len(tokenizer.encode(text, add_special_tokens=False)) for text in texts]
    assert model.count([]) == []


TEXTS = st.lists(
    st.sampled_from(["<|im_end|>", "<|im_start|>", "<s>", "[INST]", " ", "\n", "a", "x\u0301", "脑膜炎", "\U0001fac0"])
    | st.text(max_size=8)
).map("".join)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(questions=st.lists(TEXTS, max_size=4), prompt=st.sampled_from([PROMPT, BARE]))
def test_many_prompts_are_counted_as_one_by_one(
    questions: list[str],
    prompt: PromptConfig,
    shapes: dict[str, Path],
    embedded_home: Home,
) -> None:
    for name in (EMBEDDED_POLICY, *map(str, shapes.values())):
        model = ChatModel.open(name, embedded_home)
        one_by_one = [model.render(messages(prompt, question)).tokens for question in questions]
        assert model.prompt_lengths(prompt, questions) == one_by_one


def test_the_beginning_of_many_prompts_is_tokenised_once(embedded_home: Home) -> None:
    model = ChatModel.open(EMBEDDED_POLICY, embedded_home)
    texts = [model.render(messages(PROMPT, question)).text for question in ("Why?", "How?")]
    shared, place = model._shared(texts[0][: texts[0].rindex("Why?")])
    assert shared > 100
    assert texts[0][place:].startswith("<|im_start|>user\nWhy?")


def odd_token(text: str, normalized: bool = False, **how: bool) -> AddedToken:
    return AddedToken(text, normalized=normalized, **how)


@pytest.mark.parametrize(
    ("tokens", "normalizer", "written"),
    [
        ([odd_token("<q>")], None, "<q>"),
        ([odd_token("<q>", lstrip=True, rstrip=True)], None, " <q> "),
        ([odd_token("is", single_word=True)], None, " is"),
        ([odd_token("is"), odd_token(" isb")], None, " is"),
        ([odd_token("<q>")], Prepend("x"), "<q>"),
        ([odd_token("<q>", normalized=True)], Prepend("x"), " x<q>"),
    ],
    ids=["plain", "stripping", "single-word", "overlapping", "prepending", "normalized"],
)
def test_odd_special_tokens_are_counted_right(
    tokens: list[AddedToken], normalizer: Prepend | None, written: str
) -> None:
    tokenizer = Tokenizer.from_str(tiny.policy_parts()[1].backend_tokenizer.to_str())
    tokenizer.normalizer = normalizer
    tokenizer.add_tokens(tokens)
    template = ChatTemplate("odd", "{% for m in messages %}z" + written + "{{ m.content }}{% endfor %}", {})
    model = ChatModel("odd", template, tokenizer, frozenset())
    for questions in (["a1", "a 2"], ["b", "c"], [" b", "\nc"]):
        one_by_one = [model.render(messages(PROMPT, question)).tokens for question in questions]
        assert model.prompt_lengths(PROMPT, questions) == one_by_one


def configure(folder: Path, **values: object) -> None:
    file = folder / "tokenizer_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def test_of_several_templates_the_default_is_taken(make_model: Make, tmp_path: Path) -> None:
    folder = make_model(CHATML)
    (folder / "chat_template.jinja").unlink()
    named = [{"name": "tool_use", "template": "no"}, {"name": "default", "template": DEFAULT_SYSTEM}]
    configure(folder, chat_template=named)
    model = ChatModel.open(str(folder), nowhere(tmp_path))
    assert_as_transformers(model.render(messages(BARE, "Why?")), folder, messages(BARE, "Why?"))


def test_tokens_known_only_to_the_configuration_count_as_one(make_model: Make, tmp_path: Path) -> None:
    folder = make_model(CHATML)
    fields = {"lstrip": False, "rstrip": False, "normalized": False, "single_word": False, "special": True}
    configure(folder, added_tokens_decoder={"900": {"content": "<|late|>", **fields}}, eos_token="<|last|>")
    conversation = messages(BARE, "Why <|late|> and <|last|>?")
    rendered = ChatModel.open(str(folder), nowhere(tmp_path)).render(conversation)
    assert_as_transformers(rendered, folder, conversation)
    assert {"<|late|>", "<|last|>"} <= {piece.text for piece in rendered.pieces if piece.special}


def test_older_models_name_their_special_tokens_in_a_file_of_their_own(make_model: Make, tmp_path: Path) -> None:
    folder = make_model("{{ bos_token }}|{{ messages[0].content }}|{{ eos_token }}|{{ pad_token }}|{{ unk_token }}")
    (folder / "special_tokens_map.json").write_text(json.dumps({"bos_token": {"content": "<|im_end|>"}}))
    conversation = messages(BARE, "Why?")
    rendered = ChatModel.open(str(folder), nowhere(tmp_path)).render(conversation)
    assert_as_transformers(rendered, folder, ChatModel.open(str(folder), nowhere(tmp_path)).template.fit(conversation))


def test_a_model_without_a_padding_token_pads_with_its_end_token(make_model: Make, tmp_path: Path) -> None:
    folder, home = make_model("{{ pad_token }}{{ messages[-1].content }}"), nowhere(tmp_path)
    configure(folder, pad_token=None)
    policy = load_policy(str(folder), home, choose_compute())
    rendered = ChatModel.open(str(folder), home).render(messages(BARE, "Why?"))
    assert rendered.text.startswith(tiny.END)
    assert policy.prompt_token_ids(policy.conversation(BARE, "Why?")) == list(rendered.ids)


def test_helpers_that_templates_use_are_there(make_model: Make, tmp_path: Path) -> None:
    folder = make_model(
        "{{ messages | tojson(indent=2) }}{{ strftime_now('%Y-%m-%d') }}{% for m in messages %}{% break %}{% endfor %}"
        "{% generation %}{% set x = 1 %}{{ '<b>&' }}{% endgeneration %}{{ x }}{{ documents is none }}"
    )
    conversation = messages(BARE, "<b>Was ist Fieber über 40 °C?</b>")
    model = ChatModel.open(str(folder), nowhere(tmp_path))
    assert_as_transformers(model.render(conversation), folder, model.template.fit(conversation))


def test_a_changed_template_is_read_again(make_model: Make, tmp_path: Path) -> None:
    folder, home = make_model(CHATML), nowhere(tmp_path)
    assert ChatModel.open(str(folder), home) is ChatModel.open(str(folder), home)
    (folder / "chat_template.jinja").write_text(CHATML + "Go.")
    assert ChatModel.open(str(folder), home).render(messages(BARE, "Why?")).text.endswith("Go.")


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("tokenizer.json", None, "has no tokenizer.json"),
        ("tokenizer.json", "{}", "is not a tokenizer"),
        ("tokenizer_config.json", "{", "is not valid JSON"),
        ("tokenizer_config.json", "[]", "holds no JSON object"),
        ("chat_template.jinja", None, "has no chat template"),
        ("chat_template.jinja", "{% if %}", "cannot write this conversation"),
        ("chat_template.jinja", "{{ raise_exception('Not today.') }}", "Not today"),
        ("chat_template.jinja", "{{ messages.append(1) }}", "cannot write this conversation"),
        ("chat_template.jinja", "{{ ''.__class__.__mro__[1].__subclasses__() }}", "cannot write this conversation"),
    ],
)
def test_a_model_that_cannot_be_read_is_said(
    file: str, content: str | None, message: str, make_model: Make, tmp_path: Path
) -> None:
    folder = make_model(CHATML)
    (folder / file).unlink()
    if content is not None:
        (folder / file).write_text(content)
    with pytest.raises(ModelError, match=message):
        ChatModel.open(str(folder), nowhere(tmp_path)).render(messages(BARE, "Why?"))


class _Hub(BaseHTTPRequestHandler):
    """A model hub that has nothing to give."""

    answer = (404, "RepoNotFound")

    def do_GET(self) -> None:
        status, code = self.answer
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("X-Error-Message", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[_Hub]]:
    """A local model hub, and an empty cache."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Hub)
    thread = Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    yield _Hub
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((404, "RepoNotFound"), "There is no model 'org/model'"),
        ((403, "GatedRepo"), "is gated"),
        ((500, ""), "cannot be reached"),
    ],
)
def test_a_model_that_cannot_be_downloaded_is_said(
    answer: tuple[int, str], message: str, hub: type[_Hub], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "answer", answer)
    with pytest.raises(ModelError, match=message):
        ChatModel.open("org/model", nowhere(tmp_path))


def test_without_a_network_only_what_was_downloaded_can_be_opened(
    make_model: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    with pytest.raises(ModelError, match="cannot be reached"):
        ChatModel.open("org/model", nowhere(tmp_path))
    stored = tmp_path / "cache" / "models--org--model"
    shutil.copytree(make_model(CHATML), stored / "snapshots" / ("0" * 40))
    (stored / "refs").mkdir()
    (stored / "refs" / "main").write_text("0" * 40)
    assert "Why?" in ChatModel.open("org/model", nowhere(tmp_path)).render(messages(BARE, "Why?")).text


def test_a_prompt_with_tags_of_its_own_reaches_the_model_as_written(shapes: dict[str, Path], tmp_path: Path) -> None:
    prompt = PromptConfig(
        system="{{ 1 + 1 }} {% raw %}", examples=(Example(question="{{ x }}", reasoning="", answer=""),)
    )
    rendered = ChatModel.open(str(shapes["llama"]), nowhere(tmp_path)).render(messages(prompt, "{# no #}"))
    assert rendered.altered == ()


def test_opening_a_model_loads_neither_torch_nor_transformers() -> None:
    program = "import sys, core.chat; print([m for m in ('torch', 'transformers', 'datasets') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
