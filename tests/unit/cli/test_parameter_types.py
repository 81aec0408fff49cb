"""Numbers as arguments: what is refused is told in the words in which configs are."""

from __future__ import annotations

import click
import pytest

from mitorch_service.cli.parameters.parameter_types import DataPath, Number, WholeNumber


@pytest.mark.parametrize(
    ("kind", "given", "said"),
    [
        (WholeNumber(0), "-1", "must be 0 or more (it is -1)"),
        (WholeNumber(1, 400), "401", "must be 1 or more and 400 or less (it is 401)"),
        (WholeNumber(), "1.5", "must be a whole number (it is '1.5')"),
        (Number(0.05, 1e6), "1e300", "must be 0.05 or more and 1000000 or less (it is 1e+300)"),
        (Number(0, 1, min_open=True, max_open=True), "1", "must be more than 0 and less than 1 (it is 1.0)"),
        (Number(0), "nan", "must be a finite number (it is 'nan')"),
        (Number(0), "x", "must be a number (it is 'x')"),
    ],
)
def test_a_wrong_number_is_refused_with_its_limits(kind: WholeNumber | Number, given: str, said: str) -> None:
    with pytest.raises(click.BadParameter) as raised:
        kind.convert(given, None, None)
    assert raised.value.message == said


@pytest.mark.parametrize("url", ["https://a.blob.core.windows.net/c/t.txt?sig=hush", "HTTP://host/t.txt", "s3://b/t"])
def test_a_url_as_a_data_set_is_told_where_it_belongs(url: str) -> None:
    with pytest.raises(click.BadParameter) as raised:
        DataPath().convert(url, None, None)
    told = raised.value.message
    assert "is a URL, which only trainings of the service read: register it (midataset register)" in told
    assert told.startswith(url.partition("?")[0]) and "hush" not in told
    assert DataPath().convert("https:/no-url.txt", None, None) == "https:/no-url.txt"


def test_limits_belong_to_a_range() -> None:
    assert [WholeNumber(-3, 3).convert(text, None, None) for text in ("-3", "3")] == [-3, 3]
    assert Number(0.1, 2).convert("0.1", None, None) == 0.1
    assert Number(0, 1, min_open=True, max_open=True).convert("0.2", None, None) == 0.2
