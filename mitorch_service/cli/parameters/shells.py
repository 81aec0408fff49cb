"""The shells that complete lines: click's, which lose values with blanks, colons and commas and those behind ``=``."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any

import click
from click import shell_completion
from click.shell_completion import CompletionItem, split_arg_string

_SPECIAL = re.compile(r"([^\w@%+=:,./-])")  # signs of the shell
_BEHIND_BACKSLASH = r"\\\1"
_MINUS = re.compile(r"-(?!-)")
_OPTION_VALUE = re.compile(r"--?[\w-]+=")

_BASH = """\
%(complete_func)s() {
    local type value response
    response=$(env COMP_WORDS="${COMP_LINE:0:$COMP_POINT}" COMP_WORDBREAKS="$COMP_WORDBREAKS" \\
        %(complete_var)s=bash_complete "$1")
    COMPREPLY=()
    while IFS=, read -r type value; do
        case $type in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            plain) COMPREPLY+=("$value") ;;
        esac
    done <<< "$response"
    [[ ${COMPREPLY[0]} == *: ]] && compopt -o nospace
    return 0
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""


def register() -> None:
    """Has click use these."""
    for shell in (BashComplete, ZshComplete, FishComplete):
        shell_completion.add_completion_class(shell)


class _MinusValues(shell_completion.ShellComplete):
    """Completes an option's value that begins with a minus, such as that of `--sort -created`, as a value; click takes
    it for the beginning of an option."""

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem[str]]:
        written = _OPTION_VALUE.match(incomplete)
        name = written[0][:-1] if written else "".join(args[-1:])
        value = incomplete[written.end() :] if written else incomplete
        if _MINUS.match(value) and "--" not in args:
            context = shell_completion._resolve_context(self.cli, self.ctx_args, self.prog_name, args)
            for option in context.command.get_params(context):
                if isinstance(option, click.Option) and name in option.opts and not (option.is_flag or option.count):
                    return option.shell_complete(context, value)
        return super().get_completions(args, incomplete)


class BashComplete(_MinusValues, shell_completion.BashComplete):
    """Gets the line, as bash breaks words at colons and equals signs; offers the rest of such a word, with blanks and
    other signs of the shell behind a backslash."""

    source_template = _BASH

    def get_completion_args(self) -> tuple[list[str], str]:
        line = os.environ["COMP_WORDS"]
        self._word, self._quote = last_word(line)
        before = line[: len(line) - len(self._word)]
        return split_arg_string(before)[1:], "".join(split_arg_string(self._word))

    def format_completion(self, item: CompletionItem[Any]) -> str:
        known = "".join(split_arg_string(_before_break(_value_of(self._word))))
        rest = str(item.value)[len(known) :]
        return f"{item.type},{rest if self._quote else _SPECIAL.sub(_BEHIND_BACKSLASH, rest)}"


class _WholeWord(_MinusValues):
    """For shells that replace the whole word ``--option=value``."""

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem[str]]:
        found = super().get_completions(args, incomplete)
        if option := _OPTION_VALUE.match(incomplete):
            return [CompletionItem(option[0] + one.value, one.type, one.help) for one in found]
        return found


class ZshComplete(_WholeWord, shell_completion.ZshComplete):
    pass


class FishComplete(_WholeWord, shell_completion.FishComplete):
    source_template = shell_completion.FishComplete.source_template.replace(
        'string split "," $completion', 'string split --max 1 "," -- $completion'
    )


def last_word(line: str) -> tuple[str, str]:
    """The word at the end of a line, as it is written, and the quote that is open in it, empty if none is."""
    word, quote = "", ""
    for sign, open_quote, plain in _signs(line):
        word = "" if plain and sign.isspace() else word + sign
        quote = open_quote
    return word, quote


def _value_of(word: str) -> str:
    """The part of the word behind an option's equals sign; the word if it is no such."""
    option = _OPTION_VALUE.match(word)
    return word[option.end() :] if option else word


def _before_break(value: str) -> str:
    """The part of a value, as it is written, that bash takes for words of their own."""
    breaks = set(":=") & set(os.environ.get("COMP_WORDBREAKS", ":="))
    ends = [end for end, (sign, _, plain) in enumerate(_signs(value), start=1) if plain and sign in breaks]
    return value[: ends[-1]] if ends else ""


def _signs(text: str) -> Iterator[tuple[str, str, bool]]:
    """Each sign, the quote that is open behind it, and whether it stands in none and behind no backslash."""
    quote, escaped = "", False
    for sign in text:
        plain = not quote and not escaped
        if escaped:
            escaped = False
        elif sign == "\\" and quote != "'":
            escaped = True
        elif sign == quote:
            quote = ""
        elif plain and sign in "'\"":
            quote = sign
        yield sign, quote, plain
