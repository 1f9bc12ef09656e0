"""One target under atheris, in a process and an environment of its own. Arguments: target, seconds, seed, and
a folder for the corpus it begins with and adds to; the input of a crash stands there as well.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

_INSTRUMENTED = ["drivers", "asyncua.ua", "asyncua.common", "asyncua.client.ua_client"]


def main() -> None:
    name, seconds, seed, folder = sys.argv[1], int(sys.argv[2]), sys.argv[3], Path(sys.argv[4])
    with atheris.instrument_imports(include=_INSTRUMENTED):  # drivers import much only when it is needed
        from tests.fuzz.corpus import seeds
        from tests.fuzz.targets import TARGETS, quiet

        quiet()
        target = TARGETS[name]()
        for data in seeds(name):
            target(data)
    for number, data in enumerate(seeds(name)):
        (folder / f"seed-{number}").write_bytes(data)
    options = [
        f"-max_total_time={seconds}",
        f"-seed={seed}",
        "-max_len=4096",
        "-timeout=10",
        "-rss_limit_mb=1024",
    ]
    options += [f"-artifact_prefix={folder}/", "-print_final_stats=1", "-verbosity=1"]
    atheris.Setup([sys.argv[0], *options, str(folder)], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
