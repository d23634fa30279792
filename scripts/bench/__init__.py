"""`make bench` and `make soak`: the model's serving, loading and training beside the seed's design.

load      callers over plain sockets, one after the other's answer: the only load generator
soak      minutes of good and bad requests, workers told to leave, and the end
watch     what processes cost: CPU, memory
figures   samples -> medians, spread, ratios; goals
report    figures -> the table, docs/benchmarks.md and its picture
parts     what is measured, a module each; a new one is added to PARTS in __main__
contest   runs in the container's environments: the limit, loading, training
seed      our own re-making of the seed's design: nginx, gunicorn, Flask, pandas, Keras
"""
