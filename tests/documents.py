"""The documents of the repository: their blocks of code, their links, and what runs each block."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
DOCUMENTS = (
    README,
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    ROOT / "scripts" / "samples" / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
)
README_WORDS = 900  # of the README

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_SPAN = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_DOCUMENTS_TEST = "tests/acceptance/test_documents.py"
_SETS_TEST = "tests/acceptance/test_azureml_datasets.py"
_MITORCH_TEST = "tests/acceptance/test_mitorch_page.py"
_AZURE_TEST = "tests/acceptance/test_documents_azure.py"

# Every block of commands, by document and first line, and what runs it: FILE::TEST, or why nothing does.
COMMANDS = {
    ("README.md", "scripts/quickstart"): f"{_DOCUMENTS_TEST}::test_the_two_commands_are_run_by_ci",
    ("README.md", "source .venv/bin/activate"): f"{_DOCUMENTS_TEST}::test_the_first_real_use",
    ("README.md", "mitrain training.json pictures/train"): f"{_DOCUMENTS_TEST}::test_the_first_use_without_the_service",
    ("scripts/samples/README.md", "source .venv/bin/activate"): f"{_DOCUMENTS_TEST}::test_the_tour",
    ("scripts/samples/README.md", "data=~/.mitorch"): f"{_DOCUMENTS_TEST}::test_training_without_the_service",
    ("README.md", "import mitorch_service"): f"{_DOCUMENTS_TEST}::test_the_first_use_without_the_service",
    ("docs/predict.md", "mipredict pictures.pth"): f"{_DOCUMENTS_TEST}::test_the_first_use_without_the_service",
    ("docs/predict.md", "import mitorch_service"): f"{_DOCUMENTS_TEST}::test_the_first_use_without_the_service",
    ("docs/data.md", "mitorch init"): f"{_DOCUMENTS_TEST}::test_a_folder_of_images",
    ("docs/data.md", "midataset register"): f"{_DOCUMENTS_TEST}::test_data_sets",
    ("docs/data.md", "midataset cvat"): "tests/acceptance/test_cvat.py::test_the_commands_of_the_document",
    ("docs/data.md", "midataset export"): f"{_DOCUMENTS_TEST}::test_exports",
    ("docs/splits.md", "midataset split"): f"{_DOCUMENTS_TEST}::test_splits_and_leaks",
    ("docs/config.md", "mitrain --list-models"): f"{_DOCUMENTS_TEST}::test_models_and_augmentation",
    ("docs/config.md", "misubmit --many"): f"{_DOCUMENTS_TEST}::test_many_at_once",
    ("docs/queries.md", "miquery --where"): f"{_DOCUMENTS_TEST}::test_tables",
    ("docs/search.md", "misubmit --explain"): f"{_DOCUMENTS_TEST}::test_a_search",
    ("docs/scripts.md", "misubmit scripts/samples/own_script.json"): f"{_DOCUMENTS_TEST}::test_a_program_of_ones_own",
    ("docs/scripts.md", "import mitorch_service"): f"{_DOCUMENTS_TEST}::test_calls_of_a_program_by_hand",
    ("docs/client.md", "from mitorch_service import Client"): f"{_DOCUMENTS_TEST}::test_the_python_client",
    ("docs/optuna.md", "def objective(trial)"): f"{_DOCUMENTS_TEST}::test_a_study_of_optuna",
    ("docs/optuna.md", "python -m mitorch_service.optuna_storage.cli"): f"{_DOCUMENTS_TEST}::test_a_study_of_optuna",
    ("docs/optuna.md", "study = optuna.load_study"): f"{_DOCUMENTS_TEST}::test_a_search",
    ("docs/import.md", "mitorch import"): "tests/acceptance/test_import.py::test_the_commands_of_the_document",
    ("docs/obdb.md", "export MITORCH_OBDB_URI"): "tests/acceptance/test_obdb.py::test_the_commands_of_the_document",
    ("docs/azureml_datasets.md", "midataset register --azureml"): f"{_SETS_TEST}::test_the_commands_of_the_document",
    ("docs/azureml_datasets.md", "import mitorch_service"): f"{_SETS_TEST}::test_a_script_on_pairs_of_sets",
    ("docs/mitorch.md", "export MITORCH_AZURE"): f"{_MITORCH_TEST}::test_the_five_variables",
    ("docs/mitorch.md", "from datetime"): f"{_MITORCH_TEST}::test_a_document_of_another_program",
    ("docs/exp_config.md", "misubmit exp_config.json"): (
        "tests/acceptance/test_exp_config.py::test_the_commands_of_the_document"
    ),
    ("docs/vott.md", "printf 'AZURE"): "tests/acceptance/test_vott.py::test_the_commands_of_the_document",
    ("docs/operations.md", "export MITORCH_DB_URI"): f"{_DOCUMENTS_TEST}::test_going_to_mongodb",
    ("docs/operations.md", "backup="): f"{_DOCUMENTS_TEST}::test_a_backup",
    ("docs/operations.md", "micontrol prune"): f"{_DOCUMENTS_TEST}::test_pruning",
    ("docs/placement.md", "export MITORCH_PLACEMENT"): "tests/acceptance/test_placement.py::test_the_document",
    ("docs/placement.md", "micontrol replay"): "tests/acceptance/test_placement.py::test_the_document",
    ("docs/notifications.md", "export MITORCH_WEBHOOK_SECRET"): f"{_DOCUMENTS_TEST}::test_webhooks",
    ("docs/notifications.md", "import base64"): f"{_DOCUMENTS_TEST}::test_webhooks",
    ("docs/simulation.md", "scripts/simulate"): "tests/simulation/test_simulate.py::test_the_commands_of_the_document",
    ("docs/chaos.md", "scripts/chaos"): "takes minutes; CI runs a short form of both, see tests/chaos/test_chaos.py",
    ("docs/azure.md", "scripts/venv azure"): f"{_AZURE_TEST}::test_the_deployment",
    ("docs/azure.md", "source .venv/bin/activate"): f"{_AZURE_TEST}::test_ones_own_machine",
    ("docs/slurm.md", "export MITORCH_CLUSTERS"): "tests/acceptance/test_slurm.py::test_the_commands_of_the_document",
    ("CONTRIBUTING.md", "scripts/check"): "the gate, which runs this test; scripts/format changes files",
    ("CONTRIBUTING.md", "scripts/lock"): "takes minutes, and gigabytes for scripts/newest",
    (
        "CONTRIBUTING.md",
        "python -m pip wheel",
    ): "a release is made by hand; see tests/unit/docs/test_packaging.py",
}


@dataclass(frozen=True)
class Block:
    """A fenced block of code."""

    document: str  # its path from the root
    language: str
    text: str

    @property
    def label(self) -> str:
        return f"{self.document}: {self.text.splitlines()[0]}"

    def begins(self, words: str) -> bool:
        """Whether one of its lines does: the first with a command or statement of its own."""
        return any(line.startswith(words) for line in self.text.splitlines())


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def blocks(*languages: str) -> Iterator[Block]:
    """All fenced blocks in these languages, document by document."""
    for path in DOCUMENTS:
        for language, text in _FENCE.findall(path.read_text("utf-8")):
            if language in languages:
                yield Block(name_of(path), language, text)


def block(document: str, words: str) -> str:
    """The text of the one block of the document that has a line beginning with these words."""
    (found,) = (b for b in blocks("bash", "python", "json") if b.document == document and b.begins(words))
    return found.text


def prose(path: Path) -> str:
    """The document without its fenced blocks."""
    return _FENCE.sub("", path.read_text("utf-8"))


def spans(path: Path) -> list[str]:
    """The words between single backquotes."""
    return _SPAN.findall(prose(path))


def links(path: Path) -> list[str]:
    """The targets of all links and pictures."""
    return _LINK.findall(prose(path))


def anchors(path: Path) -> set[str]:
    """The anchors of the headings, as GitHub makes them."""
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in _HEADING.findall(prose(path))}
