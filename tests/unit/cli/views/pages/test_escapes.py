"""Control characters in what others have written."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mitorch_service.cli.views.pages.escapes import EscapingStream, json_text, one_line, raw_stream, several_lines
from mitorch_service.cli.views.pages.output import show_fields, show_json, show_table
from mitorch_service.cli.views.pages.page import text

HOSTILE = "\x1b]0;title\x07\x1b[2Jred\nstatus completed\r\x9b31m\u202ex\x7f\t."
SHOWN = r"\x1b]0;title\x07\x1b[2Jred\nstatus completed\r\x9b31m\u202ex\x7f\t."


def test_they_are_shown_in_one_line() -> None:
    assert one_line(HOSTILE) == SHOWN
    assert one_line(SHOWN) == SHOWN
    assert one_line("naïve 日本語 🙂 \\n") == "naïve 日本語 🙂 \\n"


def test_lines_of_a_log_stay_and_those_of_a_progress_bar_become_lines() -> None:
    assert several_lines("a\r\nb\tc\r 50%\r100%\n\x1b[0m\udc80") == "a\nb\tc\n 50%\n100%\n\\x1b[0m\\udc80"


@settings(max_examples=40)
@given(st.dictionaries(st.text(), st.text(), max_size=2))
def test_an_escaped_json_document_is_the_same_and_prints_nothing_raw(document: dict[str, str]) -> None:
    escaped = json_text(json.dumps(document, ensure_ascii=False))
    assert json.loads(escaped) == document
    assert one_line(escaped) == escaped


@settings(max_examples=60)
@given(st.text(alphabet=st.one_of(st.characters(codec="utf-8"), st.sampled_from("\x1b\x07\x9b\r\x7f\u202e"))))
def test_whatever_is_printed_controls_no_terminal(printed: str) -> None:
    raw = io.BytesIO()
    stream = EscapingStream(raw, encoding="utf-8", newline="\n")
    stream.write(printed)
    stream.flush()
    shown = raw.getvalue().decode()
    assert not set(shown) & {chr(code) for code in [*range(9), *range(11, 32), *range(0x7F, 0xA0)]}
    assert one_line(shown) == one_line(printed)


def test_rich_writes_past_the_escapes() -> None:
    raw = io.BytesIO()
    stream = EscapingStream(raw, encoding="utf-8")
    raw_stream(stream).write("\x1b[1m")
    raw_stream(stream).flush()
    assert raw.getvalue() == b"\x1b[1m"


def test_tables_fields_and_json_show_them(capsys: pytest.CaptureFixture[str]) -> None:
    show_table("list", ("name", "metrics"), [[HOSTILE, {HOSTILE: 0.5}]])
    show_fields([("tags", [HOSTILE])])
    show_json({"name": HOSTILE})
    out = capsys.readouterr().out
    assert one_line(out.replace("\n", "")) == out.replace("\n", "")
    assert out.count(SHOWN) == 3
    assert text({"a": HOSTILE}) == f"a={SHOWN}"
