# SPDX-License-Identifier: Apache-2.0
"""Programs measured, registries started, and goals compared with what was measured."""
import collections
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time

Usage = collections.namedtuple("Usage", "wall cpu peak text")


def _watch(pid, peaks, done):
    """Keeps the most memory a process itself had; the system adds up children in what it says at the end."""
    while not done.wait(0.01):
        try:
            with open(f"/proc/{pid}/status") as file:
                found = re.search(r"VmHWM:\s+(\d+) kB", file.read())
            if found:
                peaks[0] = max(peaks[0], int(found[1]))
        except OSError:
            return


def run(command, environment=None, folder=None, own_peak=False):
    """Wall seconds, CPU seconds with children, peak KiB and the output of a program that must succeed.

    With `own_peak` the peak is of the program without its children, looked at every 10 ms.
    """
    with tempfile.TemporaryFile() as output:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environment, cwd=folder)
        peaks, done = [0], threading.Event()
        watcher = threading.Thread(target=_watch, args=(process.pid, peaks, done))
        if own_peak:
            watcher.start()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        done.set()
        if own_peak:
            watcher.join()
        output.seek(0)
        text = output.read().decode(errors="replace")
    if status != 0:
        sys.exit(f"{' '.join(command)} ended with {process.returncode}:\n{text[-2000:]}")
    return Usage(wall, usage.ru_utime + usage.ru_stime, peaks[0] if own_peak else usage.ru_maxrss, text)


class Server:
    """A registry on a free port of this machine; a context manager that ends it."""

    name = "docker-registry"

    def __init__(self, command, address, scratch):
        os.makedirs(scratch, exist_ok=True)
        self.log_path = f"{scratch}/server.log"
        self.log = open(self.log_path, "w+b")
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log)
        for _ in range(1000):
            found = re.search(address, self.printed())
            if found:
                self.host = f"127.0.0.1:{found[1]}"
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        self.__exit__()
        sys.exit(f"{command[0]} did not start:\n{self.printed()[-2000:]}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def printed(self):
        with open(self.log_path, errors="replace") as file:
            return file.read()

    def requests(self):
        """Methods and paths of all requests so far."""
        return re.findall(r'"(GET|HEAD|POST|PUT|PATCH|DELETE) (/v2/[^ "]*)', self.printed())

    def cpu(self):
        """CPU seconds it took so far."""
        with open(f"/proc/{self.process.pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class DockerRegistry(Server):
    """Debian's docker-registry."""

    def __init__(self, scratch):
        os.makedirs(scratch)
        with open(f"{scratch}/registry.yml", "w") as file:
            file.write(
                f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {scratch}/data}}, delete: {{enabled: true}}}}\n"
                'http: {addr: "127.0.0.1:0"}\n'
            )
        super().__init__(["docker-registry", "serve", f"{scratch}/registry.yml"], r"listening on .*?:(\d+)", scratch)


class OwnRegistry(Server):
    """`coracle registry serve`, which logs bytes too."""

    name = "coracle serve"

    def __init__(self, program, scratch):
        command = [program, "registry", "serve", "--store", f"{scratch}/store", "--listen", "127.0.0.1:0", "--log", "json"]
        super().__init__(command, r"127\.0\.0\.1:(\d+)", scratch)

    def records(self):
        return [json.loads(line) for line in self.printed().splitlines() if line.startswith("{")]

    def requests(self):
        return [(record["method"], record["path"]) for record in self.records()]


class Goals:
    """What was measured beside what it should be."""

    def __init__(self):
        self.rows = []

    def most(self, text, value, bound):
        self.rows.append((text, value, bound, "<=", value <= bound))

    def least(self, text, value, bound):
        self.rows.append((text, value, bound, ">=", value >= bound))

    def report(self):
        """Prints the table; returns the status to end with."""
        print()
        for text, value, bound, sign, met in self.rows:
            print(f"{text:48} {value:11.2f}  goal {sign} {bound:<8} {'met' if met else 'MISSED'}")
        return 0 if all(row[4] for row in self.rows) else 1


def load():
    """The load of the machine, which every line of times should be read with."""
    return f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
