"""Numbers on the command line, within a range; click's own types call themselves 'integer range'."""

from __future__ import annotations

import click


class WholeNumber(click.IntRange):
    """A whole number, of a range."""

    name = "whole number"


class Number(click.FloatRange):
    """A number, of a range."""

    name = "number"
