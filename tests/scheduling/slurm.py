"""A real SLURM on this machine, for a while: `python tests/scheduling/slurm.py COMMAND...`.

Needs root, and slurm-wlm and munge of Debian. Everything lies in one temporary folder.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "runuser")
CONF = """
ClusterName=memori
SlurmctldHost=localhost(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/log/slurmctld
SlurmdLogFile={folder}/log/slurmd
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
KillWait=1
CompleteWait=0
MinJobAge=600
MpiDefault=none
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
SchedulerParameters=sched_interval=1
NodeName=localhost NodeAddr=127.0.0.1 CPUs=2 RealMemory=4000
PartitionName=main Nodes=localhost Default=YES MaxTime=INFINITE State=UP
"""
_SEARCHED = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def why_not() -> str | None:
    """Say why there can be none here; None if there can."""
    if os.geteuid() != 0:
        return "SLURM's daemons are started by root here"
    missing = [name for name in PROGRAMS if shutil.which(name, path=_SEARCHED) is None]
    if missing:
        return f"no {', '.join(missing)}: apt-get install slurm-wlm munge"
    return None


@contextmanager
def slurm() -> Iterator[str]:
    """Give the path of the configuration of a SLURM that runs inside the with block."""
    folder = Path(tempfile.mkdtemp(prefix="memori-slurm-"))
    try:
        _prepare(folder)
        _start(
            "runuser", "-u", "munge", "--", "munged", f"--key-file={folder}/munge.key",
            f"--socket={folder}/munge.socket", f"--pid-file={folder}/munged.pid",
            f"--log-file={folder}/log/munged", f"--seed-file={folder}/munge.seed",
        )  # fmt: skip
        environment = {**os.environ, "SLURM_CONF": f"{folder}/slurm.conf"}
        _start("slurmctld", "-c", env=environment)
        _start("slurmd", "-N", "localhost", env=environment)
        _wait_until_idle(environment)
        yield environment["SLURM_CONF"]
        _cancel_all(environment)
    finally:
        for name in ("slurmd", "slurmctld", "munged"):
            _end(folder / f"{name}.pid")
        shutil.rmtree(folder, ignore_errors=True)


def _prepare(folder: Path) -> None:
    for name in ("state", "spool", "log"):
        (folder / name).mkdir()
    (folder / "munge.key").write_bytes(os.urandom(1024))
    (folder / "munge.key").chmod(0o400)
    for path in (folder, folder / "log", folder / "munge.key"):
        shutil.chown(path, "munge", "munge")
    for path in (folder, folder / "log"):
        path.chmod(0o755)
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        ports = one.getsockname()[1], two.getsockname()[1]
    (folder / "slurm.conf").write_text(CONF.format(folder=folder, ports=ports))


def _start(program: str, *words: str, env: dict[str, str] | None = None) -> None:
    path = shutil.which(program, path=_SEARCHED)
    assert path is not None
    environment = {**(os.environ if env is None else env), "PATH": _SEARCHED}
    done = subprocess.run(
        [path, *words], env=environment, capture_output=True, text=True, timeout=60
    )
    if done.returncode:
        raise RuntimeError(f"{program} did not start: {done.stdout}{done.stderr}")


def _wait_until_idle(environment: dict[str, str]) -> None:
    for _ in range(300):
        found = subprocess.run(
            ["sinfo", "-h", "-o", "%T"], env=environment, capture_output=True, text=True
        )
        if "idle" in found.stdout:
            return
        time.sleep(0.1)
    raise RuntimeError(f"SLURM's node is not idle: {found.stdout}{found.stderr}")


def _cancel_all(environment: dict[str, str]) -> None:
    subprocess.run(["scancel", "--full", "-u", "root"], env=environment, check=False)
    for _ in range(100):
        if not subprocess.run(["squeue", "-h"], env=environment, capture_output=True).stdout:
            return
        time.sleep(0.1)


def _end(pid_file: Path) -> None:
    try:
        os.kill(int(pid_file.read_text()), 9)  # nothing of it is kept
    except (OSError, ValueError):
        pass


if __name__ == "__main__":
    reason = why_not()
    if reason is not None:
        print(f"skipped: {reason}")
        sys.exit(0)
    with slurm() as configuration:
        code = subprocess.run(
            sys.argv[1:], env={**os.environ, "SLURM_CONF": configuration}
        ).returncode
    sys.exit(code)
