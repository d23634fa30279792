"""A pretended endpoint for evaluations: predicts a picture by its first pixel."""

import base64
import json

LABELS = ["Round", "Square", "Star"]
DEPLOYED = {
    "kind": "deployed-endpoint",
    "environment": "dev",
    "endpoint_name": "ethnicity-pred-dev-kmm",
    "endpoint_config_name": "config",
    "model_name": "config",
    "model_data_url": "s3://models/training/job/output/model.tar.gz",
    "training_job_name": "job",
    "serve_image": "repo@sha256:b",
    "commit": "c0ffee",
    "data_bucket": "data",
    "execution_id": "e-1",
    "status": "InService",
}


def pixels(shade):
    """Return the pixels of a picture that is taken for LABELS[shade % 3]."""
    return " ".join([str(shade)] * 2304)


def pixel_csv(*rows):
    return ("ethnicity,pixels\n" + "".join(f"{label},{image}\n" for label, image in rows)).encode()


def csv_of(*cells):
    """A pixel CSV of cells (label, shade, rows, gender, age)."""
    lines = ["age,ethnicity,gender,img_name,pixels"]
    for label, shade, rows, gender, age in cells:
        lines += [f"{age},{label},{gender},x.png,{pixels(shade)}"] * rows
    return ("\n".join(lines) + "\n").encode()


GOOD = [("Round", 0, 120, 0, 25), ("Square", 1, 100, 1, 25), ("Star", 2, 90, 1, 65)]
GOOD += [("Round", 1, 5, 1, 25), ("Star", 1, 3, 0, 25)]
ROWS = sum(cell[2] for cell in GOOD)


def predict(shade):
    label = LABELS[shade % 3]
    return {"predict": label, "probabilities": {n: 0.8 if n == label else 0.1 for n in LABELS}}


def answer(kind, body):
    """Answer an invocation; an image counts by its last byte."""
    if kind == "text/csv":
        shades = [int(line.split()[0]) for line in body.decode().splitlines()]
    else:
        images = [base64.b64decode(i["image"]) for i in json.loads(body)["instances"]]
        shades = [image[-1] for image in images]
    predictions = [predict(shade) for shade in shades]
    described = {"name": "glyphs", "version": "job", "sensitive": False}
    return json.dumps({"predictions": predictions, "model": described}).encode()
