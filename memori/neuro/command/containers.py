"""Commands inside a container.

``"image.sif"`` runs in Apptainer (or Singularity), ``"podman://IMAGE"`` in podman,
``"docker://IMAGE"`` in docker. The command line stays the same: the folders of its files are
bound, read-only, under their own paths, the run's folder is writable, and the command runs in it.
What the image would run by itself (its entry point) is not used. The identity of the tool is the
digest of the image.

An image is never fetched: its digest must be known before a run is decided.

Not promised: that a container has no network; say so in `Container.run_options`.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from memori.digest.files import file_digest
from memori.neuro.tools.identity import ToolError, find

_GET = {
    "podman": "apt-get install podman, or https://podman.io",
    "docker": "https://docs.docker.com/engine/install",
    "apptainer": "https://apptainer.org",
}


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
        given = [f"{name}={value}" for name, value in variables.items()]
        if self.engine == "apptainer":
            return self._apptainer(argv, folder, binds, given), None
        name = f"memori-{os.getpid()}-{os.urandom(6).hex()}"
        engine = [self.engine, *self.engine_options]
        mounts = [_mount(each, read_only=True) for each in binds]
        mounts.append(_mount(folder, read_only=False))
        call = [*engine, "run", "--rm", "--name", name, "--pull", "never", "--workdir", folder]
        call += _each("--mount", mounts) + _each("--env", given) + self._user()
        call += ["--entrypoint", argv[0], *self.run_options, self.image, *argv[1:]]
        at_once = ["--time", "0"] if self.engine == "podman" else []
        return call, [*engine, "rm", "--force", *at_once, name]

    def _apptainer(
        self, argv: Sequence[str], folder: str, binds: list[str], given: list[str]
    ) -> list[str]:
        call = [self.engine, *self.engine_options, "exec", "--cleanenv", "--no-home"]
        call += ["--pwd", folder, *_each("--bind", [f"{each}:{each}:ro" for each in binds])]
        call += ["--bind", f"{folder}:{folder}", *_each("--env", given)]
        return [*call, *self.run_options, self.image, *argv]

    def _user(self) -> list[str]:
        """Let what the command writes belong to the user."""
        if self.engine == "podman":
            return ["--userns", "keep-id"] if os.getuid() else []
        return ["--user", f"{os.getuid()}:{os.getgid()}"]

    def identity(self, environment: Mapping[str, str]) -> str | None:
        """Return the digest of the image; None if it cannot be asked now."""
        if self.engine == "apptainer":
            return f"sha256 {file_digest(self.image).hash}" if os.path.isfile(self.image) else None
        if "@sha256:" in self.image:
            return self.image.partition("@")[2]
        program = find(self.engine, environment)
        return None if program is None else _image_digest(program, self.engine_options, self.image)

    def require(self, environment: Mapping[str, str]) -> None:
        """Raise a ToolError if the engine or the image is missing."""
        if find(self.engine, environment) is None:
            raise ToolError(
                f"the image {self.image} needs the program {self.engine!r}, which is not on the "
                f"PATH ({_GET[self.engine]})",
                self.engine,
                _GET[self.engine],
            )
        if self.engine == "apptainer" and not os.path.isfile(self.image):
            raise ToolError(f"there is no image {self.image}", self.engine)
        if self.engine != "apptainer" and self.identity(environment) is None:
            raise ToolError(
                f"{self.engine} has no image {self.image!r}: fetch it first by "
                f"`{self.engine} pull {self.image}`",
                self.engine,
            )


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
    found = {_bindable(each) for path in paths for each in (path, os.path.realpath(path))}
    outer: list[str] = []
    for each in sorted(found):
        if not any(f"{each}/".startswith(f"{above}/") for above in [folder, *outer]):
            outer.append(each)
    return outer


def _bindable(path: str) -> str:
    """Return the folder of a file; the file itself where that would be a system's root."""
    if os.path.isdir(path):
        return path.rstrip("/") or "/"
    above = os.path.dirname(path)
    return path if above == "/" else above


def _each(option: str, values: list[str]) -> list[str]:
    return [part for value in values for part in (option, value)]


def _mount(path: str, *, read_only: bool) -> str:
    fields = ["type=bind", f"src={path}", f"dst={path}"] + ["ro=true"] * read_only
    return ",".join(f'"{each}"' if "," in each else each for each in fields)


@lru_cache(maxsize=256)
def _image_digest(program: str, options: tuple[str, ...], image: str) -> str | None:
    """Ask an engine for the digest of an image, once in a process."""
    asked = subprocess.run(
        [program, *options, "image", "inspect", "--format", "{{.Id}}", image],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    digest = asked.stdout.strip().removeprefix("sha256:")
    return f"sha256 {digest}" if asked.returncode == 0 and digest else None
