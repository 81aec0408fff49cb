"""Names by which a file would be written elsewhere, or that no file can have."""

from __future__ import annotations

HOSTILE_NAMES = (
    *("..", "../x", "a/../../../x", "/etc/x", "//x", "~", "~/x", "~root/x", "./../x", ".../x", "..././../x", "....//x"),
    *("C:\\x", "C:/x", "C:x", "\\\\h\\s\\x", "..\\..\\x", "NUL", "CON.txt", "COM1", "x. ", "x.", " ", "%2e%2e/x"),
    *("a\0b", "n" * 5000, "a/" * 2500 + "x", "-rf", "\u202ex", "a\nb"),
)

# Names that a line, a table, a spreadsheet or a terminal would take for something else, beside those above.
HOSTILE_CELLS = (
    *("=1+1", "+1", "-1", "@x", '=HYPERLINK("http://x")', "\t=1", "\r=1", "'=1", "|x", "%x", ";x", "#x", "//x", "1"),
    *("a,b", 'a"b', '"', '""', 'a,"b"\nc', "a\rb", "a\r\nb", "\n", "a\tb", " x", "x ", "\ufeffx", "null", "[x]", "{x}"),
    *(
        "\x1b[31mx",
        "\x9b2J",
        "a\x85b",
        "a\x0bb",
        "a\x1cb",
        "\x7f",
        "a\u2028b",
        "a\u2029b",
        "\u2066x",
        "\uffff",
        "\ud800",
    ),
)
