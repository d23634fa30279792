"""What parses the bytes of strangers need not be root.

SageMaker "expects all containers to run with root users" (developer guide, "Custom inference code
with hosting services"): so the image's user is root, who can read the model whatever volume it is
on, and a worker that has read it becomes somebody with no rights.
"""

import logging
import os
from collections.abc import Mapping

from PIL import Image

VARIABLE = "SERVE_UID"  # set by the image; without it a worker stays who started it
log = logging.getLogger("serve")


def give_up(environ: Mapping[str, str]) -> None:
    """Become the user and group of the variable's number, for good, if this is root and may.

    A container whose capabilities were taken away may not; it serves all the same, and says so.
    """
    uid = environ.get(VARIABLE)
    if uid and os.geteuid() == 0:
        Image.preinit()  # which Pillow does when it needs it; nobody may not read what it imports
        try:
            os.setgroups([])
            os.setgid(int(uid))
            os.setuid(int(uid))
        except PermissionError as error:
            log.warning("requests are read as root, for user %s may not be taken: %s", uid, error)
