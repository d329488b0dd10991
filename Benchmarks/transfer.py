#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures push, pull and unpacking beside `skopeo copy` (and `umoci unpack`) in the same run: an image of 1 GiB in 8
layers, and one of 200 tiny layers.

To Debian's docker-registry and to `coracle registry serve`, over plain HTTP on this machine. The registry works on the
same processors, so its CPU time is shown too. Requests and bytes do not depend on the machine: those have thresholds.
Ends with 1 where a goal is missed.
"""
import functools
import gzip
import hashlib
import io
import json
import multiprocessing
import os
import random
import shutil
import sys
import tarfile
import tempfile

from measuring import DockerRegistry, Goals, OwnRegistry, Usage, load, run

MEBIBYTE = 1 << 20


def layout(folder, count, size):
    """An OCI layout with an image of so many layers, each of one file of so many random bytes."""
    generator = random.Random(count)
    blobs = f"{folder}/blobs/sha256"
    os.makedirs(blobs)

    def add(data, kind):
        name = hashlib.sha256(data).hexdigest()
        with open(f"{blobs}/{name}", "wb") as file:
            file.write(data)
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{name}", "size": len(data)}

    layers, diff_ids = [], []
    for number in range(count):
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            entry = tarfile.TarInfo(f"data/part{number}.bin")
            entry.size = size
            tar.addfile(entry, io.BytesIO(generator.randbytes(size)))
        diff_ids.append("sha256:" + hashlib.sha256(archive.getvalue()).hexdigest())
        layers.append(add(gzip.compress(archive.getvalue(), 0, mtime=0), "layer.v1.tar+gzip"))
    config = {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": diff_ids}}
    kind = "application/vnd.oci.image.manifest.v1+json"
    manifest = {
        "schemaVersion": 2, "mediaType": kind, "layers": layers,
        "config": add(json.dumps(config).encode(), "config.v1+json"),
    }
    descriptor = add(json.dumps(manifest).encode(), "manifest.v1+json")
    descriptor["annotations"] = {"org.opencontainers.image.ref.name": "bench"}
    with open(f"{folder}/index.json", "w") as file:
        json.dump({"schemaVersion": 2, "manifests": [descriptor]}, file)
    with open(f"{folder}/oci-layout", "w") as file:
        file.write('{"imageLayoutVersion": "1.0.0"}')


def row(image, server, who, what, usage, requests, serving):
    print(
        f"{image:9} {server:15} {who:8} {what:8} {usage.wall:8.3f} {usage.cpu:8.3f} {serving:9.3f} "
        f"{usage.peak / 1024:8.1f} {requests:9}",
        flush=True,
    )


class Clients:
    """Both programs, moving one image."""

    def __init__(self, program, folder, scratch, files):
        self.program, self.folder, self.scratch = program, folder, scratch
        self.store = f"{scratch}/store"
        self.files, self.empty = files, f"{scratch}/empty"
        os.makedirs(self.empty)
        run([program, "copy", "--store", self.store, f"oci:{folder}:bench", "store:bench"])

    def push(self, who, target):
        if who == "coracle":
            return self.coracle("push", "--store", self.store, "bench", target)
        return run(["skopeo", "copy", "--dest-tls-verify=false", f"oci:{self.folder}:bench", f"docker://{target}"])

    def pull(self, who, source):
        shutil.rmtree(f"{self.scratch}/pulled-{who}", ignore_errors=True)
        return self.pull_again(who, source)

    def pull_again(self, who, source):
        place = f"{self.scratch}/pulled-{who}"
        if who == "coracle":
            return self.coracle("pull", "--store", place, source)
        os.makedirs(place, exist_ok=True)
        return run(["skopeo", "copy", "--src-tls-verify=false", f"docker://{source}", f"oci:{place}:bench"])

    def unpack(self, who, source):
        """Pulls, and unpacks into a folder."""
        place, folder = f"{self.scratch}/pulled-{who}", f"{self.scratch}/unpacked"
        shutil.rmtree(place, ignore_errors=True)
        if who == "coracle":
            with open(f"{self.scratch}/Dockerfile", "w") as file:
                file.write(f"FROM {source}\n")
            output = f"type=local,dest={folder}"
            used = self.coracle("build", "--store", place, "-f", f"{self.scratch}/Dockerfile", "-o", output, self.empty)
        else:
            pulled = self.pull(who, source)
            unpacked = run(["umoci", "unpack", "--image", f"{place}:bench", folder])
            used = Usage(pulled.wall + unpacked.wall, pulled.cpu + unpacked.cpu, max(pulled.peak, unpacked.peak), "")
        found = sum(len(files) for _, _, files in os.walk(folder if who == "coracle" else f"{folder}/rootfs"))
        if found != self.files:
            sys.exit(f"{who} unpacked {found} files instead of {self.files}")
        shutil.rmtree(folder)
        return used

    def coracle(self, *arguments):
        return run([self.program, *arguments, "--progress", "plain"], own_peak=True)


STEPS = ["push", "again", "mount", "pull", "repull", "unpack"]


def measure(image, clients, make, repeats):
    """What both clients do with a registry, in turns; the least of several times.

    Each turn has a registry of its own, on another port: clients know where they pushed a blob before.
    """
    found = {}
    for number in range(repeats):
        for who in ("coracle", "skopeo"):
            with make(f"{clients.scratch}/registry") as server:
                target = f"{server.host}/{who}/{image}:bench"
                steps = {
                    "push": lambda: clients.push(who, target),
                    "again": lambda: clients.push(who, target),
                    "mount": lambda: clients.push(who, f"{server.host}/{who}/elsewhere:bench"),
                    "pull": lambda: clients.pull(who, target),
                    "repull": lambda: clients.pull_again(who, target),
                    "unpack": lambda: clients.unpack(who, target),
                }
                for what in STEPS:
                    requests, serving = len(server.requests()), server.cpu()
                    usage = steps[what]()
                    result = (usage, len(server.requests()) - requests, server.cpu() - serving)
                    old = found.get((who, what))
                    found[who, what] = result if old is None or usage.wall < old[0].wall else old
                    if os.environ.get("CORACLE_BENCH_VERBOSE"):
                        row(image, server.name, who, what, *result)
            shutil.rmtree(f"{clients.scratch}/registry")
    for (who, what), result in sorted(found.items(), key=lambda item: (STEPS.index(item[0][1]), item[0])):
        row(image, server.name, who, what, *result)
    return found


def judge(image, found, name, blobs, bound, goals):
    """Compares the clients."""
    for what in ("push", "pull", "unpack"):
        ours, theirs = found["coracle", what][0], found["skopeo", what][0]
        text = f"{image}: {what}, {name}, times skopeo"
        goals.least(text + ", wall", theirs.wall / ours.wall, bound)
        goals.least(text + ", CPU", theirs.cpu / ours.cpu, bound)
    peak = max(result[0].peak for (who, _), result in found.items() if who == "coracle")
    goals.most(f"{image}: peak MiB, {name}", peak / 1024, 72)
    # One question for each blob, and two more: the protocol's own, and the manifest.
    goals.most(f"{image}: requests of an unchanged push", found["coracle", "again"][1], blobs + 2)
    # A mount is asked for with the upload that would replace it.
    goals.most(f"{image}: requests of a push elsewhere", found["coracle", "mount"][1], 2 * blobs + 3)
    goals.most(f"{image}: requests of an unchanged pull", found["coracle", "repull"][1], 2)


def count_bytes(server, clients, image, goals):
    """Bytes that a first and a second push move, as the server counted them: all blobs, and the manifest."""
    with open(f"{clients.folder}/index.json") as file:
        manifest = json.load(file)["manifests"][0]
    with open(f"{clients.folder}/blobs/sha256/{manifest['digest'][7:]}") as file:
        content = json.load(file)
    size = manifest["size"] + content["config"]["size"] + sum(layer["size"] for layer in content["layers"])
    target = f"{server.host}/bytes/{image}:bench"
    for what, bound in (("first", size), ("unchanged", manifest["size"])):
        before = len(server.records())
        clients.push("coracle", target)
        moved = sum(record["bytesIn"] for record in server.records()[before:])
        goals.most(f"{image}: bytes of {what} push", moved, bound)


def main():
    program = os.path.realpath(sys.argv[1])
    wanted = sys.argv[2:] or ["1gib", "200"]
    repeats = int(os.environ.get("CORACLE_BENCH_REPEATS", "3"))
    if not all(map(shutil.which, ["docker-registry", "skopeo", "umoci"])):
        print("push and pull are not measured: that takes docker-registry, skopeo and umoci")
        return 0
    goals = Goals()
    print(load())
    print(f"{'image':9} {'registry':15} {'client':8} {'what':8} {'wall s':>8} {'CPU s':>8} {'server s':>9} {'peak MiB':>8} {'requests':>9}")
    images = {"1gib": (8, 128 * MEBIBYTE, 1.5), "200": (200, 1000, 3)}
    for image in wanted:
        count, size, bound = images[image]
        with tempfile.TemporaryDirectory(prefix="coracle-bench-", dir=os.environ.get("CORACLE_BENCH_SCRATCH")) as scratch:
            # In a process of its own: a program that is started is said to have had its parent's memory.
            maker = multiprocessing.Process(target=layout, args=(f"{scratch}/layout", count, size))
            maker.start()
            maker.join()
            clients = Clients(program, f"{scratch}/layout", scratch, count)
            own = functools.partial(OwnRegistry, program)
            for name, make in ((DockerRegistry.name, DockerRegistry), (OwnRegistry.name, own)):
                found = measure(image, clients, make, repeats)
                judge(image, found, name, count + 1, bound, goals)
            if image == "200":
                with OwnRegistry(program, f"{scratch}/registry") as server:
                    count_bytes(server, clients, image, goals)
    print(load())
    return goals.report()


if __name__ == "__main__":
    sys.exit(main())
