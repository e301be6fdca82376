"""What a job computes with."""

import pytest
import torch

from core.engine.device import compute_for
from core.presets import preset_config


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_run_that_goes_on_keeps_its_number_format(dtype: str) -> None:
    assert compute_for(preset_config("demo"), dtype).dtype == getattr(torch, dtype)
