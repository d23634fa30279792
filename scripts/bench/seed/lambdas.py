"""What the seed's functions do before their first call: import boto3, make clients as they load.

`lambdas.py proxy` or `lambdas.py other`; prints CPU milliseconds.
"""

import json
import sys
import time

begun = time.process_time()

import boto3  # noqa: E402

if sys.argv[1] == "proxy":
    clients = [boto3.client("s3"), boto3.client("sagemaker-runtime")]
else:
    clients = [boto3.client("sagemaker"), boto3.client("codepipeline"), boto3.resource("s3")]
print(json.dumps({"ms": (time.process_time() - begun) * 1000}))
