"""GRPO Studio without a user interface: data, rewards, runs, jobs and (in `core.engine`) training."""

__version__ = "0.1.0"
