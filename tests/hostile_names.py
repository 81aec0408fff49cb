"""Names by which a file would be written elsewhere, or that no file can have."""

from __future__ import annotations

HOSTILE_NAMES = (
    *("..", "../x", "a/../../../x", "/etc/x", "//x", "~", "~/x", "~root/x", "./../x", ".../x", "..././../x", "....//x"),
    *("C:\\x", "C:/x", "C:x", "\\\\h\\s\\x", "..\\..\\x", "NUL", "CON.txt", "COM1", "x. ", "x.", " ", "%2e%2e/x"),
    *("a\0b", "n" * 5000, "a/" * 2500 + "x", "-rf", "\u202ex", "a\nb"),
)
