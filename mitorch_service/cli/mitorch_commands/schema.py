"""mitorch schema: the JSON Schema of configs, for editors."""

from __future__ import annotations

import click


@click.command(name="schema")
def command() -> None:
    """Print the JSON Schema of training configs, script configs and job configs.

    An editor that is given it completes keys and marks mistakes, in JSON and in YAML:

    \b
      mitorch schema > mitorch.schema.json
      # the first line of a YAML config:
      # yaml-language-server: $schema=mitorch.schema.json
    """
    from mitorch_service.cli.views.pages.output import show_json
    from mitorch_service.models.config.config_schema import config_schema

    show_json(config_schema())
