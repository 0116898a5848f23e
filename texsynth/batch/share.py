"""Which items of a command a process takes where several, on any machines, are given the same command."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from texsynth.errors import UsageError, shown

AUTO = "auto"
MOST = 1_000_000  # shares
Kind = TypeVar("Kind")


@dataclass(frozen=True)
class Share:
    """The `number`-th share of `count`, from 1."""

    number: int
    count: int

    def of(self, items: Sequence[Kind]) -> tuple[Kind, ...]:
        """Every `count`-th item, so that shares are even and no item is in two."""
        return tuple(items[self.number - 1 :: self.count])

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


def parse(word: str, environment: Mapping[str, str]) -> Share:
    """The share that --shard names: "3/10", or that of this task of a job array for "auto". Raises UsageError."""
    if word == AUTO:
        return _of_array(environment)
    match = re.fullmatch(r"(\d{1,9})/(\d{1,9})", word, re.ASCII)
    share = Share(int(match[1]), int(match[2])) if match else None
    if share is None or not 1 <= share.number <= share.count <= MOST:
        raise UsageError(f"--shard {shown(word)} is neither I/N with I from 1 to N, as in 3/10, nor auto")
    return share


def _of_array(environment: Mapping[str, str]) -> Share:
    """The share of a task of a job array, as Slurm or AWS Batch tell it; UsageError."""
    slurm = _numbers(environment, "SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT", "SLURM_ARRAY_TASK_MIN")
    if slurm is not None:
        task, count, first = slurm
        step = (_numbers(environment, "SLURM_ARRAY_TASK_STEP") or (1,))[0] or 1
        number, rest = divmod(task - first, step)
        last = (_numbers(environment, "SLURM_ARRAY_TASK_MAX") or (first + step * (count - 1),))[0]
        if rest or not 0 <= number < count <= MOST or last != first + step * (count - 1):
            raise UsageError(
                f"--shard auto: task {task} is none of {count} from {first} in steps of {step}; "
                "give the array as one range, such as sbatch -a 1-10"
            )
        return Share(number + 1, count)
    aws = _numbers(environment, "AWS_BATCH_JOB_ARRAY_INDEX", "AWS_BATCH_JOB_ARRAY_SIZE")
    if aws is not None and 0 <= aws[0] < aws[1] <= MOST:
        return Share(aws[0] + 1, aws[1])
    raise UsageError(
        "--shard auto: this is no task of a job array of Slurm (SLURM_ARRAY_TASK_ID, _COUNT and _MIN) or AWS Batch "
        "(AWS_BATCH_JOB_ARRAY_INDEX and _SIZE); give I/N, as in 3/10"
    )


def _numbers(environment: Mapping[str, str], *names: str) -> tuple[int, ...] | None:
    """Whole numbers of the environment; None where one is missing or none."""
    words = [environment.get(name, "") for name in names]
    if not all(re.fullmatch(r"\d{1,9}", word, re.ASCII) for word in words):
        return None
    return tuple(map(int, words))
