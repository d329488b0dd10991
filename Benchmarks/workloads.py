# SPDX-License-Identifier: Apache-2.0
"""Build contexts that benchmarks use; the same bytes every time."""
import os
import random

WORDS = "function return const let import export default from class extends this value index object string".split()


def _text(generator, size):
    """Text that compresses about as source code does."""
    out, length = [], 0
    while length < size:
        line = " ".join(generator.choices(WORDS, k=8)) + f" {generator.getrandbits(40):x};\n"
        out.append(line)
        length += len(line)
    return "".join(out)[:size].encode()


def _write(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)
    os.utime(path, (1700000000, 1700000000))


def _dockerfile(folder, text):
    _write(f"{folder}/Dockerfile", text.encode())


def hello(folder):
    """One small file."""
    _write(f"{folder}/hello.txt", b"hello\n")
    _dockerfile(folder, 'FROM scratch\nCOPY hello.txt /hello.txt\nCMD ["/hello.txt"]\n')


def manyfiles(folder):
    """50,000 files of about 4 KiB, as node_modules has them."""
    generator = random.Random(2)
    pool = _text(generator, 6_000_000)
    for number in range(50_000):
        size = min(30_000, max(80, int(generator.lognormvariate(7.75, 1.05))))
        start = generator.randrange(len(pool) - size)
        package, part = number // 20, number % 20
        name = f"{folder}/node_modules/package-{package % 400}/lib{package}/{part % 4}/file{part}.js"
        _write(name, pool[start : start + size])
    _dockerfile(folder, 'FROM scratch\nCOPY . /app/\nCMD ["/app"]\n')


def big(folder):
    """One file of 1 GiB, every other 4 MiB of it random."""
    generator = random.Random(3)
    text = _text(generator, 4 << 20)
    os.makedirs(folder, exist_ok=True)
    with open(f"{folder}/big.bin", "wb") as file:
        for _ in range(128):
            start = generator.randrange(1 << 20)
            file.write(text[start:] + text[:start])
            file.write(generator.randbytes(4 << 20))
    os.utime(f"{folder}/big.bin", (1700000000, 1700000000))
    _dockerfile(folder, 'FROM scratch\nCOPY big.bin /data/big.bin\nCMD ["/data"]\n')


ALL = {"hello": hello, "manyfiles": manyfiles, "big": big}


# With commands. Bases are names in a registry, which BASES stands for.
BASES = "@BASES@"


def noops(count):
    """So many commands that do nothing, and one file."""

    def make(folder):
        _write(f"{folder}/hello.txt", b"hello\n")
        steps = "".join(f"RUN true {number}\n" for number in range(count))
        _dockerfile(folder, f'FROM {BASES}/busybox:latest\n{steps}COPY hello.txt /hello.txt\nCMD ["true"]\n')

    return make


def commands(folder):
    """RUN writes 5,000 files and deletes 200 of the base; a second RUN appends; a COPY."""
    _write(f"{folder}/conf.ini", b"[app]\nkey=value\n" * 50)
    script = """set -e
mkdir /data
pad=$(head -c 3000 /usr/share/common-licenses/GPL-3)
number=0
while [ $number -lt 5000 ]; do
    folder=/data/$((number / 100))
    [ -d $folder ] || mkdir $folder
    printf 'file %s\\n%s\\n' $number "$pad" >$folder/file$number.txt
    number=$((number + 1))
done
find /usr/share/zoneinfo -type f | LC_ALL=C sort | head -n 200 | xargs rm
"""
    _write(f"{folder}/fill.sh", script.encode())
    append = "for n in 0 1 2 3 4 5 6 7 8 9; do echo appended >>/data/0/file$n.txt; done; echo x >>/etc/bash.bashrc"
    _dockerfile(
        folder,
        f"FROM {BASES}/debian:latest\nCOPY fill.sh /fill.sh\nRUN sh /fill.sh\nRUN {append}\n"
        'COPY conf.ini /etc/app/conf.ini\nCMD ["/bin/true"]\n',
    )


def compile(folder):
    """gcc in a stage, and its result in a small base."""
    lines = ["#include <stdio.h>"]
    for number in range(200):
        body = f"int sum = 0; for (int i = 0; i < most; i++) sum += (i * {number + 3}) ^ (i * 7 + {number}); return sum;"
        lines.append(f"static int part{number}(int most) {{ {body} }}")
    calls = "".join(f"    sum += part{number}(count + {number});\n" for number in range(200))
    lines.append(f'int main(int count, char **words) {{\n    int sum = 0;\n{calls}    printf("%d\\n", sum);\n}}\n')
    _write(f"{folder}/main.c", "\n".join(lines).encode())
    _dockerfile(
        folder,
        f"FROM {BASES}/gcc:latest AS build\nCOPY main.c /src/main.c\n"
        "RUN gcc -O2 -static -o /app /src/main.c && strip /app\n"
        f'FROM {BASES}/busybox:latest\nCOPY --from=build /app /app\nCMD ["/app"]\n',
    )


def name_bases(folder, where):
    """Puts the registry that has the bases into the Dockerfile."""
    with open(f"{folder}/Dockerfile") as file:
        text = file.read()
    _dockerfile(folder, text.replace(BASES, where))
