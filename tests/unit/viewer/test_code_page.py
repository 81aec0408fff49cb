"""The pages of a training's code and of what changed since earlier trainings."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from mitorch_service.artifacts.folder import FolderArtifactStore
from mitorch_service.models.base import new_id
from mitorch_service.models.config.script import CodeRecord, GitRecord
from mitorch_service.viewer.access.sharing import make_share
from tests.code_archives import pack_files, store_archive
from tests.samples import a_training
from tests.served import NOW, TOKEN, Served, served

HOSTILE = "<script>alert(1)</script>"
PATCH = f"diff --git a/train.py b/train.py\n@@ -1 +1 @@\n-{HOSTILE}\n+token = 1"


def script(code: CodeRecord, rate: float, **more: object) -> dict[str, Any]:
    """The config of a script with this code."""
    return {
        "script": {"command": ["python", "train.py"], "source": "src", "code": code.model_dump(mode="json")},
        "parameters": {"rate": rate},
        **more,
    }


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, list[str]]]:
    """A script that was submitted three times with one name, each time with other code, the last without its
    archive."""
    folder: Path = tmp_path_factory.mktemp("code")
    with served(folder, trainings=0, trials=0) as service:
        artifacts = FolderArtifactStore(service.settings.home / "artifacts")
        texts = (f"import os\n{HOSTILE}\n", "import sys\n")
        codes = [
            store_archive(artifacts, folder, pack_files({"src/train.py": text.encode(), "w.bin": b"\0"}))
            for text in texts
        ]
        gone = codes[0].model_copy(update={"archive": f"code/{'0' * 64}.tar.gz"})
        git = GitRecord(commit="c0ffee" * 6, branch="main", diff=PATCH)
        codes = [codes[0], codes[1].model_copy(update={"git": git}), gone]
        ids = [new_id() for _ in codes]
        for number, (id, code) in enumerate(zip(ids, codes, strict=True)):
            at = NOW - timedelta(hours=3 - number)
            config = script(code, 0.1 * (number + 1), **({"base": ids[0]} if number == 2 else {}))
            training = a_training(id=id, name="the script", config=config, created_at=at, arrival=number + 1)
            service.store.queue.add_trainings([training])
        yield service, ids


def test_the_page_lists_the_files_and_the_patch(three: tuple[Served, list[str]]) -> None:
    service, ids = three
    page = service.client().get(f"/trainings/{ids[1]}/code").text
    assert "src/train.py" in page and "w.bin" in page and "c0ffeec0ffee" in page
    assert '<span class="removed">-&lt;script&gt;' in page and HOSTILE not in page
    card = service.client().get(f"/trainings/{ids[1]}").text
    assert f'data-code="/trainings/{ids[1]}/code"' in card


def test_a_file_is_text_and_never_a_page(three: tuple[Served, list[str]]) -> None:
    service, ids = three
    page = service.client().get(f"/trainings/{ids[0]}/code?file=src/train.py").text
    assert "&lt;script&gt;alert(1)" in page and HOSTILE not in page
    answer = service.client().get(f"/api/trainings/{ids[0]}/code/src/train.py")
    assert answer.text.startswith("import os") and answer.headers["content-type"].startswith("text/plain")
    assert (
        answer.headers["content-disposition"] == "attachment" and "sandbox" in answer.headers["content-security-policy"]
    )
    assert "The file is no text" in service.client().get(f"/trainings/{ids[0]}/code?file=w.bin").text
    assert service.client().get(f"/api/trainings/{ids[0]}/code/nothing").status_code == 404


def test_changes_since_another_training(three: tuple[Served, list[str]]) -> None:
    service, ids = three
    client = service.client()
    page = client.get(f"/trainings/{ids[1]}/code?with={ids[0][:13]}").text
    assert '<span class="added">+import sys' in page and '<span class="removed">-import os' in page
    (change,) = client.get(f"/api/trainings/{ids[1]}/code-changes?with={ids[0]}").json()
    assert (change["name"], change["kind"]) == ("src/train.py", "changed")
    assert "There is no training" in client.get(f"/trainings/{ids[1]}/code?with=ffffffff").text
    assert "It may have been pruned" in client.get(f"/trainings/{ids[2]}/code").text


def test_settings_that_changed_are_on_the_training_page(three: tuple[Served, list[str]]) -> None:
    service, ids = three
    page = service.client().get(f"/trainings/{ids[1]}").text
    settings = page[page.index("Settings that changed") : page.index('id="config"')]
    assert "since the one before it of the same name:" in settings
    assert "parameters.rate" in settings and "script.command" not in settings and "its code, too" in settings
    assert "Settings that changed" not in service.client().get(f"/trainings/{ids[0]}").text


def test_a_shared_page_opens_no_other_training(three: tuple[Served, list[str]]) -> None:
    service, ids = three
    share = make_share(f"training/{ids[1]}", timedelta(days=1), NOW)
    client = service.client({})
    client.get(f"/share/{share.text(TOKEN)}")
    assert "Settings that changed" not in client.get(f"/trainings/{ids[1]}").text
    page = client.get(f"/trainings/{ids[1]}/code")
    assert page.status_code == 200 and ids[0] not in page.text
    assert client.get(f"/trainings/{ids[1]}/code?file=src/train.py").status_code == 200
    assert client.get(f"/trainings/{ids[1]}/code?with={ids[0]}").status_code == 401
    assert client.get(f"/api/trainings/{ids[1]}/code-changes?with={ids[0]}").status_code == 401
