"""Damages bytes as disks, people and attackers do."""

from __future__ import annotations

from hypothesis import strategies as st

TOKENS = (
    *("\0", "9" * 400, "-" + "9" * 5000, "1e999", "nan", "-0", "²", "٣", "\x1b]0;x\a", "é" * 200, "n" * 300, "\ufeff"),
    *("/dev/zero", "../", "@", ".zip@", '"', "'", ",", "\n", "\r", "\t", " ", "[", "{", "}", "]", "(" * 300, "null"),
    *("true", "<", "&#0;", "<?xml version='1.0' encoding='utf-7'?>", "\\ud800", '"\\ud800"', "1e400", "-1", "0", ":"),
)
BYTES = st.one_of(st.sampled_from([token.encode() for token in TOKENS]), st.binary(min_size=1, max_size=3))
Damage = tuple[float, float, bytes]  # the beginning and length of what is replaced, as shares of the file; by what
DAMAGES = st.lists(st.tuples(st.floats(0, 1), st.sampled_from([0.0, 0.0, 0.02, 0.1, 1.0]), BYTES), max_size=3)
MORE_TOKENS = (
    *("[" * 2000, '{"a":' * 2000, '{"$where": "1"}', '{"$ne": null}', "$", ".", "a.b", "\\u0000", "Infinity", "NaN"),
    *(
        "..\\\\",
        "C:\\\\",
        "/etc/passwd",
        "CON",
        "\u202e",
        "\x9b31m",
        "=1+1",
        "&a [*a, *a]",
        "<<: *a",
        "!!python/x",
        "{}",
    ),
    *(
        "false",
        "[]",
        '""',
        "1" * 18,
        "1e-400",
        "0x1",
        "1_0",
        "|",
        ";",
        "=",
        "%00",
        "%2e%2e%2f",
        "#",
        "\u2028",
        "\udcff",
    ),
)
WORDS = tuple(token.encode("utf-8", "surrogateescape") for token in (*TOKENS, *MORE_TOKENS))


def damaged(content: bytes, damages: list[Damage]) -> bytes:
    """Returns the content with each part replaced, one after the other."""
    for place, length, replacement in damages:
        start = int(place * len(content))
        content = content[:start] + replacement + content[start + int(length * len(content)) :]
    return content
