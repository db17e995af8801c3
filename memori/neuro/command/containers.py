"""Commands inside a container.

``"image.sif"`` runs in Apptainer (or Singularity), ``"podman://IMAGE"`` in podman,
``"docker://IMAGE"`` in docker. The command line stays the same: the folders of its files are
bound, read-only, under their own paths, the run's folder is writable, and the command runs in it.
Of the host it finds nothing else: `/tmp` and the home folder are its own, empty at the start and
gone at the end, and of the environment only what the stage names is there. What the image would
run by itself (its entry point) is not used. The identity of the tool is the digest of the image.

A file that lies in a folder of many things (`/tmp`, the home folder, `/opt`) is bound alone, with
the files that belong to it: bound whole, such a folder would hide the image's own.

An image is never fetched: its digest must be known before a run is decided.

Not promised: that a container has no network; say so in `Container.run_options`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from memori.digest.files import file_digest
from memori.neuro.command.copies import with_companions
from memori.neuro.tools.identity import ToolError, cache_folder, find

_GET = {
    "podman": "apt-get install podman, or https://podman.io",
    "docker": "https://docs.docker.com/engine/install",
    "apptainer": "https://apptainer.org",
}
_PATIENCE = 60  # seconds that an engine has to tell the digest of an image
_OWN = ".container"  # in the run's folder: what the command writes to /tmp and the like
_SHARED = re.compile(
    "/|/(bin|boot|dev(/shm)?|etc|home|lib|lib64|media|mnt|opt|proc|root|run|sbin|srv|sys|tmp|var"
    "|var/tmp)|/usr(/local)?(/bin|/lib|/lib64|/share)?"
)
# What the user's environment may add to each call of Apptainer: folders, files, variables.
_ADDING = re.compile(
    "(APPTAINER|SINGULARITY)(_(BIND|BINDPATH|MOUNT|HOME|OVERLAY|OVERLAYIMAGE|SCRATCH|SCRATCHDIR"
    "|WRITABLE|WRITABLE_TMPFS|CONTAINLIBS|FUSESPEC|ENV|ENV_FILE)|ENV_.*)"
)


class Launch(NamedTuple):
    """What is really started.

    Attributes
    ----------
    argv : list of str
        The command.
    stop : list of str or None
        The command that ends what signals do not reach.
    environment : dict of str to str
        All of it.
    image : str
        The container, as ``engine://image``; empty without one.
    """

    argv: list[str]
    stop: list[str] | None
    environment: dict[str, str]
    image: str = ""


@dataclass(frozen=True)
class Container:
    """An image, and how it is run.

    Attributes
    ----------
    image : str
        Path of a .sif file, or an image that the engine has.
    engine : {"apptainer", "podman", "docker"}
        What runs it.
    engine_options, run_options : tuple of str
        Further options: of the engine itself, and of its ``run`` or ``exec``.
    binds : tuple of str
        Further folders that the command may read.
    """

    image: str
    engine: str
    engine_options: tuple[str, ...] = ()
    run_options: tuple[str, ...] = ()
    binds: tuple[str, ...] = ()

    def wrap(
        self,
        argv: Sequence[str],
        folder: str,
        reads: Iterable[str],
        variables: Mapping[str, str],
    ) -> tuple[list[str], list[str] | None]:
        """Return the command that runs `argv` in the container, and the one that ends it.

        Parameters
        ----------
        argv : sequence of str
            The command.
        folder : str
            The run's own folder.
        reads : iterable of str
            Files and folders that it reads.
        variables : Mapping of str to str
            The environment that it is given.
        """
        binds = readable([*reads, *self.binds], folder)
        if self.engine == "apptainer":
            return self._apptainer(argv, folder, binds), None
        given = [f"{name}={value}" for name, value in variables.items()]
        name = f"memori-{os.getpid()}-{os.urandom(6).hex()}"
        engine = [self.engine, *self.engine_options]
        mounts = [_mount(f"src={each}", f"dst={each}", "ro=true") for each in binds]
        mounts.append(_mount(f"src={folder}", f"dst={folder}"))
        call = [*engine, "run", "--rm", "--name", name, "--pull", "never", "--workdir", folder]
        call += _each("--mount", mounts) + _each("--env", [*given, "MEMORI_RUN"]) + self._user()
        call += ["--entrypoint", argv[0], *self.run_options, self.image, *argv[1:]]
        at_once = ["--time", "0"] if self.engine == "podman" else []
        return call, [*engine, "rm", "--force", *at_once, name]

    def _apptainer(self, argv: Sequence[str], folder: str, binds: list[str]) -> list[str]:
        call = [self._program(os.environ), *self.engine_options, "exec", "--containall"]
        if os.path.expanduser("~") in binds:
            call.append("--no-home")  # its own home would lie over it
        call += ["--workdir", os.path.join(folder, _OWN), "--pwd", folder]
        for each in binds:
            call += _bound(each, "ro")
        return [*call, *_bound(folder), *self.run_options, self.image, *argv]

    def _program(self, environment: Mapping[str, str]) -> str:
        """Return the program that runs it: of Apptainer's two names the one that is there."""
        names = ("apptainer", "singularity") if self.engine == "apptainer" else (self.engine,)
        return next((name for name in names if find(name, environment)), self.engine)

    @contextmanager
    def around(
        self,
        argv: Sequence[str],
        folder: str,
        reads: Iterable[str],
        variables: Mapping[str, str],
    ) -> Iterator[Launch]:
        """Make ready for a command in the container and tidy up after it; as for `wrap`."""
        call, stop = self.wrap(argv, folder, reads, variables)
        image = f"{self.engine}://{self.image}"
        if self.engine != "apptainer":
            yield Launch(call, stop, dict(os.environ), image)
            return
        environment = {k: text for k, text in os.environ.items() if not _ADDING.fullmatch(k)}
        prefix = f"{call[0]}env_".upper()
        environment.update((f"{prefix}{name}", value) for name, value in variables.items())
        place = os.path.join(folder, _OWN)
        os.mkdir(place)
        try:
            yield Launch(call, stop, environment, image)
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def _user(self) -> list[str]:
        """Let what the command writes belong to the user."""
        if self.engine == "podman":
            return ["--userns", "keep-id"] if os.getuid() else []
        return ["--user", f"{os.getuid()}:{os.getgid()}"]

    def identity(self, environment: Mapping[str, str]) -> str | None:
        """Return the digest of the image; None if it cannot be asked now."""
        if self.engine == "apptainer":
            if not os.path.isfile(self.image):
                return None
            return f"sha256 {file_digest(self.image, cache_folder('files')).hash}"
        if "@sha256:" in self.image:
            return self.image.partition("@")[2]
        program = find(self.engine, environment)
        try:
            return program and _image_digest(program, self.engine_options, self.image)
        except ToolError:
            return None

    def require(self, environment: Mapping[str, str]) -> None:
        """Raise a ToolError if the engine or the image is missing."""
        program = find(self._program(environment), environment)
        if program is None:
            raise ToolError(
                f"the image {self.image} needs the program {self.engine!r}, which is not on the "
                f"PATH ({_GET[self.engine]})",
                self.engine,
                _GET[self.engine],
            )
        if self.engine != "apptainer":
            if "@sha256:" not in self.image:
                _image_digest(program, self.engine_options, self.image)
        elif not os.path.isfile(self.image):
            raise ToolError(f"there is no image {self.image}", self.engine)


def container_of(text: str | os.PathLike[str] | Container) -> Container:
    """Return the container that a user's words stand for.

    Raises
    ------
    ValueError
        If they name neither a .sif file nor an engine.

    Examples
    --------
    >>> container_of("podman://docker.io/library/alpine:3.20").image
    'docker.io/library/alpine:3.20'
    """
    if isinstance(text, Container):
        return text
    words = os.fspath(text)
    engine, separator, image = words.partition("://")
    if separator and engine in ("podman", "docker") and image:
        return Container(image, engine)
    if not separator and words.endswith((".sif", ".simg", ".img")):
        return Container(os.path.abspath(words), "apptainer")
    raise ValueError(
        f"the container {words!r} is none of image.sif, podman://IMAGE and docker://IMAGE"
    )


def readable(paths: Iterable[str], folder: str) -> list[str]:
    """Return the folders that hold these files, outermost only, without the run's own.

    Of a link, the folder that it points into is among them (datasets of DataLad are links).
    """
    each_way = {place for path in paths for place in (path, os.path.realpath(path))}
    found = {bound for path in each_way for bound in _bindable(path)}
    outer: list[str] = []
    for each in sorted(found):
        if not any(f"{each}/".startswith(f"{above}/") for above in [folder, *outer]):
            outer.append(each)
    return outer


def _bindable(path: str) -> list[str]:
    """Return the folder of a file; where others lie in it, too, the file and what belongs to it."""
    if os.path.isdir(path):
        return [path.rstrip("/") or "/"]
    above = os.path.dirname(path)
    if _SHARED.fullmatch(above) or above in (tempfile.gettempdir(), os.path.expanduser("~")):
        return with_companions(path) if os.path.isfile(path) else [path]
    return [above]


def _each(option: str, values: list[str]) -> list[str]:
    return [part for value in values for part in (option, value)]


def _bound(path: str, *options: str) -> list[str]:
    """Return the words by which Apptainer binds a path under its own name."""
    if re.fullmatch(r"[\w./+@=-]+", path, re.ASCII):
        return ["--bind", ":".join((path, path, *options))]
    return ["--mount", _mount(f"source={path}", f"destination={path}", *options)]


def _mount(*fields: str) -> str:
    """Return a mount as engines read it: one line of a table, its fields quoted where need be."""
    quoted = (
        '"{}"'.format(each.replace('"', '""')) if re.search('[",\r\n]', each) else each
        for each in fields
    )
    return ",".join(("type=bind", *quoted))


@lru_cache(maxsize=256)
def _image_digest(program: str, options: tuple[str, ...], image: str) -> str:
    """Ask an engine for the digest of an image; what it told is known in this process."""
    name = os.path.basename(program)
    try:
        asked = subprocess.run(
            [program, *options, "image", "inspect", "--format", "{{.Id}}", image],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_PATIENCE,
        )
    except subprocess.TimeoutExpired:
        raise ToolError(
            f"{name} did not answer within {_PATIENCE} s when asked for the image {image!r}; try "
            f"`{name} image inspect {image}`",
            name,
        ) from None
    digest = asked.stdout.strip().removeprefix("sha256:")
    if asked.returncode or not digest:
        raise ToolError(
            f"{name} has no image {image!r}: fetch it first by `{name} pull {image}`", name
        )
    return f"sha256 {digest}"
