"""What came of a blind vote, and how it is said in plain words; see `core.compare.blind_results` for the arithmetic."""

from __future__ import annotations

from core.compare.blind_votes import Pair
from core.lab.fit_result import Kappa, agreement_word
from core.settings_base import Settings

CHANCE = 0.5
"""How often one of two candidates is preferred when nobody can tell them apart."""
MANY = 3
"""From so many raters on one number says how far all of them agree."""
SURE = 0.05
"""Below which p of the sign test chance no longer explains the counts."""


class Share(Settings):
    """A share of counted things.

    Attributes:
        value: from 0 to 1.
        low, high: its Wilson 95 % interval.
        of: how many things there are.
    """

    value: float
    low: float
    high: float
    of: int

    def __str__(self) -> str:
        return f"{self.value:.0%}, 95% interval {self.low:.0%} to {self.high:.0%}"

    @property
    def turned(self) -> Share:
        """The share of the others."""
        return Share(value=1 - self.value, low=1 - self.high, high=1 - self.low, of=self.of)


class Tally(Settings):
    """Judgements of two candidates, counted.

    Attributes:
        first, second: how often the first, or the second, was preferred.
        ties, unsafe: how often both were found equally good, or both unsafe.
        rate: the share of the first among `first + second`; None where there are none.
        rate_with_ties: the same with a tie as half a win of each; None where there are none. Its interval treats half
            wins as if they were whole ones, which makes it too wide rather than too narrow.
        p: of the two-sided sign test: how likely counts at least as uneven are when both are equally good.
        unsafe_share: of all judgements; None where there are none.
    """

    first: int
    second: int
    ties: int
    unsafe: int
    rate: Share | None
    rate_with_ties: Share | None
    p: float | None
    unsafe_share: Share | None

    @property
    def decided(self) -> int:
        """How often one was preferred."""
        return self.first + self.second

    @property
    def total(self) -> int:
        return self.decided + self.ties + self.unsafe

    @property
    def turned(self) -> Tally:
        """The same with the two candidates the other way round."""
        return self.model_copy(
            update={
                "first": self.second,
                "second": self.first,
                "rate": self.rate and self.rate.turned,
                "rate_with_ties": self.rate_with_ties and self.rate_with_ties.turned,
            }
        )

    @property
    def beyond_chance(self) -> int:
        """1 where the first is preferred more often than chance explains, -1 for the second, else 0.

        Both must say so: the sign test, which is exact, and the interval of the rate, which is not and alone would
        take 4 of 4 for proof.
        """
        if self.rate is None or self.p is None or self.p >= SURE:
            return 0
        return int(self.rate.low > CHANCE) - int(self.rate.high < CHANCE)


class PairResult(Settings):
    """What raters say of two candidates.

    Attributes:
        pair: the candidates, by their places in the comparison's request.
        first, second: what they are called; text from outside.
        judgements: every ballot counts.
        questions: every question counts once, as most of its raters said; as a tie where no verdict has most.
        raters: how many have judged the pair.
        repeated: whether a question was judged by several raters.
    """

    pair: Pair
    first: str
    second: str
    judgements: Tally
    questions: Tally
    raters: int
    repeated: bool

    @property
    def turned(self) -> PairResult:
        """The same with the two candidates the other way round."""
        return self.model_copy(
            update={
                "pair": self.pair[::-1],
                "first": self.second,
                "second": self.first,
                "judgements": self.judgements.turned,
                "questions": self.questions.turned,
            }
        )

    @property
    def ahead_first(self) -> PairResult:
        """The same with the candidate first that was preferred more often; as it is where neither was."""
        return self.turned if self.judgements.second > self.judgements.first else self

    @property
    def convincing(self) -> bool:
        """Whether one is preferred more often than chance explains.

        Raters of one question are not independent, so that where there are several the questions must say the same.
        """
        found = self.judgements.beyond_chance
        return found != 0 and (not self.repeated or self.questions.beyond_chance == found)

    @property
    def sentences(self) -> tuple[str, ...]:
        """What is known, the most important first; text from outside."""
        if not self.judgements.total:
            return (f"Nobody has judged “{self.first}” against “{self.second}”.",)
        ahead = self.ahead_first
        said = (ahead._preference(), ahead._neither())
        return (*said, ahead._by_question()) if self.repeated else said

    def _preference(self) -> str:
        found = self.judgements
        if found.rate is None:
            return f"Neither “{self.first}” nor “{self.second}” was ever preferred."
        if found.first == found.second:
            return (
                f"“{self.first}” and “{self.second}” were preferred equally often, in {found.first} of {found.decided} "
                "judgements; the votes show no difference."
            )
        return (
            f"“{self.first}” was preferred over “{self.second}” in {found.first} of {found.decided} judgements that "
            f"preferred one ({found.rate}); {self._claim()}."
        )

    def _claim(self) -> str:
        if self.convincing:
            return "that is more than chance explains"
        if self.judgements.beyond_chance:
            return "but counted by question, chance alone could explain it"
        return "chance alone could explain that"

    def _neither(self) -> str:
        found = self.judgements
        return (
            f"Both were found equally good in {found.ties} of {found.total} judgements, and both unsafe in "
            f"{found.unsafe} ({found.unsafe_share})."
        )

    def _by_question(self) -> str:
        found = self.questions
        rate = "" if found.rate is None else f" (“{self.first}” over “{self.second}”: {found.rate})"
        return (
            "Several raters judged the same questions, and their judgements are not independent of each other. Counted "
            f"by question, as most of its raters said: “{self.first}” better on {found.first}, “{self.second}” better "
            f"on {found.second}, {found.ties} equal or split, {found.unsafe} both unsafe{rate}."
        )


class AllAgree(Settings):
    """How far all raters agree, chance aside, who have cast enough ballots to tell.

    Attributes:
        raters: over whom this is taken, by name; text from outside.
        left_out: how many others there are, who have cast fewer than `least` ballots each.
        least: how many ballots are enough.
        common: how many ballots all of `raters` have cast.
        value: Fleiss' kappa over these, at most 1, and 0 where they agree as often as by chance; None where it cannot
            be told.
    """

    raters: tuple[str, ...]
    left_out: int
    least: int
    common: int
    value: float | None

    @property
    def sentence(self) -> str:
        """What is known; text from outside."""
        count = len(self.raters)
        if count < MANY:
            return f"Too few raters have judged {self.least} ballots or more to tell how far all of them agree."
        if self.left_out:
            who = f"{', '.join(self.raters[:-1])} and {self.raters[-1]}"
            said = (
                f"Of {count + self.left_out} raters, the {count} who judged at least {self.least} ballots ({who}) have "
                f"judged {self.common} in common."
            )
        else:
            said = f"All {count} raters have judged {self.common} ballots in common."
        if self.value is None:
            return f"{said} That is too little, or too uniform, to tell agreement from chance."
        return f"{said} Chance aside, their agreement is {agreement_word(self.value)} (Fleiss' kappa {self.value:.2f})."


class BlindResults(Settings):
    """What came of a blind vote.

    Attributes:
        raters: everybody who has judged, by name; text from outside.
        pairs: one for each pair that was voted on.
        kappas: of every two raters.
        all_agree: None where there are fewer than three raters.
    """

    raters: tuple[str, ...]
    pairs: tuple[PairResult, ...]
    kappas: tuple[Kappa, ...]
    all_agree: AllAgree | None
