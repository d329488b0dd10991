#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures what people wait for: start-up, and reading and planning a long Dockerfile.

Prints a table; ends with 1 where a goal is missed, so that a slow change is seen.
"""
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time


def long_dockerfile(lines):
    """A Dockerfile of that many lines, in stages of 50, as a generator of images might write it."""
    out = ["ARG VERSION=1.2.3"]
    stage = 0
    while len(out) < lines:
        base = "debian:12-slim" if stage == 0 else f"stage{stage - 1}"
        out.append(f"FROM {base} AS stage{stage}")
        out.append("ARG VERSION")
        for index in range(12):
            out.append(f"ENV NAME_{stage}_{index}=\"value-${{VERSION:-none}}-{index}\"")
            out.append(f"COPY --chown=1000:1000 src/part{index} /app/stage{stage}/part{index}/")
            out.append(f"RUN echo step {index} && \\")
            out.append(f"    make -C /app/stage{stage}/part{index} install")
        stage += 1
    return "\n".join(out[:lines]) + "\n"


def wall_ms(command, runs):
    """Wall times of a command in milliseconds, in order of size."""
    times = []
    null = os.open(os.devnull, os.O_RDWR)
    for _ in range(runs):
        start = time.perf_counter()
        actions = [(os.POSIX_SPAWN_DUP2, null, 1), (os.POSIX_SPAWN_DUP2, null, 2)]
        pid = os.posix_spawnp(command[0], command, os.environ, file_actions=actions)
        _, status = os.waitpid(pid, 0)
        times.append((time.perf_counter() - start) * 1000)
        assert status == 0, f"{command}: status {status}"
    return sorted(times)


def main():
    coracle = sys.argv[1]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "Dockerfile")
        with open(path, "w") as file:
            file.write(long_dockerfile(1000))
        result = subprocess.run(
            [coracle, "plan", "--timing", path], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        timing = json.loads(result.stderr.splitlines()[0])
        total = timing["parse_ms"] + timing["plan_ms"]
        rows.append(("parse 1,000 lines", timing["parse_ms"], None))
        rows.append(("plan 1,000 lines", timing["plan_ms"], None))
        rows.append(("parse and plan 1,000 lines", total, 5))
        rows.append(("keys of its steps, as plan shows", timing["keys_ms"], None))
    version = wall_ms([coracle, "version"], 50)
    rows.append(("coracle version, median of 50", statistics.median(version), 15))
    rows.append(("coracle version, best of 50", version[0], None))
    rows.append(("/bin/true, median of 50", statistics.median(wall_ms(["/bin/true"], 50)), None))
    print(f"{'what':34} {'ms':>9} {'goal':>7}")
    missed = False
    for name, value, goal in rows:
        verdict = "" if goal is None else "  met" if value < goal else "  MISSED"
        missed = missed or verdict.endswith("MISSED")
        print(f"{name:34} {value:9.3f} {'' if goal is None else goal:>7}{verdict}")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
