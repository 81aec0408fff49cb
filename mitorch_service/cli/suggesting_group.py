"""A group of commands that names the nearest one to a mistyped command."""

from __future__ import annotations

import click


class SuggestingGroup(click.Group):
    """A group whose error for an unknown command says which one was perhaps meant, here or in another program."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name.startswith("-") or ctx.resilient_parsing or self.get_command(ctx, name) is not None:
            return super().resolve_command(ctx, args)
        raise click.UsageError(f"No such command {name!r}.{self._hint(ctx, name)}", ctx)

    def _hint(self, ctx: click.Context, name: str) -> str:
        from difflib import get_close_matches

        from mitorch_service.cli.main import whole_names

        here = self.list_commands(ctx)
        elsewhere = whole_names()
        near = get_close_matches(name, [*here, *elsewhere], n=1)
        if not near:
            return f" Commands: {', '.join(here)}."
        return f" Did you mean {near[0] if near[0] in here else elsewhere[near[0]]!r}?"
