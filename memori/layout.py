"""Where what a stage remembers lies, below its `hash_output`.

::

    NAME.inputs  NAME.outputs  NAME.stage     the latest run, for people to read
    NAME/KEY8/                                a run's own folder; NAME/latest links to the latest
    .memori/stages/NAME/CC/CONTENTS16-KEY32.json
                                              entries, by the digest of inputs with contents (its
                                              first two digits are CC), and by key; KEY32.2.json
                                              and so on where runs of one key saw other files
    .memori/stages/NAME/CC/CONTENTS16.unfinished
                                              the folder of a run that goes on, or failed
    .memori/stages/NAME/folders/KEY8.json     whose a run's folder is, and what became of the run
    .memori/stages/NAME/latest                which entry is that of the latest run
    .memori/stages/NAME/recent/INPUTS32       the latest entries of inputs that name files,
                                              whatever these held
    .memori/stages/NAME/sketches              which run is most like a call that is not recorded
    .memori/stages/NAME/marks                 marks of files that runs wrote where an input said
    .memori/written                           marks of files that runs wrote outside their folders
    .memori/locks                             the locks of runs that go on (`memori.processes.lock`)
    .memori/files/                            digests of files, remembered by stat
    .memori/nodes/                            what lies in the folders of Nipype's nodes
    .memori/sources/                          the source of code that ran, each text once
    .memori/arguments/                        arrays and images that functions were given
    .memori/derivatives/                      below a folder of BIDS derivatives: what was written
    .memori/outdated/, .memori/edited/        there, too: derivatives whose rerun failed, and those
                                              that somebody changed before they were made again

No other module knows a path inside ``.memori``.
"""

from __future__ import annotations

import os
import re
from hashlib import sha256

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class Key(Protocol):
        """What the place of an entry depends on (`memori.key.Key`)."""

        inputs_digest: str
        contents_digest: str
        digest: str


HIDDEN = ".memori"
INSIDE = frozenset(
    {"stages", "files", "nodes", "arguments", "sources", "derivatives", "outdated", "edited"}
)
"""The folders in the hidden one; whatever else lies there is the user's."""
_VIEWS = ("inputs", "outputs", "stage")
_MOST_NAMES = 4096
_file_names: dict[str, str] = {}
SHARD = r"[0-9a-f]{2}"
OLD_SHARD = r"[0-9a-f]{16}"
"""Where schema 1 kept the entries of one set of inputs."""
ENTRY = r"(?:[0-9a-f]{2}|[0-9a-f]{16})/[0-9a-f-]+(?:\.\d+)?\.json"
"""The file of an entry, relative to the stage's records."""
_RUN_NAME = r"[0-9a-f]{8}(?:-\d+)?"
_IN_RUN = rf"(?:(?P<above>.+)/)?(?P<name>[^/]+)/(?P<key>{_RUN_NAME})(?:/(?P<inside>.+))?"
_NAME = r"(?!\.)[\w.+=@,-]+"
RUN_FOLDER = rf"{_NAME}/{_RUN_NAME}"
"""A run's own folder, relative to the root."""
CLAIMED = rf"\.memori/stages/{_NAME}/(?:{ENTRY}|recent/[0-9a-f]+)"
"""What a claim may name, relative to the root: the entry that a run becomes, its list of names."""


def file_name(name: str) -> str:
    """Return a stage's name as a file name: short, visible and without separators.

    Examples
    --------
    >>> file_name("smooth"), file_name("<lambda>")
    ('smooth', 'lambda')
    """
    known = _file_names.get(name)
    if known is not None:
        return known
    plain = re.sub(r"[^\w.+=@,-]+", "_", name).strip("_").lstrip(".") or "stage"
    if len(os.fsencode(plain)) > 100:
        plain = f"{plain[:20]}-{sha256(name.encode('utf-8', 'surrogateescape')).hexdigest()[:12]}"
    if len(_file_names) >= _MOST_NAMES:
        _file_names.clear()
    _file_names[name] = plain
    return plain


def memo_of(root: str) -> str:
    """Return the folder in which a root's digests of files are remembered."""
    return f"{root}/{HIDDEN}/files"


def stages_of(root: str) -> str:
    """Return the folder of all stages that a root remembers."""
    return f"{root}/{HIDDEN}/stages"


def written_of(root: str) -> str:
    """Return the table of paths that remembered runs of all stages wrote outside their folders."""
    return f"{root}/{HIDDEN}/written"


def left_of(root: str) -> str:
    """Return the file that tells what runs of all stages left outside their folders, in order."""
    return f"{root}/{HIDDEN}/left"


def replaced_of(root: str) -> str:
    """Return the folder of what one run left outside its folder and another one replaced."""
    return f"{root}/{HIDDEN}/replaced"


def locks_of(root: str) -> str:
    """Return the file that stands for a root's locks."""
    return f"{root}/{HIDDEN}/locks"


def is_run_folder(root: str, name: str) -> bool:
    """Tell whether a path relative to a root is the own folder of a run, which memori made."""
    above, stage, folder = "", *os.path.split(name)
    if os.sep in stage:
        above, stage = os.path.split(stage)
    return os.path.isfile(Layout(os.path.join(root, above), stage).claim(folder))


def without_key(path: str, root: str) -> tuple[str, str]:
    """Leave the key out of a path inside a run's own folder, and return that folder as well."""
    match = re.fullmatch(_IN_RUN, path)
    above = os.path.join(match["above"] or "", match["name"]) if match else ""
    folder = os.path.join(above, match["key"]) if match else ""
    if match is None or not is_run_folder(root, folder):
        return path, ""
    return os.path.join(above, "*", match["inside"] or ""), os.path.join(root, folder)


def root_of_claim(claim: str) -> str:
    """Return the root whose memory holds a claim."""
    return claim.rpartition(f"/{HIDDEN}/stages/")[0]


def is_run_name(name: str) -> bool:
    """Tell whether a folder is called like the own folder of a run."""
    return re.fullmatch(_RUN_NAME, name) is not None


def claim_of(path: str) -> tuple[str, str] | None:
    """Return, of an absolute path in a run's own folder, the folder's claim and the path in it."""
    parts = path.split(os.sep)
    for place in range(len(parts) - 1, 1, -1):
        if is_run_name(parts[place]):
            claim = Layout(os.sep.join(parts[: place - 1]), parts[place - 1]).claim(parts[place])
            if os.path.isfile(claim):
                return claim, os.sep.join(parts[place + 1 :])
    return None


def arguments_of(root: str) -> str:
    """Return the folder of arrays, images and tables that remembered functions were given."""
    return f"{root}/{HIDDEN}/arguments"


def sources_of(root: str) -> str:
    """Return the folder of the source of code that ran."""
    return f"{root}/{HIDDEN}/sources"


def root_of(entry: str) -> str:
    """Return the root whose memory holds the file of an entry."""
    return entry.rpartition(f"/{HIDDEN}/stages/")[0]


def node_note(root: str, folder: str) -> str:
    """Return the file that notes what lies in the folder of a Nipype node."""
    return f"{root}/{HIDDEN}/nodes/{sha256(os.fsencode(folder)).hexdigest()[:32]}.json"


def derivative_record(root: str, name: str) -> str:
    """Return the file that records what memori wrote as a derivative of this name."""
    return f"{root}/{HIDDEN}/derivatives/{name}.json"


def derivative_records(root: str) -> str:
    """Return the folder of the records of derivatives that memori wrote in a folder."""
    return f"{root}/{HIDDEN}/derivatives"


def set_aside(root: str, why: str, name: str) -> str:
    """Return where a derivative goes that is "outdated" (its rerun failed) or was "edited"."""
    return f"{root}/{HIDDEN}/{why}/{name}"


class Layout:
    """The paths of one stage's memory.

    Parameters
    ----------
    root : str
        The stage's `hash_output`, absolute.
    name : str
        The stage's name as a file name.

    Attributes
    ----------
    records : str
        The folder of all that is hidden.
    """

    __slots__ = ("name", "records", "root")

    def __init__(self, root: str, name: str) -> None:
        self.root = root
        self.name = name
        self.records = f"{root}/{HIDDEN}/stages/{name}"

    def entry(self, key: Key, number: int = 1) -> str:
        """Return the file of an entry of a key; there is one for each thing that runs have seen."""
        contents = key.contents_digest
        which = "" if number == 1 else f".{number}"
        return f"{self.records}/{contents[:2]}/{contents[:16]}-{key.digest[:32]}{which}.json"

    def old_entry(self, key: Key) -> str:
        """Return where schema 1 kept the entry of a key."""
        return f"{self.records}/{key.inputs_digest[:16]}/{key.digest[:32]}.json"

    def unfinished(self, key: Key) -> str:
        """Return the mark of a run with these inputs that goes on, or failed."""
        contents = key.contents_digest
        return f"{self.records}/{contents[:2]}/{contents[:16]}.unfinished"

    def recent(self, key: Key) -> str:
        """Return the file that names the latest entries of the same inputs."""
        return f"{self.records}/recent/{key.inputs_digest[:32]}"

    @property
    def latest(self) -> str:
        """The file that names the entry of the latest run."""
        return f"{self.records}/latest"

    @property
    def marks(self) -> str:
        """The table of marks of files that runs wrote where an input said."""
        return f"{self.records}/marks"

    @property
    def sketches(self) -> str:
        """The file that tells which recorded run is most like a call."""
        return f"{self.records}/sketches"

    @property
    def claims(self) -> str:
        """The folder that tells whose each run's folder is."""
        return f"{self.records}/folders"

    def claim(self, folder: str) -> str:
        """Return the file that tells whose a run's folder is."""
        return f"{self.claims}/{os.path.basename(folder)}.json"

    def is_own(self, path: str) -> bool:
        """Tell whether an absolute path is what remembering leaves in the root, and is not hidden.

        The files for people, of any stage; the folders of this stage's runs, and what they lie in.
        """
        if not path.startswith(f"{self.root}/"):
            return False
        first, _, rest = path[len(self.root) + 1 :].partition("/")
        if rest:
            return first == self.name and (rest == "latest" or os.path.isfile(self.claim(rest)))
        stage, _, suffix = first.rpartition(".")
        is_view = suffix in _VIEWS and os.path.isdir(Layout(self.root, stage).records)
        return first == self.name or is_view

    @property
    def views(self) -> tuple[str, str, str]:
        """The three files for people: inputs, outputs, stage."""
        inputs, outputs, stage = (f"{self.root}/{self.name}.{suffix}" for suffix in _VIEWS)
        return inputs, outputs, stage
