"""Run the local cloud in the foreground: `python -m local_cloud --port 4566 --state build/cloud`.

Start it through `local_cloud.launcher`, which gives it a scrubbed environment, and a pipe as
standard input: when that closes, whatever ended the launcher's process, the local cloud ends.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

HOST = "127.0.0.1"
ACCOUNT = "000000000000"
REGION = "us-east-1"
LAST_WORDS_S = 15  # for an orderly end without a launcher that waits for it


def main() -> None:
    """Set what ministack reads at import, then serve until SIGTERM, SIGINT or the end of input."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--state", type=Path, required=True)
    options = parser.parse_args()
    url = f"http://{HOST}:{options.port}"
    os.environ.update(
        AUTH="true",
        BIND_HOST=HOST,
        GATEWAY_PORT=str(options.port),
        MINISTACK_HOST="localhost",
        MINISTACK_ACCOUNT_ID=ACCOUNT,
        MINISTACK_REGION=REGION,
        IOT_MTLS_ENABLED="0",
        SFTP_ENABLED="0",
        AWS_ENDPOINT_URL=url,
        LOCAL_CLOUD_STATE=str(options.state.resolve()),
    )
    options.state.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(level=os.environ.get("LOG_LEVEL", "INFO"))
    asyncio.run(_serve(options.port))


async def _serve(port: int) -> None:
    from hypercorn.asyncio import serve
    from hypercorn.config import Config

    from local_cloud.server import LocalCloud

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    ask = [lambda: loop.call_soon_threadsafe(stop.set)]
    threading.Thread(target=_end_with_the_launcher, args=ask, daemon=True).start()
    config = Config()
    config.bind = [f"{HOST}:{port}"]
    config.keep_alive_timeout = 75
    config.graceful_timeout = 2
    config.accesslog = None
    await serve(LocalCloud(), config, shutdown_trigger=stop.wait, mode="asgi")  # type: ignore[arg-type]


def _end_with_the_launcher(stop: Callable[[], object]) -> None:
    while os.read(0, 64):
        pass
    stop()
    time.sleep(LAST_WORDS_S)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
