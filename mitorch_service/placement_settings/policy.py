"""The policy by which trainings are placed: shares of use, and whether reserved nodes are used meanwhile."""

from __future__ import annotations

import json
import re
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from mitorch_service.errors import SettingsError
from mitorch_service.setting_text import absolute_path, read_setting_file
from mitorch_service.wording.input_problem import input_problem

VARIABLE = "MITORCH_PLACEMENT"
_REMEDY = (
    'Write a JSON object such as {"fair_share": {"by": "team", "half_life": "7d", "weights": {"vision": 2}}, '
    '"backfill": true}, or a path to one.'
)
_HOURS = {"h": 1.0, "d": 24.0, "w": 168.0}

By = Literal["user", "team"]


def _hours(text: object) -> float:
    """Hours of ``12h``, ``7d`` or ``2w``."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([hdw])", text) if isinstance(text, str) else None
    hours = 0.0 if found is None else float(found[1]) * _HOURS[found[2]]
    if not 0.1 <= hours <= 100_000:
        raise ValueError('must be a time such as "12h", "7d" or "2w", of six minutes or more')
    return hours


Hours = Annotated[float, BeforeValidator(_hours)]


class FairShare(BaseModel):
    """The weights of those who share the clusters, and how their use is counted."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    by: By  # the tag `user` (without it, who submitted), or the tag `team`
    half_life: Hours = 168.0  # after which a node hour counts half
    max_wait: Hours = 24.0  # without a start, after which a share with a training that waits is served first
    weights: dict[str, Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False, strict=True)]] = {}

    def weight(self, share: str) -> float:
        """Returns the weight of a share; 1 unless the settings name it."""
        return self.weights.get(share, 1.0)


class Policy(BaseModel):
    """The order of the queue and the use of reserved nodes; by default first come, first served."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    fair_share: FairShare | None = None
    backfill: bool = Field(False, strict=True)

    def __hash__(self) -> int:
        return hash(self.model_dump_json())

    def text(self) -> str:
        """Returns the policy in a few words."""
        shares = "first come, first served" if self.fair_share is None else f"fair share by {self.fair_share.by}"
        return shares + (", backfill" if self.backfill else "")


FIRST_COME = Policy()


def read_policy(text: str, variable: str = VARIABLE) -> Policy:
    """Parses the setting, a JSON object or the path of a file with one. Raises SettingsError."""
    if not text:
        return FIRST_COME
    try:
        data = json.loads(
            text if text.lstrip().startswith(("{", "[")) else read_setting_file(absolute_path(variable, text))
        )
    except OSError as error:
        raise SettingsError(variable, f"cannot read {text}: {error.strerror}", _REMEDY) from None
    except (ValueError, RecursionError) as error:
        raise SettingsError(variable, f"is not JSON ({error})", _REMEDY) from None
    try:
        return Policy.model_validate(data)
    except ValidationError as error:
        detail = error.errors(include_url=False)[0]
        where = ".".join(str(step) for step in detail["loc"])
        value = (
            ""
            if isinstance(detail["input"], dict | list) or detail["type"] == "missing"
            else f" (it is {detail['input']!r})"
        )
        raise SettingsError(variable, f"{where or 'the setting'}: {input_problem(detail)}{value}", _REMEDY) from None
