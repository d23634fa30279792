"""The seed's web application: Flask, pandas, and the network loaded at the first request.

$TUNED sets the two things right that cost it most: predict() becomes a tf.function, and nothing
is printed. It drops the first column, a label, as the seed does.
"""

import io
import os

import flask
import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from network import scaled

NAMES = ("Round", "Square", "Hexagon", "Triangle", "Star")
TUNED = bool(os.environ.get("TUNED"))
app = flask.Flask(__name__)


class Service:
    """The network, kept once it is loaded."""

    net = None

    @classmethod
    def get(cls):  # noqa: ANN206  as such code is written
        """Return what predicts: images -> probabilities."""
        if cls.net is None:
            net = keras.models.load_model(os.environ["MODEL"])
            graph = tf.function(lambda x: net(x, training=False), reduce_retracing=True)
            cls.net = (lambda x: graph(x).numpy()) if TUNED else net.predict
        return cls.net


def say(*what: object) -> None:
    """Print, as the seed does; tuned it is silent."""
    if not TUNED:
        print(*what, flush=True)


@app.route("/ping", methods=["GET"])
def ping() -> flask.Response:
    """Answer 200 once the network is loaded."""
    healthy = Service.get() is not None
    return flask.Response("\n", status=200 if healthy else 404, mimetype="application/json")


@app.route("/invocations", methods=["POST"])
def invocations() -> flask.Response:
    """Answer a CSV of rows with a label a line."""
    if not (flask.request.content_type or "").startswith("text/csv"):
        return flask.Response("this predictor takes CSV", status=415, mimetype="text/plain")
    frame = pd.read_csv(io.StringIO(flask.request.data.decode()), header=None)
    say(f"invoked with {frame.shape[0]} records", frame.shape)
    images = scaled(frame.iloc[:, 1:].to_numpy())
    say("images", images.shape)
    chosen = Service.get()(images)
    say("probabilities", chosen)
    out = io.StringIO()
    names = [NAMES[code] for code in np.argmax(chosen, axis=1)]
    pd.DataFrame({"results": names}).to_csv(out, header=False, index=False)
    return flask.Response(out.getvalue(), status=200, mimetype="text/csv")
