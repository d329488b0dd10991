#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures builds: cold, warm, and after an edit, beside buildah and beside what reading and hashing alone costs.

Ratios are of times taken in one run on one machine. Ends with 1 where a goal is missed.
"""
import hashlib
import json
import os
import shutil
import sys
import tempfile
import time

import workloads
from measuring import run


def floor(folder):
    """Seconds to read every file once and hash it."""
    start = time.perf_counter()
    digest = hashlib.sha256()
    for root, _, names in os.walk(folder):
        for name in names:
            with open(os.path.join(root, name), "rb") as file:
                while data := file.read(1 << 20):
                    digest.update(data)
    return time.perf_counter() - start


def layer_bytes(store):
    """Bytes of the layers of a store's only image."""
    index = json.load(open(f"{store}/index.json"))
    blob = lambda descriptor: f"{store}/blobs/sha256/{descriptor['digest'][7:]}"
    manifest = json.load(open(blob(index["manifests"][0])))
    return sum(layer["size"] for layer in manifest["layers"])


def edit(name, folder):
    """Changes one file."""
    path = f"{folder}/hello.txt" if name == "hello" else f"{folder}/big.bin"
    if name == "manyfiles":
        path = f"{folder}/node_modules/package-7/lib7/1/file5.js"
    with open(path, "r+b") as file:
        file.write(str(time.time_ns()).encode())


class Coracle:
    """Builds with the program under test, in a store of its own."""

    def __init__(self, program, scratch):
        self.program, self.store = program, f"{scratch}/store"

    def build(self, folder):
        return run([self.program, "build", "--store", self.store, "-t", "bench", "--progress", "plain", folder])

    def size(self):
        return layer_bytes(self.store)


class Buildah:
    """Builds with buildah, in a storage of its own."""

    def __init__(self, scratch):
        self.base = ["buildah", "--root", f"{scratch}/root", "--runroot", f"{scratch}/runroot"]
        self.layout = f"{scratch}/pushed"

    def build(self, folder):
        return run(self.base + ["build", "--layers", "-t", "bench", folder])

    def size(self):
        run(self.base + ["push", "bench", f"oci:{self.layout}:bench"])
        return layer_bytes(self.layout)


def measure(builder, name, folder):
    """Times of a cold build, the best of three warm ones, and one after an edit."""
    cold = builder.build(folder)
    size = builder.size()
    warm = min((builder.build(folder) for _ in range(3)), key=lambda result: result[0])
    edit(name, folder)
    changed = builder.build(folder)
    return {
        "cold": cold[0], "warm": warm[0], "edit": changed[0], "cpu": cold[1],
        "peak": max(cold[2], warm[2], changed[2]) / 1024, "bytes": size,
    }


def row(name, who, result):
    print(
        f"{name:10} {who:10} {result['cold']:8.2f} {result['cpu']:8.2f} {result['warm']:8.3f} {result['edit']:8.2f} "
        f"{result['peak']:8.1f} {result['bytes']:12,}",
        flush=True,
    )


def goals(name, ours, theirs):
    """The goals of a workload as (text, value, bound, whether more is better)."""
    yield f"{name}: peak MiB", ours["peak"], 72, False
    if name == "hello":
        yield "hello: warm ms", ours["warm"] * 1000, 30, False
    if name == "manyfiles":
        yield "manyfiles: warm ms", ours["warm"] * 1000, 200, False
        yield "manyfiles: edit / cold", ours["edit"] / ours["cold"], 1.3, False
    if theirs and name in ("manyfiles", "big"):
        yield f"{name}: cold, times buildah", theirs["cold"] / ours["cold"], {"manyfiles": 10, "big": 8}[name], True
        yield f"{name}: layer bytes / buildah's", ours["bytes"] / theirs["bytes"], 1.10, False


def main():
    program, names = os.path.realpath(sys.argv[1]), sys.argv[2:] or list(workloads.ALL)
    has_peer = shutil.which("buildah") is not None and os.geteuid() == 0
    if not has_peer:
        print("buildah is not installed, or this is not root: nothing to compare with")
    print(f"{'workload':10} {'builder':10} {'cold s':>8} {'cpu s':>8} {'warm s':>8} {'edit s':>8} {'peak MiB':>8} {'layer bytes':>12}")
    checks = []
    for name in names:
        with tempfile.TemporaryDirectory(prefix="coracle-bench-") as scratch:
            folder = f"{scratch}/context"
            workloads.ALL[name](folder)
            os.sync()
            print(f"{name:10} {'floor':10} {floor(folder):8.2f}", flush=True)
            ours = measure(Coracle(program, f"{scratch}/c"), name, folder)
            row(name, "coracle", ours)
            theirs = None
            if has_peer:
                theirs = measure(Buildah(f"{scratch}/b"), name, folder)
                row(name, "buildah", theirs)
            checks += goals(name, ours, theirs)
    missed = False
    print()
    for text, value, bound, more in checks:
        met = value >= bound if more else value <= bound
        missed = missed or not met
        print(f"{text:34} {value:9.2f}  goal {'>=' if more else '<='} {bound:<6} {'met' if met else 'MISSED'}")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
