"""The first answer comes at once: nothing heavy is imported before it is needed."""

import resource
import subprocess
import sys

import pytest

HEAVY = ("torch", "lightning", "mlflow", "sklearn", "pandas")

LISTING = """
import sys
try:
    import greekdrift.cli
    greekdrift.cli.main({arguments!r})
except SystemExit:
    pass
print(sorted(name for name in {heavy!r} if name in sys.modules), file=sys.stderr)
"""


def _heavy_after(arguments: list[str]) -> str:
    code = LISTING.format(arguments=arguments, heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["config", "schema"],
        *([name, "--help"] for name in ("propose", "explain", "surface")),
    ],
)
def test_nothing_heavy_is_imported_before_it_is_needed(arguments: list[str]) -> None:
    assert _heavy_after(arguments) == "[]"


@pytest.mark.parametrize(
    "room", ["greekdrift.config", "greekdrift.greeks", "greekdrift.verify", "greekdrift.serve.client"]
)
def test_light_rooms_stay_light(room: str) -> None:
    code = f"import sys, {room}; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_help_takes_less_than_0_4_seconds() -> None:
    """Processor time of the child, which on a quiet machine is its wall time, and does not see the neighbours."""
    command = [sys.executable, "-m", "greekdrift.cli", "--help"]
    taken = []
    for _ in range(7):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        taken.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        if taken[-1] < 0.4:
            break
    assert min(taken) < 0.4, f"best of {len(taken)}: {min(taken):.2f} s"


def test_the_server_pays_for_no_training() -> None:
    code = (
        "import sys, greekdrift.serve.app; "
        "print([name for name in ('lightning', 'mlflow', 'sklearn') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
