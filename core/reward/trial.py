"""What came of trying a custom reward on sample completions: the result of the task "try_reward"."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Frame(_Model):
    """A place in a custom reward's file that an error went through.

    Attributes:
        line: counted from 1.
        function: the name of the function that the line stands in; `<module>` outside of any.
        source: the line itself.
    """

    line: int
    function: str
    source: str


class Trial(_Model):
    """What a custom reward did with the completions it was given. All texts come from outside.

    Attributes:
        name: of the custom reward.
        sha256: of the file that was tried.
        board: the id of the board whose first completions were scored.
        keys: what names each completion, see `core.lab.board.sample_key`.
        scores: one for each of `keys`, None where it had no opinion; empty when it failed.
        seconds: how long it took to score them all, without loading the file.
        mean, lowest, highest: of the scores; None when there is none.
        missing: the share of completions it had no opinion on.
        groups, differing: how many groups have two scores to compare, and in how many of these the scores differ.
        spread: standard deviation of the scores inside groups; None when there is nothing to compare.
        outside: how many scores lie outside -1 to 1.
        output: what the file printed, secrets masked, cut to a limit.
        error: why it failed, in a sentence or two; empty when it did not.
        frames: where in the file it failed, the innermost place last.
    """

    name: str
    sha256: str
    board: str
    keys: tuple[str, ...]
    scores: tuple[float | None, ...] = ()
    seconds: float = 0.0
    mean: float | None = None
    lowest: float | None = None
    highest: float | None = None
    missing: float = 0.0
    groups: int = 0
    differing: int = 0
    spread: float | None = None
    outside: int = 0
    output: str = ""
    error: str = ""
    frames: tuple[Frame, ...] = ()

    def verdict(self) -> str:
        """What a model could learn from these scores, in a sentence or two.

        >>> Trial(name="x", sha256="", board="b", keys=("1", "2"), scores=(0.5, 0.5), groups=1).verdict()
        'The scores never differ inside a group, so a model learns nothing from this reward.'
        """
        if self.error:
            return self.error
        if self.missing == 1 or not self.scores:
            return "It has no opinion on any of these completions, so nothing is learned from it here."
        if not self.groups:
            return "No group has two scores to compare, so it does not show what a model would learn."
        if not self.differing:
            return "The scores never differ inside a group, so a model learns nothing from this reward."
        said = f"The scores differ in {self.differing} of {self.groups} groups; from the others nothing is learned."
        if self.differing == self.groups:
            said = "The scores differ in every group, so a model can learn from them."
        if self.outside:
            said += (
                f" {self.outside} scores lie outside -1 to 1. The total reward is cut there, so they drown the other "
                "components; scale them."
            )
        return said
