"""The errors a user can mend.

Every message says what happened, to which field, file or row, and what to do. Pages and the command line show these;
any other exception is a defect of the studio and goes to the log with its traceback.

    StudioError
      ConfigError   a setting is wrong
      DataError     a data file or one of its rows is wrong
      ModelError    a model is missing, incomplete or of the wrong kind
      StorageError  the home folder cannot be written, or the disk is full
      RunError      a run does not exist, is busy, or cannot do what was asked
      RewardError   a custom reward or the judge is broken
      OutOfMemory   a job asks for more memory than there is
      Diverged      a training run's numbers are no longer finite
      AccessDenied  whoever asks may not do that
"""

import re

_NO_MEMORY = re.compile(r"out of memory|can't allocate memory", re.IGNORECASE)


class StudioError(Exception):
    """Something the user can mend; `str(error)` is one plain sentence or two."""


class ConfigError(StudioError):
    """A setting is missing, out of range, or contradicts another."""


class DataError(StudioError):
    """A data file cannot be read, or a row of it cannot be used."""


class ModelError(StudioError):
    """A model cannot be found or loaded."""


class StorageError(StudioError):
    """The home folder cannot be used, or there is no room left."""


class RunError(StudioError):
    """A run does not exist, or is not in a state that allows what was asked."""


class Busy(RunError):
    """This machine has no room for one more run now; the run can wait in the queue."""


class RewardError(StudioError):
    """A custom reward is missing or broken, or the judge cannot be asked; neither may pass for a bad reward."""


class OutOfMemory(StudioError):
    """The GPU, or this machine, has less memory than a job asks for."""


def lacks_memory(error: BaseException) -> bool:
    """Whether memory ran out, be it said by the kind of the error or, as libraries do, by its words alone.

    >>> lacks_memory(RuntimeError("CUDA error: out of memory")), lacks_memory(RuntimeError("shapes differ"))
    (True, False)
    """
    return isinstance(error, MemoryError) or bool(_NO_MEMORY.search(str(error)))


class Diverged(StudioError):
    """The loss of a training run or its gradient is no longer a finite number."""


class AccessDenied(StudioError):
    """Whoever asks may not do that; the message says who they are and which role may."""


class MissingColumn(RewardError):
    """A custom reward asks for a column that the completions do not carry.

    Attributes:
        reward: the name of the custom reward.
        column: the name of the column.
    """

    def __init__(self, message: str, reward: str, column: str) -> None:
        super().__init__(message)
        self.reward = reward
        self.column = column
