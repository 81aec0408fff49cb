"""The result of an epoch."""

from __future__ import annotations

import math

from mitorch_service.models.result import EpochResult
from tests.samples import a_result


def test_a_rate_that_an_older_version_stored_as_nan_is_not_known() -> None:
    rates = dict.fromkeys(("learning_rate", "epoch_seconds", "samples_per_second"), math.nan)
    old = EpochResult.from_document({**a_result(1).to_document(), **rates, "val_loss": math.nan})
    assert (old.learning_rate, old.epoch_seconds, old.samples_per_second) == (None, None, None)
    assert old.val_loss is not None
    assert math.isnan(old.val_loss)  # of a training that diverged
