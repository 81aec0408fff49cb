"""`python -m tests.azureml_emulator --folder DIR`: prints its addresses as one line of JSON and serves until its
standard input ends, or it is told to."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from pathlib import Path
from types import FrameType

from tests.azureml_emulator.control import Commands, ControlServer
from tests.azureml_emulator.nodes import Scheduler
from tests.azureml_emulator.proxy import Proxy
from tests.azureml_emulator.service import Service
from tests.azureml_emulator.state import Azure
from tests.azureml_emulator.tls import Authority
from tests.azureml_emulator.traffic import Traffic


def main() -> None:
    """Serves."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, required=True)
    folder = parser.parse_args().folder.resolve()
    azure = Azure(folder)
    service = Service(azure, Traffic(folder / "traffic.jsonl"))
    authority = Authority(folder / "certificates")
    proxy = Proxy(service, authority)
    azure.proxy_environment = job_environment(proxy.url, authority.ca_path, folder)
    scheduler = Scheduler(azure)
    scheduler.start()
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    control = ControlServer(Commands(azure, service.faults)).start()
    azure.identity_endpoint = f"{control}/msi/token"
    print(json.dumps({"proxy": proxy.url, "control": control, "ca": str(authority.ca_path)}), flush=True)
    signal.signal(signal.SIGTERM, _stop)
    try:
        sys.stdin.read()
    finally:
        scheduler.close()


def job_environment(proxy: str, ca_path: Path, folder: Path) -> dict[str, str]:
    """Returns the environment that directs an unmodified SDK here and keeps Python from connecting anywhere else."""
    local = "127.0.0.1,localhost"
    addresses = {"HTTPS_PROXY": proxy, "HTTP_PROXY": proxy, "NO_PROXY": local}
    lower = {name.lower(): value for name, value in addresses.items()}
    trust = {"REQUESTS_CA_BUNDLE": str(ca_path), "SSL_CERT_FILE": str(ca_path)}
    guard = {
        "PYTHONPATH": str(Path(__file__).parent / "guard"),
        "EMULATOR_LEFT_LOOPBACK": str(folder / "left_loopback.txt"),
    }
    return {**addresses, **lower, **trust, **guard}


def _stop(number: int, frame: FrameType | None) -> None:
    raise SystemExit(0)


if __name__ == "__main__":
    main()
