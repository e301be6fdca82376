"""Rules of the coach on the policy and its updates: too fast, too slow, broken, or no longer exploring."""

from __future__ import annotations

import math

from core.config import RunConfig
from core.training.advice import Finding, Mend
from core.training.coach_record import ENOUGH, WINDOW, Record, finite, median
from core.training.coach_words import learning_rate, more_generations, pull, setting, warm_up

FORGOT, KNEW = 0.15, 0.5
"""A model that wrote answers half of the time does not lose that by chance."""
BEGINNING = 2
"""Steps in which even far too high a learning rate has not destroyed everything yet."""
NOISE_FACTOR, NOISE_NATS = 1.5, 1.0
"""Entropy hardly rises in runs that learn well; one nat more means nearly three times as many words to choose from."""
GRADIENT_FACTOR = 10.0
"""The norm of the gradient about doubles while an adapter that starts as nothing grows (the demo, measured)."""
LOST_REWARD = 0.3
"""A fall of the reward, in [-1, 1], that the draw of the questions does not explain: runs that do not learn at all move
by a quarter between their quarters (the demo with learning rate 0, measured)."""
NO_CHOICE, LITTLE_CHOICE, REMAINING = 0.05, 0.3, 1 / 3
"""In nats a token: at 0.05, one word in a hundred is still open. Reward stops rising where entropy is used up (Cui et
al. 2025); the demo keeps more than two thirds of it."""
COLD = 0.7
"""Below this temperature a small entropy is a matter of the setting, not of training."""
FAR_AWAY = 1.0
"""In nats a token: the base model then gives each token of an answer, on average, a third of the probability."""
MANY_CLIPPED = 0.2
"""PPO implementations watch for more than a fifth; GRPO on language models clips far fewer."""
SEQUENCES_CLIPPED = 0.6
"""Sequence by sequence, ten times as many are clipped on purpose (GSPO, Zheng et al. 2025)."""
USUAL_SCALE, LARGE_SCALE = 2, 8
"""Alpha is commonly one or two times the rank; eight times that acts like a learning rate eight times higher."""
SHORTEST_WAY = 1e-4
"""Adam moves a weight by about the learning rate a step: in all by 200 x 5e-6 = 0.001 in the published run, by 0.02 in
the demo. A tenth of the shorter of these ways cannot be seen."""
USUAL_RATE = 1e-4
"""What an adapter of a large model is trained with (Schulman et al. 2025, "LoRA Without Regret"; ours on a GPU)."""
LONG_ENOUGH, LONG_WINDOW = 100, 20
"""Steps after which a run that learns has shown it, and how many of them are compared; the demo needs 8."""
STEADY = 0.05


def not_a_number(record: Record) -> Finding | None:
    """The loss or its gradient is no number any more."""
    last = record.metrics[-1]
    if math.isfinite(last.loss) and math.isfinite(last.grad_norm):
        return None
    return Finding(
        "not_a_number",
        "stop",
        f"At step {last.step} the loss or its gradient is not a number: the model's weights have run away. Go on from "
        "a clone with this change; what was saved before this step is good.",
        (*_smaller_adapter(record.config), learning_rate(record.config, 0.1), *warm_up(record.config)),
    )


def _smaller_adapter(config: RunConfig) -> tuple[Mend, ...]:
    """The usual scale of an adapter, where it is a multiple of that: its output is multiplied by alpha / rank."""
    usual = USUAL_SCALE * config.adapter.rank
    return (setting("adapter.alpha", usual),) if config.adapter.alpha > LARGE_SCALE * usual else ()


def learning_rate_high(record: Record) -> Finding | None:
    """The updates have destroyed what the model could do."""
    signs = [sign(record) for sign in (_forgot, _babbles, _gradient_exploded, _reward_collapsed)]
    said = next((sign for sign in signs if sign), None)
    if said is None:
        return None
    rate = record.config.train.learning_rate
    return Finding(
        "learning_rate_high",
        "stop",
        f"{said} The steps are too large: lower the learning rate from {rate:g}.",
        (learning_rate(record.config, 0.1), *warm_up(record.config)),
    )


def _forgot(record: Record) -> str:
    before, now = float(record.series("valid")[:BEGINNING].mean()), record.recent("valid", ENOUGH)
    if before >= KNEW and now <= FORGOT:
        return f"The model has forgotten how to answer: {before:.0%} of its answers were valid, now {now:.0%}."
    return ""


def _babbles(record: Record) -> str:
    before, now = record.first("entropy"), record.recent("entropy", ENOUGH)
    if now >= max(NOISE_FACTOR * before, before + NOISE_NATS):
        return f"The model writes ever more at random (entropy {before:.1f}, now {now:.1f})."
    return ""


def _gradient_exploded(record: Record) -> str:
    norms = record.series("grad_norm")
    before, now = median(norms[norms > 0][:ENOUGH]), median(norms[-ENOUGH:])  # 0 where nothing was learned from
    if now >= GRADIENT_FACTOR * before and not record.change("reward", LOST_REWARD / 2).rose:
        return f"The gradient has exploded (norm {before:.2g}, now {now:.2g})."
    return ""


def _reward_collapsed(record: Record) -> str:
    reward = record.change("reward", least=LOST_REWARD)
    return f"The mean reward fell from {reward.before:.2f} to {reward.after:.2f}." if reward.fell else ""


def entropy_collapse(record: Record) -> Finding | None:
    """The model has come to write nearly the same words every time, so there is nothing left to try."""
    entropy, train = record.change("entropy", STEADY), record.config.train
    used_up = entropy.after <= NO_CHOICE or entropy.after <= min(REMAINING * entropy.before, LITTLE_CHOICE)
    if not (entropy.fell and used_up):
        return None
    hotter = (setting("train.temperature", 1.0),) if train.temperature < 1 else ()
    return Finding(
        "entropy_collapse",
        "warning",
        f"The model has stopped trying things out: how open its choice of the next word is (entropy) fell from "
        f"{entropy.before:.2f} to {entropy.after:.2f}. All answers to a question read nearly alike, so little more can "
        "be learned.",
        (*hotter, learning_rate(record.config, 1 / 3), pull(record.config)),
    )


def cold(record: Record) -> Finding | None:
    """The temperature lets the model choose nearly always the same word."""
    entropy, train = record.recent("entropy"), record.config.train
    if train.temperature >= COLD or not entropy <= NO_CHOICE:
        return None
    return Finding(
        "cold",
        "warning",
        f"At temperature {train.temperature:g} the model nearly always chooses the same word (entropy {entropy:.2f}), "
        "so its answers to a question hardly differ and little can be learned from comparing them.",
        (setting("train.temperature", 1.0),),
    )


def kl_blow_up(record: Record) -> Finding | None:
    """The policy has left the model that it started from."""
    now = record.recent("kl")
    if not now >= FAR_AWAY:
        return None
    return Finding(
        "kl_blow_up",
        "warning",
        f"The model is far from the one it started from (KL divergence {now:.1f} a token). Its language may "
        "break while the reward rises; read some answers.",
        (learning_rate(record.config, 1 / 3), pull(record.config)),
    )


def clipped(record: Record) -> Finding | None:
    """Too many tokens are held back because the policy moves too far within a step."""
    sides = [share for name in ("clip_low", "clip_high") if math.isfinite(share := record.recent_mean(name))]
    share, train = sum(sides), record.config.train  # CISPO clips from above only
    bound = MANY_CLIPPED if train.importance_sampling_level == "token" else SEQUENCES_CLIPPED
    if not share >= bound:
        return None
    once = (setting("train.num_iterations", max(1, train.num_iterations // 2)),) if train.num_iterations > 1 else ()
    return Finding(
        "clipped",
        "warning",
        f"{share:.0%} of the words are left out of the update because the model had already moved too far from the one "
        "that wrote them. Learn less often from the same answers, or more slowly.",
        (*once, learning_rate(record.config, 1 / 3)),
    )


def learning_rate_low(record: Record) -> Finding | None:
    """The updates are too small to change anything."""
    train = record.config.train
    rate = max(finite(record.series("learning_rate")), default=0.0)
    steps = record.step - train.warmup * train.steps  # before that the rate was only a part of what was asked for
    if steps < WINDOW or rate * train.steps >= SHORTEST_WAY:
        return None
    return Finding(
        "learning_rate_low",
        "warning",
        f"The learning rate {rate:g} is too low to move the model in {train.steps} steps: nothing will be learned.",
        (setting("train.learning_rate", USUAL_RATE),),
    )


def no_progress(record: Record) -> Finding | None:
    """Nothing about the answers has changed in many steps."""
    train = record.config.train
    if len(record.metrics) < LONG_ENOUGH or _moves(record):
        return None
    return Finding(
        "no_progress",
        "warning",
        f"After {record.step} steps neither the reward nor the answers have changed. The learning rate "
        f"{train.learning_rate:g} may be too low, or the groups too small to tell good answers from bad ones.",
        (learning_rate(record.config, 3), *more_generations(record.config)),
    )


def _moves(record: Record) -> bool:
    """Whether anything about the answers has surely changed since the start."""
    bounds = {"reward": STEADY, "well_formed": STEADY, "entropy": STEADY, "completion_tokens": 1.0}
    return any(record.change(name, least, LONG_WINDOW).sure for name, least in bounds.items())
