"""The least that any server of a model does before it answers: `session.py MODEL.onnx`."""

import sys

import onnxruntime

onnxruntime.InferenceSession(sys.argv[1])
