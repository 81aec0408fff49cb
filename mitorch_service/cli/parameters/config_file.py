"""Reads the config file of mitrain and mitest."""

from __future__ import annotations

from mitorch_service.cli.parameters.arguments import read_config
from mitorch_service.errors import InvalidInput, Problem
from mitorch_service.models.config.training_config import TrainingConfig
from mitorch_service.models.config.validation import check
from mitorch_service.training.loop.config_check import check_names


def read_training_config(path: str) -> TrainingConfig:
    """Reads and checks the config (``-``: standard input). Raises InvalidInput with every problem."""
    source, data = read_config(path)
    if "job_type" in data:
        hint = "makes this a job config, which is many trainings: queue it with misubmit"
        raise InvalidInput(source, [Problem("job_type", hint)])
    if "script" in data:
        raise InvalidInput(source, [Problem("script", "runs in the queue only: queue it with misubmit")])
    config, problems = check(TrainingConfig, data)
    problems += check_names(data)
    if config is None or problems:
        raise InvalidInput(source, problems)
    return config
