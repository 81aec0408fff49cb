"""Serves the gateway on a loopback port: python -m mongodb_gateway --socket-dir DIR --port N."""

import argparse
import asyncio

from .engine import Engine
from .gateway import serve


def main() -> None:
    """Read the command line and serve until killed."""
    parser = argparse.ArgumentParser(prog="mongodb_gateway", description=__doc__)
    parser.add_argument("--socket-dir", required=True, help="folder of PostgreSQL's unix socket")
    parser.add_argument("--port", type=int, required=True, help="loopback port to listen on")
    arguments = parser.parse_args()
    asyncio.run(serve(Engine(arguments.socket_dir), arguments.port))


if __name__ == "__main__":
    main()
