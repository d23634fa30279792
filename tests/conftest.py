"""No test sees AWS settings or ignored signals of whoever runs it, or fails for being slow once."""

import os
import signal

from hypothesis import settings

settings.register_profile("here", deadline=None)
settings.load_profile("here")

for variable in [name for name in os.environ if name.startswith("AWS_")]:
    del os.environ[variable]
os.environ |= {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}

# A shell starts its background jobs with Ctrl-C ignored, and so would be all that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)
