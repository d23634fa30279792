"""No test sees the AWS settings of whoever runs it."""

import os

for variable in [name for name in os.environ if name.startswith("AWS_")]:
    del os.environ[variable]
os.environ |= {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
