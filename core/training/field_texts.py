"""The settings of a run by group, for `core.training.fields`: path, label, and what each does to the result."""

from __future__ import annotations

Rows = tuple[tuple[str, str, str], ...]

QUESTIONS: Rows = (
    ("name", "Name of the run", "Shown in lists; the run's folder is named by when it started."),
    ("model", "Model", "The language model that learns."),
    ("data.path", "Data", "Which questions and reference answers are learned from."),
    ("data.question", "Question column", "The column of the file that holds the questions."),
    ("data.answer", "Answer column", "The column of the file that holds the reference answers."),
    ("data.fingerprint", "Fingerprint of the data", "What the data was when the run was started."),
    ("prompt.system", "System prompt", "What the model is told before every question."),
    ("prompt.tags.reasoning", "Tag of the reasoning", "The tag around the reasoning of a completion."),
    ("prompt.tags.answer", "Tag of the answer", "The tag around the answer of a completion."),
    ("prompt.examples", "Worked examples", "Earlier exchanges that show the model the form of an answer."),
    ("reward.preset", "Reward", "How a completion is turned into one number."),
    ("reward.parser", "Faults of form", "Whether text outside the tags and the like cost tag score."),
    (
        "reward.fluency",
        "Fluency of",
        "Whether each answer is judged by how naturally it reads, or, as published, the reference answers are.",
    ),
    ("reward.invalid_reward", "Invalid completion", "Reward of one without an answer."),
    ("reward.similarity_model", "Similarity model", "Compares the answer with the reference answer."),
    ("reward.fluency_model", "Fluency model", "Says how natural an answer reads."),
    ("reward.custom", "Custom rewards", "Python files whose function is one component of the reward."),
    ("reward.judge", "Judge", "A language model that says how good an answer is."),
)
ESSENTIAL: Rows = (
    (
        "train.steps",
        "Steps",
        "How often completions are sampled, scored and learned from. More steps learn more and take longer.",
    ),
    (
        "train.prompts_per_step",
        "Prompts per step",
        "Questions answered in one step; each has a group of its own. More make a step steadier and slower.",
    ),
    (
        "train.num_generations",
        "Completions per group",
        "Answers to one prompt that are compared with each other. More find rarer good answers; at least 2.",
    ),
    (
        "train.max_completion_length",
        "Max completion length",
        "In tokens: pieces of words, about four letters of English each. Longer completions are cut at the limit and "
        "mostly count as invalid.",
    ),
    (
        "train.max_prompt_length",
        "Max prompt length",
        "In tokens, which are pieces of words; rows with a longer prompt are left out.",
    ),
    (
        "train.learning_rate",
        "Learning rate",
        "How far a step moves the model. Too low and nothing is learned, too high and answers fall apart.",
    ),
    ("train.temperature", "Temperature", "How freely completions are sampled; without variety nothing is learned."),
    ("adapter.rank", "LoRA rank", "Size of the trained adapter: a larger one can learn more and needs more memory."),
    ("train.train_rows", "Rows to train on", "Drawn by the seed; empty trains on all rows."),
    (
        "train.held_out_rows",
        "Held-out questions",
        "Questions of the test split, or else of validation, that are answered before and after training.",
    ),
    (
        "train.validate_every",
        "Validate every so many steps",
        "How often validation questions are answered meanwhile; 0 never. The best checkpoint is chosen by them.",
    ),
    (
        "train.validation_rows",
        "Validation questions",
        "How many are answered each time; more give a steadier curve and take longer.",
    ),
    (
        "prompt.prefill",
        "Give the opening tag",
        "The model's turn begins with the opening tag, so that it only has to go on; helps when it never writes a tag.",
    ),
)
MEMORY: Rows = (
    ("train.backend", "Training with", "trl runs anywhere; unsloth is faster and needs less memory on an NVIDIA GPU."),
    (
        "train.generation",
        "Completions written by",
        "vLLM writes many times faster on a GPU; auto takes it where it is there.",
    ),
    (
        "train.vllm_memory",
        "vLLM's share of the GPU",
        "The rest is for training. Larger writes faster, smaller leaves room for longer completions.",
    ),
    (
        "train.processes",
        "Training processes",
        "Each trains on a GPU of its own and takes its share of the prompts of a step, so that a step is done sooner. "
        "What is learned is the same.",
    ),
    (
        "train.sharding",
        "Model spread over processes",
        "none: a whole copy on each GPU, the fastest. fsdp, zero3: a part on each, for models too large for one GPU. "
        "With vLLM, zero3 still needs room for the whole model on each; fsdp does not.",
    ),
    (
        "train.cluster",
        "Where processes run",
        "none: on this machine. ray: on the machines of a Ray cluster, for more GPUs than one machine has.",
    ),
    (
        "train.quantization",
        "Quantisation",
        "4bit holds the frozen weights in a quarter of the memory, with a little less precision. Needs an NVIDIA GPU.",
    ),
    (
        "train.gradient_accumulation",
        "Parts of a step",
        "In how many parts completions pass through the model. More need less memory, and teach the same, slower.",
    ),
    (
        "train.gradient_checkpointing",
        "Gradient checkpointing",
        "Learning needs much less memory and is about a fifth slower; the result is the same.",
    ),
    (
        "adapter.target_modules",
        "Trained layers",
        "Which linear layers get an adapter. All of them learn more; two of them need less memory.",
    ),
    (
        "adapter.alpha",
        "LoRA alpha",
        "The adapter acts with the strength alpha divided by rank. More learns faster and overshoots sooner.",
    ),
    (
        "adapter.dropout",
        "LoRA dropout",
        "Share of the adapter's input left out at random while learning; 0 is usual for GRPO.",
    ),
)
ALGORITHM: Rows = (
    ("train.loss_type", "Loss", "How the tokens of long and short completions are weighed against each other."),
    (
        "train.importance_sampling_level",
        "Importance sampling over",
        "Whether a limit on change holds for tokens or for whole completions.",
    ),
    (
        "train.scale_rewards",
        "Reward scaling",
        "Whether questions whose answers earn nearly the same teach as much as those whose answers differ widely.",
    ),
    (
        "train.multi_objective_aggregation",
        "Aggregation of scores",
        "Whether scores are added up before or after they are compared inside the group.",
    ),
    (
        "train.beta",
        "KL weight (beta)",
        "How strongly the model is held near the one it started from; 0 leaves it free and makes steps faster.",
    ),
    (
        "train.epsilon",
        "Epsilon (below)",
        "How far the probability of a token may fall in one update before it stops counting.",
    ),
    (
        "train.epsilon_high",
        "Epsilon high (above)",
        "How far it may rise; empty takes epsilon. A larger one, such as 0.28, keeps rare good tokens alive.",
    ),
    (
        "train.num_iterations",
        "Updates per step",
        "How often a step's completions are learned from; more use them harder and can overdo it.",
    ),
    (
        "train.mask_truncated_completions",
        "Leave out completions cut at the limit",
        "They then teach nothing, good or bad. If most completions are cut, nothing is learned.",
    ),
)
ADVANCED: Rows = (
    ("train.lr_schedule", "Learning-rate schedule", "How the learning rate changes over the run."),
    ("train.warmup", "Warm-up", "Share of the steps over which the learning rate rises from zero."),
    ("train.optimizer", "Optimiser", "Turns gradients into steps; 8-bit ones need less memory and an NVIDIA GPU."),
    ("train.weight_decay", "Weight decay", "Pulls the adapter back towards nothing at every step."),
    ("train.adam_beta1", "Adam beta 1", "How long Adam remembers the direction of gradients."),
    ("train.adam_beta2", "Adam beta 2", "How long Adam remembers their size."),
    (
        "train.max_grad_norm",
        "Max gradient norm",
        "Longer gradients are cut to this length, so that one odd step does no harm.",
    ),
    ("train.top_p", "Top-p", "Only the likeliest tokens that make up this share can be chosen; 1 means all."),
    ("train.top_k", "Top-k", "Only this many of the likeliest tokens can be chosen; 0 means all."),
    (
        "train.min_p",
        "Min-p",
        "Tokens less likely than this share of the likeliest cannot be chosen; empty means none is left out.",
    ),
    ("train.repetition_penalty", "Repetition penalty", "Above 1, tokens that stand there already become less likely."),
    (
        "train.save_every",
        "Checkpoint every so many steps",
        "A run that is interrupted goes on from its last checkpoint.",
    ),
    ("train.keep_checkpoints", "Checkpoints kept", "The newest so many, beside the best one."),
    ("train.seed", "Seed", "What is drawn at random: rows, completions, the adapter's start."),
    ("train.trackers", "Report to", "Where TRL sends the run's numbers as well."),
    ("train.trl", "Further TRL fields", "Fields of TRL's GRPOConfig by their own name."),
)
