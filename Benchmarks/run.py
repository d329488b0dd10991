#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures RUN: one that does nothing, one that writes many files, and a compiler, beside buildah in the same run.

Base images lie in a registry of this machine. Cold is with an empty storage, from the registry to the image; "push" has
the new image in the registry as well, compressed, which is what `coracle build` makes in any case.
Ends with 1 where a goal is missed.
"""
import os
import shutil
import subprocess
import sys
import tempfile
import time

import workloads
from measuring import DockerRegistry, Goals, load, run

STEPS = 20
CLEAN = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/root"), "LANG": "C.UTF-8"}


def bases(program, names):
    """A folder with the bases as layouts, each made once."""
    folder = os.path.abspath(os.environ.get("CORACLE_BENCH_BASES", ".build/bases"))
    subprocess.run(["scripts/bases", program, folder] + [name for name in names if name != "gcc"], check=True)
    if "gcc" in names and not os.path.isdir(f"{folder}/gcc"):
        with tempfile.TemporaryDirectory(prefix="coracle-bench-") as scratch:
            with open(f"{scratch}/Dockerfile", "w") as file:
                file.write(
                    "FROM debian\nRUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev "
                    "binutils && rm -rf /var/lib/apt/lists/* /var/cache/apt\n"
                )
            run([
                program, "build", "--store", f"{scratch}/store", "--build-context", f"debian=oci-layout://{folder}/debian",
                "-t", "gcc:latest", "-o", f"type=oci,dest={folder}/gcc.part,tar=false", scratch,
            ])
            os.rename(f"{folder}/gcc.part", f"{folder}/gcc")
    return folder


class Coracle:
    """The program under test, with a store of its own."""

    def __init__(self, program, scratch, isolation="auto"):
        self.program, self.scratch, self.isolation = program, scratch, isolation
        self.name = "coracle" if isolation == "auto" else f"coracle {isolation}"
        self.clear()

    def clear(self):
        shutil.rmtree(f"{self.scratch}/store", ignore_errors=True)

    def build(self, folder, push=None):
        command = [self.program, "build", "--store", f"{self.scratch}/store", "--isolation", self.isolation]
        command += ["--progress", "plain", "-t", push or "bench"] + (["--push"] if push else [])
        return run(command + [folder], CLEAN, own_peak=True)


class Buildah:
    """Debian's buildah, with a storage of its own."""

    def __init__(self, scratch, isolation="oci"):
        self.scratch, self.isolation = scratch, isolation
        self.name = f"buildah {isolation}"
        self.base = ["buildah", "--root", f"{scratch}/root", "--runroot", f"{scratch}/runroot"]

    def clear(self):
        if os.path.isdir(f"{self.scratch}/root"):
            subprocess.run(self.base + ["rmi", "-a", "-f"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def build(self, folder, push=None):
        command = self.base + ["build", "--layers", "--isolation", self.isolation, "--runtime", "runc"]
        command += ["--tls-verify=false", "-t", push or "bench", folder]
        built = run(command, CLEAN)
        if not push:
            return built
        sent = run(self.base + ["push", "--tls-verify=false", push], CLEAN)
        return built._replace(wall=built.wall + sent.wall, cpu=built.cpu + sent.cpu, peak=max(built.peak, sent.peak))


def best(results):
    """The least wall and CPU time of several, and the largest peak."""
    return results[0]._replace(
        wall=min(result.wall for result in results),
        cpu=min(result.cpu for result in results),
        peak=max(result.peak for result in results),
    )


def row(workload, who, what, usage):
    print(f"{workload:8} {who:16} {what:10} {usage.wall * 1000:10.1f} {usage.cpu * 1000:10.1f} {usage.peak / 1024:8.1f}", flush=True)


def floor(folder):
    """Milliseconds that fork and exec of a program in a chroot take."""
    start = time.perf_counter()
    for _ in range(50):
        subprocess.run(["/bin/true"], check=True)
    return (time.perf_counter() - start) * 1000 / 50


def measure_noops(builders, scratch, registry, goals, repeats):
    """What one command more costs a build: the difference of builds with 20 and with none, by their number."""
    folders = {}
    for count in (0, STEPS):
        folders[count] = f"{scratch}/noop{count}"
        workloads.noops(count)(folders[count])
        workloads.name_bases(folders[count], registry.host)
    print(f"{'noop':8} {'floor':16} {'fork+exec':10} {floor(scratch):10.1f}")
    for builder in builders:
        steps = []
        builder.clear()
        builder.build(folders[0])  # The base is there from now on.
        for _ in range(repeats):
            # New texts, so that nothing is cached.
            for count in (0, STEPS):
                with open(f"{folders[count]}/Dockerfile") as file:
                    lines = [line.rstrip("\n") for line in file]
                unique = time.time_ns()
                with open(f"{folders[count]}/Dockerfile", "w") as file:
                    for line in lines:
                        text = f"RUN true {line.split()[2]} {unique}" if line.startswith("RUN") else line
                        file.write(text + "\n")
                with open(f"{folders[count]}/hello.txt", "w") as file:
                    file.write(f"{unique}\n")
            without, full = builder.build(folders[0]), builder.build(folders[STEPS])
            steps.append(full._replace(wall=(full.wall - without.wall) / STEPS, cpu=(full.cpu - without.cpu) / STEPS))
        result = best(steps)
        row("noop", builder.name, "per step", result)
        if builder.name == "coracle":
            goals.most("noop: ms per step, best of several", result.wall * 1000, 15)
            goals.most("noop: CPU ms per step", result.cpu * 1000, 15)
            goals.most("noop: peak MiB", result.peak / 1024, 72)


def measure_workload(name, make, builders, scratch, registry, goals, bound, repeats):
    """Cold, warm, and cold with a push, of each builder."""
    folder = f"{scratch}/{name}"
    make(folder)
    workloads.name_bases(folder, registry.host)
    found = {}
    for builder in builders:
        cold, pushed = [], []
        for number in range(repeats):
            builder.clear()
            cold.append(builder.build(folder))
        warm = [builder.build(folder) for _ in range(5)]
        for number in range(repeats):
            builder.clear()
            target = f"{registry.host}/{builder.name.replace(' ', '-')}/{name}:{number}"
            pushed.append(builder.build(folder, target))
        results = {"cold": best(cold), "warm": best(warm), "push": best(pushed)}
        for what, usage in results.items():
            row(name, builder.name, what, usage)
        found[builder.name] = results
    ours = found["coracle"]
    goals.most(f"{name}: warm ms", ours["warm"].wall * 1000, 50)
    goals.most(f"{name}: peak MiB of coracle itself", max(usage.peak for usage in ours.values()) / 1024, 72)
    theirs = found.get("buildah oci")
    if theirs:
        for what, text in (("cold", "build"), ("push", "build and push")):
            goals.least(f"{name}: {text}, times buildah, wall", theirs[what].wall / ours[what].wall, bound)
            goals.least(f"{name}: {text}, times buildah, CPU", theirs[what].cpu / ours[what].cpu, bound)


def scratch_place():
    """Where storages lie: CORACLE_BENCH_SCRATCH, else in memory where 8 GiB are free.

    On ext4 a builder that removes a storage before each cold build waits for inodes that were freed in the last seconds,
    which says nothing of builders.
    """
    given = os.environ.get("CORACLE_BENCH_SCRATCH")
    if given or not os.path.isdir("/dev/shm"):
        return given
    room = os.statvfs("/dev/shm")
    return "/dev/shm" if room.f_bavail * room.f_frsize > 8 << 30 else None


def main():
    program = os.path.realpath(sys.argv[1])
    wanted = sys.argv[2:] or ["noop", "run", "compile"]
    repeats = int(os.environ.get("CORACLE_BENCH_REPEATS", "3"))
    if os.geteuid() != 0 or not all(map(shutil.which, ["docker-registry", "skopeo", "debootstrap"])):
        print("RUN is not measured: that takes root, docker-registry, skopeo and debootstrap")
        return 0
    names = ["busybox"] + (["debian"] if "run" in wanted else []) + (["debian", "gcc"] if "compile" in wanted else [])
    goals, layouts = Goals(), bases(program, sorted(set(names)))
    has_peer = shutil.which("buildah") and shutil.which("runc")
    if not has_peer:
        print("buildah or runc is not installed: nothing to compare with")
    place = scratch_place()
    print(f"storages in {place or tempfile.gettempdir()}")
    print(f"{load()}\n{'workload':8} {'builder':16} {'what':10} {'wall ms':>10} {'CPU ms':>10} {'peak MiB':>8}")
    with tempfile.TemporaryDirectory(prefix="coracle-bench-", dir=place) as scratch:
        with DockerRegistry(f"{scratch}/registry") as registry:
            for name in set(names):
                target = f"docker://{registry.host}/{name}:latest"
                run(["skopeo", "copy", "--dest-tls-verify=false", f"oci:{layouts}/{name}:latest", target])
            builders = [Coracle(program, f"{scratch}/c")]
            if has_peer:
                builders += [Buildah(f"{scratch}/b"), Buildah(f"{scratch}/b2", "chroot")]
            if "noop" in wanted:
                measure_noops(builders, scratch, registry, goals, repeats)
            if "run" in wanted:
                measure_workload("run", workloads.commands, builders, scratch, registry, goals, 3, repeats)
            if "compile" in wanted:
                measure_workload("compile", workloads.compile, builders, scratch, registry, goals, 2.2, repeats)
            for builder in builders:
                builder.clear()
    print(load())
    return goals.report()


if __name__ == "__main__":
    sys.exit(main())
