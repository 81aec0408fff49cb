"""mitest: evaluate weights on a data set."""

from __future__ import annotations

from pathlib import Path

import click

from mitorch_service.cli.parameters.parameter_types import DataPath, FilePath


@click.command(name="mitest")
@click.argument("config", type=FilePath(dir_okay=False, allow_dash=True))
@click.argument("data", nargs=-1, required=True, type=DataPath(path_type=Path), metavar="[TRAIN] DATA")
@click.option(
    "-w",
    "--weights",
    type=FilePath(dir_okay=False, path_type=Path),
    required=True,
    help="The file that mitrain -o or a training of the service wrote.",
)
@click.option(
    "-t",
    "--train",
    type=DataPath(path_type=Path),
    help="The training's data set, as which the classes of DATA are numbered.",
)
@click.option("-d", "--debug-run", is_flag=True, help="One batch only.")
@click.option(
    "--plots", type=FilePath(file_okay=False, path_type=Path), help="Draw charts, and the worst mistakes, here."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(
    config: str,
    data: tuple[Path, ...],
    weights: Path,
    train: Path | None,
    debug_run: bool,
    plots: Path | None,
    as_json: bool,
) -> None:
    """Evaluate WEIGHTS of the config in the file CONFIG (- for standard input) on the data set DATA.

    The weights know their classes, which DATA's are matched with by name. Weights of other programs do not: TRAIN (or
    --train) is the data set that they were trained on, whose classes DATA's are then matched with. With it, further
    figures (clean_…) leave out images of DATA that are in it, too.
    """
    from mitorch_service.cli.parameters.config_file import read_training_config
    from mitorch_service.cli.views.pages.output import show_json
    from mitorch_service.cli.views.training_progress import PlainReporter, show_evaluation
    from mitorch_service.training.data.splits import read_split
    from mitorch_service.training.torch_imports import heavy_imports

    train, val = _train_and_val(data, train)
    checked = read_training_config(config)
    trained_on = read_split(train) if train is not None else None
    image_list = read_split(val, train=trained_on, split="val", by_name=True)

    with heavy_imports():
        from mitorch_service.training.loop.clean_evaluation import clean_figures, evaluate_clean
        from mitorch_service.training.loop.evaluation import evaluate, figures_of_test

    evaluation = figures_of_test(
        evaluate(checked, image_list, weights, reporter=PlainReporter(), fast_dev_run=debug_run, plots=plots)
    )
    if trained_on is not None and not debug_run:
        clean = evaluate_clean(checked, image_list, trained_on, weights, reporter=PlainReporter())
        evaluation |= clean_figures(figures_of_test(clean))
    if as_json:
        show_json(evaluation)
    else:
        show_evaluation(evaluation)
        _show_classes(plots)


def _train_and_val(data: tuple[Path, ...], train: Path | None) -> tuple[Path | None, Path]:
    """Takes the original MiTorch's form, ``CONFIG TRAIN VAL``, beside the short one."""
    if len(data) > 2:
        raise click.UsageError(f"mitest takes CONFIG, TRAIN and DATA: {str(data[2])!r} is one too many")
    if len(data) == 2 and train is not None:
        raise click.UsageError(f"TRAIN is given twice, as {str(data[0])!r} and by --train: leave out one")
    return (data[0] if len(data) == 2 else train), data[-1]


def _show_classes(plots: Path | None) -> None:
    """Prints the figures of each class, which are a file beside the pictures."""
    import csv

    from mitorch_service.cli.views.pages.output import show_table

    if plots is None or not (table := plots / "per_class.csv").exists():
        return
    with table.open(newline="", encoding="utf-8") as file:
        columns, *rows = csv.reader(file)
    show_table("classes", columns, rows)
    click.echo(f"plots  {plots}")
