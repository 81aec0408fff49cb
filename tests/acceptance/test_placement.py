"""Fair share, replay and drill by the real commands, and the blocks of docs/placement.md."""

from __future__ import annotations

import json
import shlex

from tests.acceptance.conftest import Machine
from tests.acceptance.test_documents import shell
from tests.documents import block

DRILLED = """
import json, pathlib, time, mitorch_service as m
earlier = m.last_checkpoint()
for epoch in range(1 if earlier is None else json.loads(earlier.read_text()) + 1, 6):
    time.sleep(0.25)
    m.report(epoch=epoch, train_loss=1 / epoch)
    pathlib.Path("state.json").write_text(json.dumps(epoch))
    m.checkpoint("state.json")
"""


def test_a_share_is_shown_and_told(bare_machine: Machine) -> None:
    policy = {"MITORCH_PLACEMENT": '{"fair_share": {"by": "team"}}'}
    bare_machine.write("script.json", {"script": {"command": "true"}})
    for team in ("vision", "speech"):
        id = bare_machine.ok("submit", "script.json", "--tag", f"team={team}")
    shown = bare_machine.run("control", "status", **policy).out
    assert "fair share by team" in shown
    rows = [line.split() for line in shown.splitlines() if line.startswith(("vision", "speech"))]
    assert rows == [[team, "1", "50%", "0%", "0.0", "0"] for team in ("speech", "vision")]
    why = bare_machine.run("query", id, "--why", "--json", **policy).json
    assert any("team speech: your share is 50% (weight 1), you have used 0%" in one for one in why["reasons"])
    wrong = bare_machine.run("control", MITORCH_PLACEMENT='{"fair_share": {"by": "tem"}}')
    assert wrong.code in (1, 2)
    assert "fair_share.by: must be 'user' or 'team' (it is 'tem')" in wrong.err


def test_the_document(bare_machine: Machine) -> None:
    work = [{"submitted": n, "seconds": 60, "user": "ab"[n % 2], "nodes": 1 + n % 3 // 2} for n in range(20)]
    bare_machine.write("workload.jsonl", "".join(json.dumps(one) + "\n" for one in work))
    bare_machine.write("clusters.json", [{"name": "lab", "nodes": 3, "price": 1.0}])
    assert "fair share by team" in shell(
        bare_machine, block("docs/placement.md", "export MITORCH_PLACEMENT"), bare_machine.folder
    )
    first, second = block("docs/placement.md", "micontrol replay").split("micontrol replay --from-")
    out = shell(bare_machine, first, bare_machine.folder)
    assert "20 trainings on 3 nodes" in out
    assert (bare_machine.folder / "replay.svg").read_text().startswith("<svg")
    nothing = bare_machine.run("control", "replay", "--from-history", *shlex.split(second.removeprefix("history ")))
    assert nothing.code == 2
    assert "nothing has ended since then" in nothing.err


def test_replay_says_what_is_wrong(bare_machine: Machine) -> None:
    for arguments, problem in (
        ((), "Give --workload FILE or --from-history."),
        (("--workload", "w.jsonl", "--since", "3d"), "--since belongs to --from-history."),
        (("--workload", "w.jsonl", "--policy", "{}}"), "--policy: is not JSON"),
        (("--workload", "w.jsonl", "--clusters", '[{"name": "a"}]'), "0.nodes: is required"),
        (("--workload", "w.jsonl", "--gantt", "no/such/folder.svg"), "cannot be written: No such file or directory"),
        (("--workload", "w.jsonl", "--gantt", "plan.png"), "plan.png does not end in .svg, the only format"),
    ):
        bare_machine.write("w.jsonl", '{"submitted": 0, "seconds": 1}')
        answer = bare_machine.run("control", "replay", *arguments)
        assert answer.code in (1, 2)
        assert problem in answer.err, answer


def test_a_drill_evicts_a_run_which_resumes_with_the_same_curve(bare_machine: Machine) -> None:
    bare_machine.write("code.py", DRILLED)
    script = {"script": {"command": "python code.py", "source": "code.py"}, "max_epochs": 5}
    bare_machine.write("drilled.json", script)
    answer = bare_machine.run("control", "drill", "local", "--config", "drilled.json", "--after", "2", "--json")
    assert answer.code == 0, answer
    report = answer.json
    assert report["passed"]
    assert report["outcomes"] == ["lost", "completed"]
    assert report["first_new_epoch"] >= 3
    assert report["lost"] > 0
    unknown = bare_machine.run("control", "drill", "nowhere")
    assert unknown.code == 2
    assert "'nowhere' is not known; known: local" in unknown.err
