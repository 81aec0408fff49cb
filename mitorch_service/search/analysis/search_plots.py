"""Pictures of a search: its history, slices, importances and parallel coordinates, by Optuna's plotting on matplotlib.

Both are imported here only, when something is drawn.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from mitorch_service.search.base import History, TrialRecord, TrialState
from mitorch_service.search.space.expressions import Choice, shown
from mitorch_service.search.space.space import Parameter, Space

LEAST_TRIALS = 10  # with a value; pictures of fewer show nothing
_NEEDED = ("matplotlib", "optuna", "scipy", "sklearn")
_MOST_PARAMETERS = 8  # the most important ones
_LARGEST = 1e50  # a value that an axis can show; a penalty beyond would hide the others anyway


def can_draw(history: History) -> bool:
    """Whether the packages are installed, and enough trials have a value. Imports nothing."""
    enough = sum(map(_is_shown, history.records)) >= LEAST_TRIALS
    return enough and all(map(importlib.util.find_spec, _NEEDED))


def draw_search(history: History, objectives: Sequence[str], folder: Path) -> list[Path]:
    """Draws a history that `can_draw` allows as PNG files; with several objectives a set for each, and their Pareto
    front. Returns the files, each named by what it shows."""
    import matplotlib
    import optuna
    from matplotlib import pyplot

    with warnings.catch_warnings(), matplotlib.rc_context({"backend": "agg"}):
        warnings.simplefilter("ignore")  # Optuna calls its plots experimental; fonts may lack letters of names
        study = _study(optuna, history, objectives)
        files = []
        for name, draw in _pictures(history, objectives, study):
            axes = draw()
            figure = (axes.flat[0] if hasattr(axes, "flat") else axes).figure
            files.append(folder / f"{name}.png")
            figure.savefig(files[-1], dpi=100, format="png", bbox_inches="tight")
            pyplot.close(figure)
    return files


def _pictures(history: History, objectives: Sequence[str], study: Any) -> Iterator[tuple[str, Callable[[], Any]]]:
    """The name of each picture, and what draws it and returns its axes."""
    from optuna.visualization import matplotlib as plots

    from mitorch_service.search.analysis.importance import importance
    from mitorch_service.search.samplers.observations import of_objective

    for index, objective in enumerate(objectives):
        suffix = f"_{objective}" if len(objectives) > 1 else ""
        chosen = partial(_value, index) if len(objectives) > 1 else None  # without one, the history shows the best
        target: dict[str, Any] = {"target": chosen, "target_name": objective}
        shares = importance(of_objective(history, index))
        varying = [name for name in shares if shares[name] > 0] or list(shares)
        shared = [_plain(name) for name in varying if _everywhere(history, name)][:_MOST_PARAMETERS]
        some = [*map(_plain, varying)][:_MOST_PARAMETERS]
        yield f"history{suffix}", partial(plots.plot_optimization_history, study, **target)
        if varying:
            yield f"slice{suffix}", partial(plots.plot_slice, study, params=some, **target)
            yield f"importance{suffix}", partial(_draw_shares, shares, objective)
        if len(shared) > 1:
            yield f"parallel{suffix}", partial(plots.plot_parallel_coordinate, study, params=shared, **target)
    if len(objectives) in (2, 3):
        yield "front", partial(plots.plot_pareto_front, study, target_names=list(objectives))


def _study(optuna: Any, history: History, objectives: Sequence[str]) -> Any:
    """The trials as Optuna's, with parameters as people read them."""
    from mitorch_service.search.samplers.optuna_study import new_study

    space = history.study.space
    distributions = {_plain(one.key): _distribution(optuna, one) for one in space.parameters}
    study = new_study(len(objectives), history.study.directions)
    for record in history.records:
        if record.number < 0:  # of an earlier search
            continue
        done = _is_shown(record)
        params = _readable(space, record) if done else {}
        study.add_trial(
            optuna.trial.create_trial(
                state=optuna.trial.TrialState.COMPLETE if done else optuna.trial.TrialState.FAIL,
                params=params,
                distributions={key: distributions[key] for key in params},
                values=list(record.values) if done else None,
            )
        )
    return study


def _readable(space: Space, record: TrialRecord) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for parameter in space.active(record.point):
        value, expression = record.point[parameter.name], parameter.expression
        found[_plain(parameter.key)] = _labels(expression)[int(value)] if isinstance(expression, Choice) else value
    return found


def _labels(choice: Choice) -> list[str]:
    return [_plain(shown(label)) for label in choice.labels]


def _plain(text: str) -> str:
    """The text for matplotlib, to which two $ enclose a formula."""
    return text.replace("$", r"\$")


def _distribution(optuna: Any, parameter: Parameter) -> Any:
    """A distribution for the axis: steps do not matter."""
    known, expression = optuna.distributions, parameter.expression
    if isinstance(expression, Choice):
        return known.CategoricalDistribution(_labels(expression))
    if expression.integer:
        return known.IntDistribution(int(expression.low), int(expression.high), log=expression.log)
    return known.FloatDistribution(expression.low, expression.high, log=expression.log)


def _is_shown(record: TrialRecord) -> bool:
    values = record.values if record.state == TrialState.COMPLETED and record.number >= 0 else ()
    return bool(values) and all(abs(value) <= _LARGEST for value in values)


def _everywhere(history: History, key: str) -> bool:
    space = history.study.space
    return all(key in space.by_key(record.point) for record in history.records if _is_shown(record))


def _value(index: int, trial: Any) -> float:
    value: float = trial.values[index]
    return value


def _draw_shares(shares: Mapping[str, float], objective: str) -> Any:
    """The importances that `miquery` shows, which include conditional parameters."""
    from matplotlib import pyplot

    names = list(shares)[:_MOST_PARAMETERS][::-1]
    _, axes = pyplot.subplots()
    axes.barh([*map(_plain, names)], [shares[name] for name in names])
    axes.set_title("Importance of parameters")
    axes.set_xlabel(f"share of the variation of {objective}")
    return axes
