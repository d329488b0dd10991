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
