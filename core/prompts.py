"""From a question to the messages a model reads."""

from __future__ import annotations

from core.config import Example, PromptConfig, Tags

Message = dict[str, str]
"""One chat turn in the form chat templates take: `role` and `content`."""

CONCISE_SYSTEM = (
    "Reply in this format: <{reasoning}>one short sentence</{reasoning}><{answer}>one short sentence</{answer}>"
)
EXAMPLES = (
    Example(
        question="Which vitamin deficiency causes scurvy, and how does it present?",
        reasoning="Bleeding gums and poor healing mean weak collagen.",
        answer="Scurvy is vitamin C deficiency, with bleeding gums and poor wound healing.",
    ),
    Example(
        question="Why is a patient with angina given glyceryl trinitrate under the tongue?",
        reasoning="Nitrates widen veins, so the heart works less.",
        answer="Glyceryl trinitrate relieves angina because it widens veins and lowers the work of the heart.",
    ),
)


def render_system(prompt: PromptConfig) -> str:
    """The system prompt with the two tag names filled in."""
    return prompt.system.replace("{reasoning}", prompt.tags.reasoning).replace("{answer}", prompt.tags.answer)


def example_completion(example: Example, tags: Tags) -> str:
    """A worked example in the form the model is asked for."""
    return f"<{tags.reasoning}>{example.reasoning}</{tags.reasoning}>\n<{tags.answer}>{example.answer}</{tags.answer}>"


def messages(prompt: PromptConfig, question: str) -> list[Message]:
    """The conversation before the model's turn: system prompt, the examples as earlier exchanges, the question."""
    turns = [{"role": "system", "content": render_system(prompt)}]
    for example in prompt.examples:
        turns.append({"role": "user", "content": example.question})
        turns.append({"role": "assistant", "content": example_completion(example, prompt.tags)})
    turns.append({"role": "user", "content": question})
    return turns
