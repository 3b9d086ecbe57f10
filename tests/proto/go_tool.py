"""The tools that scripts/install-go-tool builds."""

import pathlib
import subprocess
import sys

SOURCE = pathlib.Path(__file__).resolve().parents[2]

# What ctest takes for "skipped".
SKIPPED = 77


def path_of(name):
    """The path of a tool; ends the test as skipped where there is no Go."""
    done = subprocess.run([SOURCE / "scripts/install-go-tool", name],
                          stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode == SKIPPED:
        sys.exit(SKIPPED)
    done.check_returncode()
    return pathlib.Path(done.stdout.strip())
