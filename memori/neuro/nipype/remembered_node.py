"""A node of a Nipype workflow that asks memori before it runs.

`RememberedNode` is put in front of a class of nodes (`memori.neuro.nipype.remembered`) and
overrides what Nipype's plugins call: `is_cached` and `run`. On a miss the node runs as it always
did, with all its outputs; then its result is kept, and only after that the outputs that nobody
needs are removed as Nipype would have. On a hit the result is put where Nipype looks for it.

Not promised: the memory of a node whose outputs are objects that cannot be written down. It runs
each time, with a warning.
"""

from __future__ import annotations

import os
import warnings
from copy import deepcopy
from typing import Any

from nipype import config as nipype_config
from nipype import logging as nipype_logging
from nipype.interfaces.base import InterfaceResult
from nipype.pipeline.engine import JoinNode
from nipype.pipeline.engine.utils import (
    clean_working_directory,
    load_resultfile,
    merge_dict,
    save_hashfile,
    save_resultfile,
    write_node_report,
)
from nipype.utils.filemanip import emptydirs, savepkl
from nipype.utils.misc import str2bool

from memori.decision import Decision, decide
from memori.digest.values import encode
from memori.errors import MemoriWarning, RecordError
from memori.key import Key
from memori.neuro.nipype.interface_run import part_links
from memori.neuro.nipype.node_folder import (
    NodeStore,
    Place,
    bring,
    bring_folders,
    files_of,
    keep_runtime,
    outputs_from_plain,
    outputs_to_plain,
    passed_on,
    paths_in,
    recall_runtime,
    references,
    restored_outputs,
    was_edited,
)
from memori.neuro.nipype.node_key import Identity
from memori.neuro.nipype.trait_json import NotPlainError
from memori.recorder import Recorder
from memori.results import Results
from memori.store import Entry, memo_of

logger = nipype_logging.getLogger("nipype.workflow")
_NODE: Any = object  # each class of nodes with a memory derives from a class of Nipype's too


class LazyResult(InterfaceResult):  # type: ignore[misc]
    """A result that is read from its file when somebody looks at it."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or "_path" not in self.__dict__:
            raise AttributeError(name)
        found = load_resultfile(self.__dict__.pop("_path"))
        self.__dict__.update(found.__dict__)
        return getattr(found, name)


class RememberedNode(_NODE):  # type: ignore[misc]
    """What a node with a memory does differently."""

    _memori: dict[str, Any]
    _memori_kind: type
    config: Any
    _needed_outputs: list[str]

    def __reduce_ex__(self, protocol: Any) -> Any:
        from memori.neuro.nipype.remembered import blank

        # Nobody reads the arguments of the plugin here, and a callback cannot be pickled.
        whole: Any = self.__getstate__()
        state = {name: part for name, part in whole.items() if name != "use_plugin"}
        return blank, (self._memori_kind,), state

    # What Nipype asks of a node

    def is_cached(self, rm_outdated: bool = False) -> tuple[bool, bool]:
        """Tell whether memori has the node's result, after putting it back in its folder."""
        if "running" in self._memori:
            return self._memori["running"], False
        has_result = os.path.exists(self._result_file())
        if self._always_runs():
            return False, False
        try:
            hit = self._hit() is not None
        except Exception:  # the run will raise it, where it can be reported
            return False, False
        return hit or has_result, hit

    def hash_exists(self, updatehash: bool = False) -> Any:
        """Answer as Nipype does, with Nipype's hash."""
        self._get_hashval()
        return super().hash_exists(updatehash)

    @property
    def result(self) -> Any:
        """The result, from its file; an empty one for a node that failed before it had any."""
        try:
            return super().result
        except Exception:
            if "failed" not in self._memori:
                raise
            return InterfaceResult(self._interface.__class__, None)

    def run(self, updatehash: bool = False) -> Any:
        """Return the node's result, running it only if memori does not have it."""
        self._memori.pop("failed", None)
        try:
            self._complete_config()
            if self._always_runs():
                with self._place().lock():
                    return self._parted(super().run(updatehash=updatehash))
            return self._remembered_run(updatehash or self._memori.get("updatehash", False))
        except BaseException:
            self._memori["failed"] = True
            raise

    # How memori answers

    def _complete_config(self) -> None:
        if not self.config or "execution" not in self.config:
            self.config = merge_dict(deepcopy(nipype_config._sections), self.config or {})

    def _always_runs(self) -> bool:
        if self.overwrite is not None:
            return False
        return bool(self._interface.always_run) and not self._memori["verify"]

    def _place(self) -> Place:
        return Place(self._memori["root"], self.output_dir())

    def _result_file(self) -> str:
        return os.path.join(self.output_dir(), f"result_{self.name}.pklz")

    def _wanted(self) -> list[str]:
        """Return the outputs that the workflow needs; empty for all."""
        removes = str2bool(self.config["execution"]["remove_unnecessary_outputs"])
        return list(self._needed_outputs) if removes else []

    def _identity(self) -> Identity:
        self._get_inputs()
        if isinstance(self, JoinNode):
            self._collate_join_field_inputs()
        return Identity(self._interface, self._memori["root"])

    def _hit(self) -> Entry | None:
        """Return the entry of this node, once what it recorded lies in the node's folder."""
        if self.overwrite:
            return None
        identity = self._identity()
        key = identity.key()
        store = NodeStore(self._memori["root"], identity.name)
        return self._hit_on(decide(self.fullname, key, store))

    def _hit_on(self, decision: Decision) -> Entry | None:
        entry = decision.entry
        if not decision.hit or entry is None or self.overwrite:
            return None
        return entry if self._put_back(entry) else None

    def _remembered_run(self, updatehash: bool) -> Any:
        identity = self._identity()
        store = NodeStore(self._memori["root"], identity.name)
        key = identity.key()
        entry = self._hit_on(decide(self.fullname, key, store))
        if entry is None:
            with store.lock(key):
                # Whoever held the lock may have run this very node.
                key = identity.key()
                entry = self._hit_on(decide(self.fullname, key, store))
                if entry is None:
                    with self._place().lock():
                        return self._run_and_keep(identity, key, store, updatehash)
        logger.info('[Node] "%s" found in memory.', self.fullname)
        return LazyResult(self._result_file())

    # Running

    def _run_and_keep(
        self,
        identity: Identity,
        key: Key,
        store: NodeStore,
        updatehash: bool,
    ) -> Any:
        passed = paths_in(self._interface.inputs)
        self._get_hashval()  # with the outputs that are needed: Nipype's own cache agrees with it
        wanted, self._needed_outputs = self._needed_outputs, []  # memori keeps all outputs
        adopts = updatehash and os.path.exists(self._result_file())
        self._memori["running"] = adopts
        function = f"{type(self._interface).__module__}.{type(self._interface).__qualname__}"
        subject = f"node {self.fullname}"
        with Recorder(subject, identity.name, function, key, store) as recorder:
            try:
                result = self._load_results() if adopts else super().run()
            finally:
                self._needed_outputs = wanted
                del self._memori["running"]
            self._parted(result)
            entry = self._keep(recorder, identity, result, passed)
            return self._cleaned(result, entry, passed)

    def _keep(
        self, recorder: Recorder, identity: Identity, result: Any, passed: dict[str, Any]
    ) -> Entry | None:
        """Record a run; return the entry, or None if it cannot be remembered."""
        folder = self.output_dir()
        try:
            kept = recorder.new_folder()
            outputs = result.outputs
            values = {} if outputs is None else outputs_to_plain(outputs, passed, folder, kept)
            bring_folders(folder, kept)
            bring(folder, kept, list(files_of(folder)))
            keep_runtime(result.runtime, kept, folder)
            return recorder.finish(values, Results(values), None, identity.key)
        except (NotPlainError, RecordError, OSError) as error:
            warnings.warn(
                f"node {self.fullname} ran and is not remembered: {error}",
                MemoriWarning,
                stacklevel=6,
            )
            return None

    def _cleaned(self, result: Any, entry: Entry | None, passed: dict[str, Any]) -> Any:
        """Leave in the node's folder what Nipype would."""
        folder, wanted = self.output_dir(), self._wanted()
        if wanted and result.outputs is not None:
            result.outputs = clean_working_directory(
                result.outputs, folder, self._interface.inputs, wanted, self.config
            )
            self._save_result(result)
        if entry is not None:
            paths = [os.path.join(folder, name) for name in files_of(folder)]
            at = {encode(place): path for path, place in passed.items()}
            used = [at[encode(place)] for place in references(entry.outputs)]
            self._place().write(entry.key, wanted, [*paths, self._result_file()], used)
        return result

    def _save_result(self, result: Any) -> None:
        relative = str2bool(self.config["execution"]["use_relative_paths"])
        save_resultfile(result, self.output_dir(), self.name, rebase=relative)

    def _parted(self, result: Any) -> Any:
        """Make what was written elsewhere its own, where it shares its content with an input."""
        if result is None or result.outputs is None:
            return result
        own = self.output_dir() + os.sep
        sources = {_inode(path): path for path in paths_in(self._interface.inputs)}
        for path in paths_in(result.outputs):
            if not path.startswith(own) and sources.get(_inode(path), path) != path:
                part_links(path)
        return result

    # Putting back

    def _put_back(self, entry: Entry) -> bool:
        """See that the node's folder holds an entry's files; False if they were edited there."""
        root, wanted = self._memori["root"], self._wanted()
        place = self._place()
        kept = os.path.join(root, entry.folder or "")
        note = place.read()
        if note is not None and note["key"] == entry.key:
            changed = place.changed(note)
            passed = passed_on(entry.outputs, self._interface.inputs)
            if not changed and note["needed"] == wanted and note["passed"] == passed:
                return True
            if was_edited(place, changed, kept, memo_of(root)):
                return False
        with place.lock():
            self._fill(entry, kept, wanted)
            paths = [os.path.join(place.folder, name) for name in files_of(place.folder)]
            passed = passed_on(entry.outputs, self._interface.inputs)
            place.write(entry.key, wanted, [*paths, self._result_file()], passed)
        return True

    def _fill(self, entry: Entry, kept: str, wanted: list[str]) -> None:
        folder = self.output_dir()
        emptydirs(folder, noexist_ok=True)
        os.makedirs(folder, exist_ok=True)
        bring_folders(kept, folder)
        bring(kept, folder, list(files_of(kept)))
        values = restored_outputs(entry, self._memori["root"])
        outputs = outputs_from_plain(self._interface, values, kept, folder)
        runtime = recall_runtime(kept, folder)
        inputs = self._interface.inputs.get_traitsfree()
        result = InterfaceResult(type(self._interface), runtime, inputs=inputs, outputs=outputs)
        if wanted and outputs is not None:
            result.outputs = clean_working_directory(
                outputs, folder, self._interface.inputs, wanted, self.config
            )
        self._save_result(result)
        savepkl(os.path.join(folder, "_inputs.pklz"), inputs)
        savepkl(os.path.join(folder, "_node.pklz"), self)
        self._get_hashval()
        save_hashfile(os.path.join(folder, f"_0x{self._hashvalue}.json"), self._hashed_inputs)
        write_node_report(self, result=result, is_mapnode=False)


def _inode(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
