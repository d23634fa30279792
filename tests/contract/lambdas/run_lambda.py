"""Runs one function as Lambda does: its unpacked zip first on the path, its handler by name.

Usage: run_lambda.py FOLDER STEM

The import happens once and without any environment, and so does the reading of botocore's service
models, which would take most of the time of every run. Every line of stdin is then one run, in a
fork of its own: {"environ", "events", "crash_after", "time_left_s", "log", "results"}. stdout and
stderr of the run go to the file `log`, what the handler returned or raised to `results`, and one
line with the exit code to stdout. crash_after ends the run without a word after so many AWS
calls, as a time-out would.
"""

import importlib
import json
import os
import sys
import traceback
from pathlib import Path


class Context:
    function_name = "Ethnicity-Pred-Test"
    aws_request_id = "11111111-aaaa-bbbb-cccc-000000000000"

    def __init__(self, time_left_s):
        self.time_left_s = time_left_s

    def get_remaining_time_in_millis(self):
        return int(self.time_left_s * 1000)


def main():
    folder, stem = sys.argv[1:]
    sys.path.insert(0, folder)
    handler = importlib.import_module(stem).lambda_handler
    read_service_models()
    for line in sys.stdin:
        child = os.fork()
        if not child:
            os._exit(run(handler, json.loads(line)))
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def read_service_models():
    from common import clients

    loader = clients._session().get_component("data_loader")
    for service in clients.SERVICES:
        for kind in ("service-2", "endpoint-rule-set-1"):
            loader.load_service_model(service, kind)
    for name in ("endpoints", "partitions", "_retry", "sdk-default-configuration"):
        loader.load_data(name)


def run(handler, work):
    os.environ.clear()
    os.environ.update(work["environ"])
    log = os.open(work["log"], os.O_WRONLY | os.O_CREAT)
    os.dup2(log, 1)
    os.dup2(log, 2)
    try:
        if work["crash_after"] is not None:
            crash_after(work["crash_after"])
        results = [outcome(handler, event, work["time_left_s"]) for event in work["events"]]
        Path(work["results"]).write_text(json.dumps(results))
    except BaseException:
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
    return 0


def outcome(handler, event, time_left_s):
    try:
        return {"result": handler(event, Context(time_left_s))}
    except Exception as error:
        return {"raised": f"{type(error).__name__}: {error}"}


def crash_after(calls):
    from common import clients

    left = [calls]

    def count(**kwargs):
        left[0] -= 1
        if left[0] < 0:
            os._exit(9)

    clients._session().register("before-call", count)


main()
