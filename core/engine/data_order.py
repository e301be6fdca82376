"""The order in which the rows of a run are trained on, the same however often the run is interrupted."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from trl.trainer.utils import RepeatSampler


class EpochOrder(RepeatSampler):  # type: ignore[misc]  # TRL ships no types
    """TRL's sampler, told which epoch it begins.

    TRL draws the order of each epoch from one stream of random numbers. A trainer that goes on from a checkpoint starts
    in the epoch of that checkpoint, so without this it would get the order of the first epoch again.
    """

    @classmethod
    def like(cls, sampler: RepeatSampler) -> EpochOrder:
        """The same order as that of a sampler that has not been used yet."""
        return cls(
            data_source=sampler.data_source,
            mini_repeat_count=sampler.mini_repeat_count,
            batch_size=sampler.batch_size,
            repeat_count=sampler.repeat_count,
            shuffle=sampler.shuffle,
            seed=sampler.seed,
        )

    _drawn = 0
    """Orders that have been drawn: the number of the epoch that comes next."""

    def set_epoch(self, epoch: int) -> None:
        """Make the next pass that of an epoch, counted from 0; the trainer calls this before each."""
        if not self.shuffle:
            return
        if epoch < self._drawn:
            self.generator.manual_seed(self.seed)
            self._drawn = 0
        while self._drawn < epoch:
            torch.randperm(self.num_samples, generator=self.generator)
            self._drawn += 1

    def __iter__(self) -> Iterator[int]:
        self._drawn += 1
        yield from super().__iter__()
