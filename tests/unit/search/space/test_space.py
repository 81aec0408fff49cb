"""Search spaces: what is read, what is refused, and how draws become configs."""

from __future__ import annotations

from typing import Any

import pytest

from mitorch_service.search.space.expressions import Choice, Range
from mitorch_service.search.space.size import point_with_number
from mitorch_service.search.space.space import Space, parse_space

NESTED = {
    "model": {"_choice": ["a", "b"]},
    "optimizer": {
        "_choice": [
            {"name": "sgd", "momentum": {"_uniform": [0, 0.9]}},
            {"name": "adam", "betas": [{"_uniform": [0.8, 0.95]}, 0.999]},
        ]
    },
    "plain": {"list": [1, {"deep": None}]},
}


def parsed(config: dict[str, Any]) -> Space:
    """The space of a config that is right."""
    space, problems = parse_space(config)
    assert problems == []
    return space


def first(parameter: Choice | Range, name: str) -> float:
    """Draws the first option, the lower end."""
    return 0 if isinstance(parameter, Choice) else parameter.low


def last(parameter: Choice | Range, name: str) -> float:
    """Draws the last option, the upper end."""
    return len(parameter.options) - 1 if isinstance(parameter, Choice) else parameter.high


def test_a_config_without_expressions_comes_back_as_it_was() -> None:
    config = {"a": 1, "b": [True, None, {"c": "x"}], "d": {}}
    space = parsed(config)
    assert space.build(first) == (config, {})
    assert space.is_constant()
    assert list(space.corners()) == [config]


def test_only_the_parameters_of_the_chosen_option_are_drawn() -> None:
    config, parameters = parsed(NESTED).build(first)
    assert config == {"model": "a", "optimizer": {"name": "sgd", "momentum": 0.0}, "plain": NESTED["plain"]}
    assert parameters == {"model": "a", "optimizer": "sgd", "optimizer.momentum": 0.0}
    config, parameters = parsed(NESTED).build(last)
    assert config["optimizer"] == {"name": "adam", "betas": [0.95, 0.999]}
    assert parameters == {"model": "b", "optimizer": "adam", "optimizer.betas[0]": 0.95}


def test_parameters_are_asked_for_in_the_order_of_the_file() -> None:
    asked: list[str] = []

    def draw(parameter: Choice | Range, name: str) -> float:
        asked.append(name)
        return last(parameter, name)

    parsed(NESTED).build(draw)
    assert asked == ["model", "optimizer", "optimizer.betas[0]"]


def test_a_choice_may_be_an_option_of_a_choice() -> None:
    space = parsed({"x": {"_choice": [{"_choice": [1, 2]}, {"_int": [5, 9]}]}})
    assert space.build(first) == ({"x": 1}, {"x": "option 0", "x:option": 1})
    assert space.build(last) == ({"x": 9}, {"x": "option 1", "x:option": 9})


def test_a_choice_of_one_option_is_still_a_parameter() -> None:
    assert not parsed({"x": {"_choice": [1]}}).is_constant()


@pytest.mark.parametrize(
    ("options", "labels"),
    [
        ((1, "x", None, True), [1, "x", None, True]),
        (({"name": "a"}, {"name": "b"}), ["a", "b"]),
        (({"name": "a"}, {"name": "a"}, {"name": "b"}), ["option 0", "option 1", "b"]),
        (({"x": 1}, [1, 2], 3), ["option 0", "option 1", 3]),
        (({"name": 1}, {"name": ["a"]}), ["option 0", "option 1"]),
        (("sgd", {"name": "sgd"}, {"name": "adam"}), ["sgd", "option 1", "adam"]),
        (({"name": "sgd"}, "sgd"), ["option 0", "sgd"]),
        ((1, 1.0, "1", 1), [1, 1.0, "1 (option 2)", "1 (option 3)"]),
        (({"x": 1}, "option 0", "option 0"), ["option 0 (option 0)", "option 0", "option 0 (option 2)"]),
        (("a", "a", "a (option 1)"), ["a", "a (option 1)", "a (option 1) (option 2)"]),
    ],
)
def test_an_option_is_shown_as_itself_by_its_name_or_by_its_place(options: tuple[Any, ...], labels: list[Any]) -> None:
    choice = Choice(options)
    assert [repr(choice.label(index)) for index in range(len(options))] == [*map(repr, labels)]
    assert [choice.raw(label) for label in labels] == list(range(len(options)))


def test_a_number_is_found_as_whole_or_not_but_never_as_a_truth_value() -> None:
    assert Choice((1, 2.0)).raw(1.0) == 0
    assert Choice((1, 2.0)).raw(2) == 1
    for value in (True, "1", [1], {"a": 1}):
        with pytest.raises(ValueError, match="is none of"):
            Choice((1, 2)).raw(value)


ALIKE = {"x": {"_choice": ["sgd", {"name": "sgd"}, 1, 1, True, {"a": {"_choice": [0, 0]}}]}}


def test_options_are_identified_by_their_place_whatever_they_are_called() -> None:
    space = parsed(ALIKE)
    points = [point_with_number(space, number) for number in range(7)]
    assert len({repr(point) for point in points}) == 7
    for point in points:
        config, parameters = space.at(point)
        assert space.point_of(parameters) == point
        assert space.point_of(dict.fromkeys(parameters, "renamed"), options=space.options(point)) == point
        assert space.at(space.point_of({}, options=space.options(point)) or {})[0] == config
    assert space.point_of({"x": "sgd"}, options={"x": 99}) == {"x": 0}  # of another space


@pytest.mark.parametrize(
    ("config", "name"),
    [
        ({"opt.lr": {"_int": [1, 2]}, "opt": {"lr": {"_int": [1, 2]}}}, "opt.lr"),
        ({"a[0]": {"_int": [1, 2]}, "a": [{"_int": [1, 2]}]}, "a[0]"),
        ({"x:option": {"_int": [1, 2]}, "x": {"_choice": [0, {"_int": [1, 2]}]}}, "x:option"),
        ({"o": {"_choice": [{"a.b": {"_int": [1, 2]}, "a": {"b": {"_choice": [1, 2]}}}]}}, "o.a.b"),
    ],
)
def test_a_name_of_two_parameters_is_refused(config: dict[str, Any], name: str) -> None:
    _, problems = parse_space(config)
    assert [problem.path for problem in problems] == [name]
    assert "is the name of two parameters" in problems[0].message


def test_options_that_exclude_each_other_may_use_one_name() -> None:
    space = parsed({"o": {"_choice": [{"a.b": {"_int": [1, 2]}}, {"a": {"b": {"_int": [1, 2]}}}]}})
    assert [parameter.name for parameter in space.parameters] == ["o", "o.a.b", "o.a.b"]


def test_each_of_many_options_is_looked_at_a_few_times_only() -> None:
    looks = 0

    class Option(dict[str, Any]):
        def get(self, *arguments: Any) -> Any:
            nonlocal looks
            looks += 1
            return super().get(*arguments)

    choice = Choice(tuple(Option(name=f"m{number}") for number in range(1000)))
    for index in range(1000):
        assert choice.raw(choice.label(index)) == index
    assert looks < 10_000


@pytest.mark.parametrize(
    ("bounds", "value", "snapped"),
    [
        (Range(0, 1), 0.1 + 0.2, 0.3),
        (Range(0, 1), 1.7, 1.0),
        (Range(0, 1), -3, 0.0),
        (Range(0, 1, step=0.25), 0.4, 0.5),
        (Range(0, 1, step=0.3), 1.0, 0.9),
        (Range(0, 0.9, step=0.3), 0.9, 0.9),
        (Range(1, 10, integer=True), 3.7, 4),
        (Range(1, 10, integer=True, step=4), 10, 9),
        (Range(1, 1000, log=True, integer=True), 0.6, 1),
        (Range(0.1234567890123456, 1), 0, 0.1234567890123456),  # short, but never outside
        (Range(0, 0.9999999999999), 5, 0.9999999999999),
    ],
)
def test_a_number_is_brought_to_the_nearest_allowed(bounds: Range, value: float, snapped: float) -> None:
    result = bounds.snap(value)
    assert result == snapped
    assert isinstance(result, int if bounds.integer else float)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ({"_choise": [1]}, "_choise is no expression; known: _choice, _uniform, _loguniform, _int, _logint"),
        ({"_choice": [1], "_int": [1, 2]}, "has more than one expression: _choice, _int"),
        ({"_choice": []}, "_choice needs a list of one option or more"),
        ({"_choice": {"a": 1}}, "_choice needs a list of one option or more"),
        ({"_choice": [1], "step": 1}, "unknown key beside _choice: step"),
        ({"_uniform": [0, 1], "x": 1}, "unknown key beside _uniform: x; known: step"),
        ({"_uniform": [0]}, "_uniform needs [low, high], two numbers (it is [0])"),
        ({"_uniform": 3}, "_uniform needs [low, high], two numbers"),
        ({"_uniform": ["0", 1]}, "_uniform needs [low, high], two numbers"),
        ({"_uniform": [False, True]}, "_uniform needs [low, high], two numbers"),
        ({"_uniform": [0, float("nan")]}, "_uniform needs [low, high], two numbers"),
        ({"_uniform": [0, 10**400]}, "_uniform needs [low, high], two numbers"),
        ({"_uniform": [1, 1]}, "_uniform needs low < high"),
        ({"_int": [2, 1]}, "_int needs low < high"),
        ({"_loguniform": [0, 1]}, "_loguniform needs low > 0"),
        ({"_logint": [-1, 1]}, "_logint needs low > 0"),
        ({"_int": [0.5, 2]}, "_int needs whole numbers"),
        ({"_logint": [1, 2.5]}, "_logint needs whole numbers"),
        ({"_loguniform": [1, 2], "step": 1}, "step makes no sense with _loguniform"),
        ({"_uniform": [0, 1], "step": 0}, "step must be above 0 and at most high - low"),
        ({"_uniform": [0, 1], "step": 2}, "step must be above 0 and at most high - low"),
        ({"_uniform": [0, 1], "step": "1"}, "step must be above 0"),
        ({"_int": [0, 9], "step": 1.5}, "step must be a whole number with _int"),
    ],
)
def test_a_wrong_expression_is_told_with_its_path(expression: dict[str, Any], message: str) -> None:
    _, problems = parse_space({"a": {"b": [0, expression]}})
    assert [problem.path for problem in problems] == ["a.b[1]"]
    assert message in problems[0].message


def test_all_wrong_expressions_are_told_at_once_those_in_options_too() -> None:
    _, problems = parse_space({"a": {"_int": [1]}, "b": {"_choice": [{"c": {"_uniform": [1, 0]}}]}, "d": {"_x": 1}})
    assert [problem.path for problem in problems] == ["a", "b[0].c", "d"]


def test_corners_show_every_option_and_both_ends() -> None:
    corners = list(parsed(NESTED).corners())
    assert {corner["model"] for corner in corners} == {"a", "b"}
    seen = [corner["optimizer"] for corner in corners]
    for expected in (
        {"name": "sgd", "momentum": 0.0},
        {"name": "sgd", "momentum": 0.9},
        {"name": "adam", "betas": [0.8, 0.999]},
        {"name": "adam", "betas": [0.95, 0.999]},
    ):
        assert expected in seen


def test_corners_are_few_however_many_parameters_there_are() -> None:
    space = parsed({f"p{number}": {"_choice": list(range(10))} for number in range(50)})
    assert len(list(space.corners())) == 10


def test_a_parsed_config_is_not_changed() -> None:
    before = repr(NESTED)
    parsed(NESTED).build(last)
    assert repr(NESTED) == before
