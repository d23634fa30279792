"""AWS clients: made on first use, one per service, kept while the function stays warm.

botocore itself and not boto3, no garbage collection meanwhile, and of the services' models only
what we call (scripts/slice_models.py): this is most of a cold start.
"""

import gc

gc.disable()  # importing makes objects that stay; looking for garbage among them finds none

from functools import cache  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import botocore.session  # noqa: E402
from botocore.config import Config  # noqa: E402
from botocore.loaders import Loader  # noqa: E402

gc.freeze()
gc.enable()

MODELS = Path(__file__).parent / "models"
SERVICES = [folder.name for folder in MODELS.iterdir() if folder.is_dir()]


class _OurServices(Loader):
    """Knows our services by name, where botocore would walk some 900 folders to list them all.

    What is not among our models, such as the rules of endpoints, is botocore's own.
    """

    def list_available_services(self, type_name: str) -> list[str]:
        return SERVICES

    def is_builtin_path(self, path: str) -> bool:
        return True  # ours are cut from botocore's own; endpoints of a user's would win over rules


@cache
def _session() -> botocore.session.Session:
    session = botocore.session.get_session()
    session.register_component("data_loader", _OurServices([str(MODELS)]))
    return session


def config(connect_s: float = 3, read_s: float = 10, attempts: int = 3) -> Config:
    """Say how long a call may take: attempts * (connect_s + read_s) must fit the function."""
    return Config(
        connect_timeout=connect_s,
        read_timeout=read_s,
        retries={"mode": "standard", "total_max_attempts": attempts},
    )


@cache
def client(service: str, settings: Config | None = None) -> Any:
    """Return the warm client of a service, with the function's own role."""
    gc.disable()
    try:
        return _session().create_client(service, config=settings or config())
    finally:
        gc.freeze()
        gc.enable()


def client_as(service: str, key_id: str, secret: str, token: str) -> Any:
    """Make a client with credentials that were handed to us for one job."""
    return _session().create_client(
        service,
        aws_access_key_id=key_id,
        aws_secret_access_key=secret,
        aws_session_token=token,
        config=config(),
    )
