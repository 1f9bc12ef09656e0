"""One target under atheris, in a process and an environment of its own. Arguments: target, seconds, seed, and a
folder for the corpus it begins with and adds to. Exit code 77: a crash, whose input stands in that folder.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["drivers", "asyncua.ua", "asyncua.common", "asyncua.client.ua_client"]):
    from tests.fuzz.targets import TARGETS, quiet

from tests.fuzz.corpus import seeds


def main() -> None:
    name, seconds, seed, folder = sys.argv[1], int(sys.argv[2]), sys.argv[3], Path(sys.argv[4])
    quiet()
    for number, data in enumerate(seeds(name)):
        (folder / f"seed-{number}").write_bytes(data)
    target = TARGETS[name]()
    options = [f"-max_total_time={seconds}", f"-seed={seed}", "-max_len=4096", "-timeout=10", "-rss_limit_mb=1024"]
    options += [f"-artifact_prefix={folder}/", "-print_final_stats=1", "-verbosity=1"]
    atheris.Setup([sys.argv[0], *options, str(folder)], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
