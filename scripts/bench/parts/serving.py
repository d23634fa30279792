"""Serving: answers a second, latency and CPU of a request; start and memory."""

from __future__ import annotations

import io
import statistics
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import draw_glyphs
import numpy as np
from PIL import Image

from bench import watch
from bench.figures import HIGHER, LOWER, Figure, Row
from bench.load import Kind, Load, post
from bench.servers import Server
from bench.setup import MODEL_CODE, Bench, Contestant, environment

CLIENTS = (1, 8, 64)
TURNS = 5  # of ours and of the limit in a round: who else uses the machine changes in a second
QUICK = {1: 300, 8: 800, 64: 800}  # requests of a turn
LIMIT = 300  # decodings and predictions of a turn
SLOW = {1: 10, 8: 24, 64: 64}  # requests of a round of the seed's
UNITS = {"rate": ("answers a second", HIGHER), "p50": ("ms", LOWER), "cpu": ("us of CPU", LOWER)}
WHAT = {"rate": "answers", "p50": "median latency", "cpu": "CPU of a request"}
SAME = 0.95  # of the labels on which two servers of one network must agree


@dataclass
class Field:
    """Who takes part with one network and one form of request."""

    name: str
    title: str
    kind: Kind
    servers: dict[str, Server]
    limit: Contestant
    samples: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def round(self) -> None:
        """Measure everybody once, ours in turns with the limit."""
        for contender, server in self.servers.items():
            ours = contender == "ours"
            for clients in CLIENTS:
                number = (QUICK if ours else SLOW)[clients]
                Load(server.port, clients, [self.kind], requests=number // 10).run()  # warms up
                turns, limits = [], []
                for _ in range(TURNS if ours else 1):
                    turns.append(self._turn(server, clients, number))
                    if ours:
                        limits.append(self.limit.round(LIMIT))
                self._note(f"{contender}.{clients}", turns)
                self._note(f"limit.{clients}", limits)

    def _turn(self, server: Server, clients: int, number: int) -> dict[str, float]:
        processes = watch.family(server.pid)
        before = watch.cpu_seconds(processes)
        outcome = Load(server.port, clients, [self.kind], requests=number).run()
        used = watch.cpu_seconds(processes) - before
        if outcome.failures:
            raise RuntimeError(f"{server.name}: {outcome.failures[0]}")
        return {
            "rate": number / outcome.seconds,
            "p50": outcome.latency(self.kind.name) * 1e3,
            "cpu": used / number * 1e6,
        }

    def _note(self, key: str, turns: Sequence[Mapping[str, float]]) -> None:
        for figure in UNITS:
            values = [turn[figure] for turn in turns if figure in turn]
            if values:
                self.samples[f"{key}.{figure}"].append(statistics.fmean(values))

    def rows(self) -> list[Row]:
        """Return a row for each number of clients and each figure."""
        return [self._row(clients, figure) for clients in CLIENTS for figure in UNITS]

    def _row(self, clients: int, figure: str) -> Row:
        alone = (clients, figure) == (1, "p50")  # a caller who waits for nobody else
        taking = [*self.servers, "limit"] if figure == "cpu" or alone else self.servers
        values = {name: self.samples[f"{name}.{clients}.{figure}"] for name in taking}
        unit, better = UNITS[figure]
        who = "1 client" if clients == 1 else f"{clients} clients"
        figures = {name: Figure(tuple(each)) for name, each in values.items()}
        key = f"{self.name}.{clients}.{figure}"
        return Row(key, f"{self.title}, {who}: {WHAT[figure]}", unit, better, figures)


def measure(bench: Bench) -> list[Row]:
    """Return the rows of serving, of starting and of memory."""
    servers = _servers(bench)
    starts: dict[str, list[float]] = defaultdict(list)
    for _ in range(min(3, bench.rounds)):
        for name, server in servers.items():
            server.start()
            starts[name].append(server.start_s)
            server.stop()
        starts["limit"].append(_bare_start(bench))
    bench.say("servers were started; they are asked now")
    for server in servers.values():
        server.start()
    fields = _fields(bench, servers)
    try:
        _check_answers(servers)
        for number in range(bench.rounds):
            for each in fields:
                each.round()
            bench.say(f"serving, round {number + 1} of {bench.rounds}")
        memory = {name: watch.memory_mb(watch.family(s.pid)) for name, s in servers.items()}
    finally:
        for server in servers.values():
            server.stop()
        for each in fields:
            each.limit.end()
    return [*(row for each in fields for row in each.rows()), *_standing(starts, memory)]


def _bare_start(bench: Bench) -> float:
    """Seconds of a process that imports ONNX Runtime and loads our network."""
    begun = time.perf_counter()
    bench.run(bench.ours("session.py", bench.own_network / "model/model.onnx"))
    return time.perf_counter() - begun


def _standing(starts: dict[str, list[float]], memory: dict[str, float]) -> list[Row]:
    names = ("ours", "tuned", "seed")
    started = {name: Figure(tuple(starts[name])) for name in (*names, "limit")}
    resident = {name: Figure((memory[name],)) for name in names}
    return [
        Row("start", "start to the first 200 on /ping", "s", LOWER, started),
        Row("memory", "memory of the server, two workers, after the load", "MB", LOWER, resident),
    ]


def _servers(bench: Bench) -> dict[str, Server]:
    serve = [str(bench.serve_environment / "bin/python"), str(MODEL_CODE / "serve")]
    port = {"SAGEMAKER_BIND_TO_PORT": "{port}"}
    model = {"MODEL": str(bench.keras / "model.keras"), "SCRATCH": str(bench.scratch)}
    seeds = environment(PORT="{port}", PROXY=bench.nginx, **model)
    ours = {
        "ours": port | {"ML_ROOT": str(bench.own_network)},
        "ours, seed's network": port | {"ML_ROOT": str(bench.seed_network)},
    }
    theirs = {"tuned": seeds | {"TUNED": "1"}, "seed": seeds}
    return {
        **{name: _server(bench, name, serve, given) for name, given in ours.items()},
        **{name: _server(bench, name, bench.seeds("serve.py"), v) for name, v in theirs.items()},
    }


def _server(bench: Bench, name: str, command: list[str], variables: dict[str, str]) -> Server:
    log = bench.scratch / f"{name.replace(' ', '-')}.log"
    return Server(name, command, variables, log)


def _fields(bench: Bench, servers: dict[str, Server]) -> list[Field]:
    images, _ = draw_glyphs.draw_many(1, np.random.default_rng(0))
    row, jpeg = csv_rows(images), io.BytesIO()
    Image.fromarray(images[0]).save(jpeg, "JPEG")
    bodies = {"text/csv": bench.scratch / "row.csv", "image/jpeg": bench.scratch / "image.jpg"}
    for content_type, data in zip(bodies, (row, jpeg.getvalue()), strict=True):
        bodies[content_type].write_bytes(data)

    def made(name: str, title: str, content_type: str, root: str, who: dict[str, str]) -> Field:
        path = bodies[content_type]
        limit = bench.ours("limit.py", getattr(bench, root) / "model", path, content_type)
        kind = post(name, path.read_bytes(), content_type)
        taking = {name: servers[server] for name, server in who.items()}
        return Field(name, title, kind, taking, Contestant(limit))

    seeds = {"ours": "ours, seed's network", "tuned": "tuned", "seed": "seed"}
    title = "CSV row, seed's network"
    return [
        made("csv.seed-network", title, "text/csv", "seed_network", seeds),
        made("csv.our-network", "CSV row, our network", "text/csv", "own_network", _ONLY_OURS),
        made("jpeg.our-network", "JPEG, our network", "image/jpeg", "own_network", _ONLY_OURS),
    ]


_ONLY_OURS = {"ours": "ours"}  # the seed's server takes no JPEG and has no such network


def csv_rows(images: Iterable[np.ndarray]) -> bytes:
    """Return rows as the seed wants them: a label first, which is not looked at."""
    return "".join(f"0,{','.join(map(str, image.ravel()))}\n" for image in images).encode()


def _check_answers(servers: dict[str, Server]) -> None:
    """Raise unless the servers of the seed's network give the same labels."""
    images, _ = draw_glyphs.draw_many(40, np.random.default_rng(1))
    asked = post("rows", csv_rows(images), "text/csv")
    labels = {}
    for name in ("ours, seed's network", "tuned", "seed"):
        load = Load(servers[name].port, 1, [asked], requests=1)
        load.run()
        labels[name] = load.last_body.decode().split()
    first, *others = labels.values()
    for other in others:
        same = sum(a == b for a, b in zip(first, other, strict=True)) / len(first)
        if same < SAME:
            raise RuntimeError(f"one network, but only {same:.0%} of the labels agree: {labels}")
