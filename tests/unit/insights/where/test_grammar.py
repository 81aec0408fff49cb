"""The grammar of filters: what each form means, that it is written back, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mitorch_service.errors import InvalidFilter
from mitorch_service.insights.where.grammar import MAX_LENGTH, format_where, parse_where
from mitorch_service.insights.where.terms import Operator, PatternTerm, Term, Value, Where

OPERATORS: list[Operator] = [">", ">=", "<", "<="]


def one(*texts: str, operator: Operator = "=") -> tuple[Value, ...]:
    return tuple(Value((text,), operator) for text in texts)


@pytest.mark.parametrize(
    ("text", "term"),
    [
        ("cat", Term(None, one("cat"))),
        ('"two words"', Term(None, one("two words"))),
        (r"two\ words", Term(None, one("two words"))),
        ("-cat", Term(None, one("cat"), negated=True)),
        ('"-cat"', Term(None, one("-cat"))),
        ("cat-dog", Term(None, one("cat-dog"))),
        ("cat*", Term(None, (Value(("cat", "")),))),
        (r"cat\*", Term(None, one("cat*"))),
        ("team=a", Term(None, one("team=a"))),
        ("status:failed", Term("status", one("failed"))),
        ("status:failed,diverged", Term("status", one("failed", "diverged"))),
        ("-status:new", Term("status", one("new"), negated=True)),
        ("dataset:digits:2", Term("dataset", one("digits:2"))),
        ('name:"a, b",c', Term("name", one("a, b", "c"))),
        ('name:""', Term("name", one(""))),
        ("epochs:>=10", Term("epochs", one("10", operator=">="))),
        ("val_loss:<0.3", Term("val_loss", one("0.3", operator="<"))),
        ('name:">x"', Term("name", one(">x"))),
        ("name:cat*dog*", Term("name", (Value(("cat", "dog", "")),))),
        ('"a:b":c', Term("a:b", one("c"))),
        ("/cat|dog/", PatternTerm("cat|dog")),
        ("-/a b/", PatternTerm("a b", negated=True)),
        (r"/a\/b\\/", PatternTerm(r"a/b\\")),
    ],
)
def test_each_form(text: str, term: Term | PatternTerm) -> None:
    assert parse_where(f"  {text}\t") == Where((term,))
    assert parse_where(format_where(Where((term,)))) == Where((term,))


def test_all_terms_are_kept_in_order_with_their_places() -> None:
    where = parse_where('cat  status:new "x y"')
    assert [term.place.word for term in where.terms] == ["cat", "status:new", '"x y"']
    assert [term.place.position for term in where.terms] == [0, 5, 16]
    assert parse_where("") == parse_where(" \n ") == Where()


@pytest.mark.parametrize(
    ("text", "word", "position", "said"),
    [
        ("a status:", "status:", 2, "empty value"),
        ("status:a,,b", "status:a,,b", 0, "empty value"),
        (":x", ":x", 0, "no field before the colon"),
        (">5", ">5", 0, "write FIELD:>VALUE"),
        ('x "a b', '"a b', 2, "closing one"),
        ("a\\", "a\\", 0, "backslash"),
        ("x /data/train", "/data/train", 2, "quotes if it is a name"),
        ("/data", "/data", 0, "regular expression"),
        ("//", "//", 0, "empty regular expression"),
        ("epoch:>1*", "epoch:>1*", 0, "wildcard"),
        ("-", "-", 0, "empty value"),
    ],
)
def test_what_cannot_be_understood_names_the_word_its_place_and_the_remedy(
    text: str, word: str, position: int, said: str
) -> None:
    with pytest.raises(InvalidFilter, match=said) as error:
        parse_where(text)
    assert (error.value.word, error.value.position) == (word, position)
    assert f"character {position + 1}" in str(error.value)


def test_a_filter_is_bounded() -> None:
    for text in ("x" * (MAX_LENGTH + 1), "x " * 51, "name:" + ",".join("x" * 101)):
        with pytest.raises(InvalidFilter, match="at most"):
            parse_where(text)


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
values = st.one_of(
    st.lists(texts, min_size=1, max_size=3).map(lambda parts: Value(tuple(parts))),
    st.builds(lambda text, operator: Value((text,), operator), texts, st.sampled_from(OPERATORS)),
)
words = st.lists(texts, min_size=1, max_size=3).map(lambda parts: (Value(tuple(parts)),))
terms = st.one_of(
    st.builds(Term, st.none(), words, st.booleans()),
    st.builds(Term, texts.filter(bool), st.lists(values, min_size=1, max_size=3).map(tuple), st.booleans()),
    st.builds(PatternTerm, st.from_regex(r"([^\\/]|\\[^/]){1,8}", fullmatch=True), st.booleans()),
)


@given(st.lists(terms, max_size=4).map(lambda terms: Where(tuple(terms))))
@example(Where((Term(None, (Value(("", "")),)),)))
def test_what_is_written_reads_the_same(where: Where) -> None:
    assert parse_where(format_where(where)) == where


@given(st.text(st.sampled_from('ab \t":,*-/\\<>=1'), max_size=12))
def test_any_text_is_read_or_refused_and_then_stays_the_same(text: str) -> None:
    try:
        where = parse_where(text)
    except InvalidFilter:
        return
    assert parse_where(format_where(where)) == where
