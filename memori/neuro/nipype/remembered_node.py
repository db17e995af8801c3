"""A node of a Nipype workflow that asks memori before it runs.

`remember_node` changes a node's class (Node, JoinNode, MapNode, or a user's) to a subclass of the
same name with `RememberedNode` before it, which overrides what Nipype's plugins call: `is_cached`
and `run`. On a miss the node runs as it always did, with all its outputs; then its result is kept,
and only after that the outputs that nobody needs are removed as Nipype would have. On a hit the
result is put where Nipype looks for it. A node carries one plain dict, ``_memori``, so that it goes
wherever nodes go: to worker processes, into crash files, through copies.

Maps are in `memori.neuro.nipype.remembered_map`.
Nodes that always run (sinks, grabbers) run, unless they are asked to verify instead; so do those
that are not to be remembered: an attribute ``remember = False`` of the node or its interface. What
a sink wrote never shares its content with memori's copy (see
`memori.neuro.nipype.interface_run.part_links`).

Not promised: the memory of a node with an output that others are given and that cannot be written
down. It runs each time, with a warning.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from nipype import logging as nipype_logging
from nipype.interfaces.base import InterfaceResult

from memori.aside import aside
from memori.calls.decision import Decision, decide
from memori.calls.observations import Unwatched, Watch, pass_on, put_back, watching_is_off
from memori.calls.recorder import Recorder
from memori.calls.shared import tell_of_turns
from memori.digest.values import encode
from memori.errors import RecordError, warn
from memori.layout import memo_of
from memori.neuro.nipype.engine_api import (
    NodeHook,
    all_outputs_kept,
    clean_working_directory,
    complete_config,
    emptydirs,
    hash_inputs,
    load_results,
    program_of,
    result_file,
    save_result,
    save_run_files,
    take_inputs,
)
from memori.neuro.nipype.given_folders import count_folders
from memori.neuro.nipype.interface_run import argv_of, part_links
from memori.neuro.nipype.kinds import reduced
from memori.neuro.nipype.node_files import (
    bring,
    bring_folders,
    files_below,
    files_of,
    keep_aside,
    links_of,
    named_in,
    recall_aside,
)
from memori.neuro.nipype.node_folder import (
    LazyResult,
    NodeFolder,
    NodeStore,
    beside_inputs,
    led_from,
    mark_of,
    outputs_from_plain,
    outputs_to_plain,
    passed_on,
    paths_in,
    references,
    restored_outputs,
    was_edited,
)
from memori.neuro.nipype.node_key import Identity
from memori.neuro.nipype.traits.values import NotPlainError
from memori.neuro.nipype.unneeded import StandIn, copies_of_inputs, holds_all, removes_unneeded
from memori.neuro.nipype.watched_command import watch_commands
from memori.results import Results
from memori.store import Entry

logger = nipype_logging.getLogger("nipype.workflow")
_STAYS_HERE = ("use_plugin", "_watch", "_stand_in")
watch_commands()


class RememberedNode(NodeHook):
    """What a node with a memory does differently."""

    _memori: dict[str, Any]
    _watch: Watch | Unwatched | None = None
    _stand_in: StandIn | None = None

    def __reduce_ex__(self, protocol: Any) -> Any:
        # Nobody reads the arguments of the plugin here, and a callback cannot be pickled.
        whole: Any = self.__getstate__()
        return reduced(
            self, {name: part for name, part in whole.items() if name not in _STAYS_HERE}
        )

    def around_interface(self) -> AbstractContextManager[object]:
        """Return the watch over the run."""
        return self._looks_on()

    @contextmanager
    def _looks_on(self) -> Iterator[None]:
        with self._watch or nullcontext(), self._stand_in or nullcontext():
            yield
            count_folders(self.interface)

    # What Nipype asks of a node

    def is_cached(self, rm_outdated: bool = False) -> tuple[bool, bool]:
        """Tell whether memori has the node's result, after putting it back in its folder."""
        if "running" in self._memori:
            return self._memori["running"], False
        has_result = os.path.exists(result_file(self))
        if self.runs_always():
            return False, False
        try:
            hit = self.hit() is not None
        except Exception:  # the run will raise it, where it can be reported
            return False, False
        return hit or has_result, hit

    def hash_exists(self, updatehash: bool = False) -> Any:
        """Answer as Nipype does, with Nipype's hash."""
        hash_inputs(self)
        return super().hash_exists(updatehash)

    @property
    def result(self) -> Any:
        """The result, from its file; an empty one for a node that failed before it had any."""
        try:
            return super().result
        except Exception:
            if "failed" not in self._memori:
                raise
            return InterfaceResult(type(self.interface), None)

    def run(self, updatehash: bool = False) -> Any:
        """Return the node's result, running it only if memori does not have it."""
        self._memori.pop("failed", None)
        try:
            complete_config(self)
            if self.runs_always():
                with self.own_folder().lock():
                    return self._parted(super().run(updatehash=updatehash))
            return self._remembered_run(updatehash or self._memori.get("updatehash", False))
        except BaseException:
            self._memori["failed"] = True
            raise

    # How memori answers

    def is_remembered(self) -> bool:
        """Tell whether the user wants the node to be remembered."""
        wishes = (self, self.interface)
        return self._memori.get("remember", True) and all(
            getattr(w, "remember", True) for w in wishes
        )

    def runs_always(self) -> bool:
        """Tell whether the node is to run each time."""
        if not self.is_remembered():
            return True
        if self.overwrite is not None:
            return False
        return bool(self.interface.always_run) and not self._memori["verify"]

    def own_folder(self) -> NodeFolder:
        """Return the node's folder, with its note."""
        return NodeFolder(self._memori["root"], self.output_dir())

    def wanted(self) -> list[str]:
        """Return the outputs that the workflow needs; empty for all."""
        return list(self.needed_outputs) if removes_unneeded(self.config) else []

    def _holds_all(self, entry: Entry) -> bool:
        return holds_all(entry, self._memori["root"], self.wanted(), self.config)

    def _identity(self) -> Identity:
        take_inputs(self)
        base = self._memori.get("base") or self.base_dir
        return Identity(self, self._memori["root"], base, is_watched=self._is_watched())

    def _is_watched(self) -> bool:
        return self._memori.get("watch", True) and not watching_is_off()

    def hit(self) -> Entry | None:
        """Return the entry of this node, once what it recorded lies in the node's folder."""
        if self.overwrite:
            return None
        with aside():
            identity = self._identity()
            store = NodeStore(self._memori["root"], identity.name, self.fullname)
            return self._hit_on(self._decision(identity, store), store)

    def _decision(self, identity: Identity, store: NodeStore) -> Decision:
        return decide(self.fullname, identity.key(), store)

    def _hit_on(self, decision: Decision, store: NodeStore) -> Entry | None:
        entry, key = decision.hit_entry, decision.key
        if entry is None or key is None or self.overwrite or not self._holds_all(entry):
            return None
        with aside():
            try:
                is_back = self._put_back(entry)
                put_back(entry, store, key.files)
            except NotPlainError:  # of a class that is not installed any more
                is_back = False
        if is_back:
            pass_on(entry, store, key.files)
        return entry if is_back else None

    def _remembered_run(self, updatehash: bool) -> Any:
        with aside():
            identity = self._identity()
            store = NodeStore(self._memori["root"], identity.name, self.fullname)
            decision = self._decision(identity, store)
        entry = self._hit_on(decision, store)
        assert decision.key is not None
        if entry is None:
            with store.lock(decision.key):
                # Whoever held the lock may have run this very node.
                with aside():
                    decision = self._decision(identity, store)
                entry = self._hit_on(decision, store)
                if entry is None:
                    with self.own_folder().lock():
                        return self._run_and_keep(identity, decision, store, updatehash)
        logger.info('[Node] "%s" found in memory.', self.fullname)
        return LazyResult(result_file(self))

    # Running

    def _run_and_keep(
        self,
        identity: Identity,
        decision: Decision,
        store: NodeStore,
        updatehash: bool,
    ) -> Any:
        passed = paths_in(self.interface.inputs)
        hash_inputs(self)  # with the outputs that are needed: Nipype's own cache agrees with it
        adopts = updatehash and os.path.exists(result_file(self))
        self._memori["running"] = adopts
        function = f"{type(self.interface).__module__}.{type(self.interface).__qualname__}"
        subject = f"node {self.fullname}"
        assert decision.key is not None
        about = (subject, identity.name, function, decision.key, store)
        with aside():
            tell_of_turns(subject, decision, store)
        found = decision.hit_entry
        replaces = found is not None and not self._holds_all(found)
        with Recorder(*about, why=decision, forced=replaces) as recorder:
            recorder.own_folders.append(self.output_dir())
            watch = None
            if self._is_watched() and not adopts:
                watch = Watch(identity.code, store, self._memori.get("ignore_reads", ()))
            self._watch = watch or Unwatched(identity.code)
            self._stand_in = stand_in = StandIn(self.interface, self.wanted(), self.output_dir())
            try:
                with all_outputs_kept(self):
                    result = load_results(self) if adopts else super().run()
            finally:
                del self._memori["running"]
                self._watch = self._stand_in = None
            with aside():
                stand_in.reveal()
                self._parted(result)
                entry = self._keep(recorder, identity, result, passed, watch, stand_in)
                cleaned = self._cleaned(result, entry, passed)
        if entry is not None:
            pass_on(entry, store, decision.key.files)
        return cleaned

    def _keep(
        self,
        recorder: Recorder,
        identity: Identity,
        result: Any,
        passed: dict[str, Any],
        watch: Watch | None,
        stand_in: StandIn,
    ) -> Entry | None:
        """Record a run; return the entry, or None if it cannot be remembered."""
        folder = self.output_dir()
        try:
            kept = recorder.new_folder()
            cmdline = getattr(result.runtime, "cmdline", None)
            if isinstance(cmdline, str):
                told = {"argv": argv_of(cmdline), "tool": program_of(self.interface)}
                recorder.command = told
            outputs = result.outputs
            values: dict[str, Any] = {}
            if outputs is not None:
                values = outputs_to_plain(outputs, passed, folder, kept, self.wanted())
            named = named_in(folder, paths_in(outputs) if values else ())
            names = list(files_of(folder, named))
            bring_folders(folder, kept, named)
            bring(folder, kept, names)
            links = links_of(folder, names, passed)
            keep_aside(kept, folder, result.runtime, links, has_lost=stand_in.has_lost)
            return recorder.finish(values, Results(values), watch, identity.key)
        except (NotPlainError, RecordError, OSError) as error:
            if not isinstance(error, RecordError):
                recorder.drop_folder()
            warn(f"node {self.fullname} ran and is not remembered: {error}")
            return None

    def _cleaned(self, result: Any, entry: Entry | None, passed: dict[str, Any]) -> Any:
        """Leave in the node's folder what Nipype would."""
        folder, wanted = self.output_dir(), self.wanted()
        if wanted and result.outputs is not None:
            result.outputs = clean_working_directory(
                result.outputs, folder, self.interface.inputs, wanted, self.config
            )
            save_result(self, result)
        if entry is not None:
            root = self._memori["root"]
            kept = os.path.join(root, entry.folder or "")
            paths = [os.path.join(folder, name) for name in files_below(kept)]
            at = {encode(pointer): path for path, pointer in passed.items()}
            used = [at[encode(pointer)] for pointer in references(entry.outputs)]
            used += beside_inputs(entry, root)
            self.own_folder().write(mark_of(entry), wanted, [*paths, result_file(self)], used)
        return result

    def _parted(self, result: Any) -> Any:
        """Make what was written elsewhere its own, where it shares its content with an input."""
        if result is None or result.outputs is None:
            return result
        own = self.output_dir() + os.sep
        sources = {_inode(path): path for path in paths_in(self.interface.inputs)}
        for path in paths_in(result.outputs):
            if not path.startswith(own) and sources.get(_inode(path), path) != path:
                part_links(path)
        return result

    # Putting back

    def _put_back(self, entry: Entry) -> bool:
        """See that the node's folder holds an entry's files; False if they were edited there."""
        root, wanted = self._memori["root"], self.wanted()
        node_folder = self.own_folder()
        kept = os.path.join(root, entry.folder or "")
        note = node_folder.read()
        if note is not None and note["key"] == mark_of(entry):
            changed = node_folder.changed(note)
            passed = passed_on(entry, self.interface.inputs, root)
            if not changed and note["needed"] == wanted and note["passed"] == passed:
                return True
            if was_edited(node_folder, changed, kept, memo_of(root)):
                return False
        with node_folder.lock():
            self._fill(entry, kept, wanted)
            paths = [os.path.join(node_folder.path, name) for name in files_below(kept)]
            passed = passed_on(entry, self.interface.inputs, root)
            node_folder.write(mark_of(entry), wanted, [*paths, result_file(self)], passed)
        return True

    def _fill(self, entry: Entry, kept: str, wanted: list[str]) -> None:
        folder = self.output_dir()
        emptydirs(folder, noexist_ok=True)
        os.makedirs(folder, exist_ok=True)
        runtime, links = recall_aside(kept, folder)
        own = self.interface.inputs
        bring_folders(kept, folder)
        bring(kept, folder, list(files_below(kept)), led_from(links, own))
        values = restored_outputs(entry, self._memori["root"])
        outputs = outputs_from_plain(self.interface, values, kept, folder)
        inputs = self.interface.inputs.get_traitsfree()
        result = InterfaceResult(type(self.interface), runtime, inputs=inputs, outputs=outputs)
        if wanted and outputs is not None:
            copies = copies_of_inputs(paths_in(own), folder, self.config)
            result.outputs = clean_working_directory(
                outputs, folder, own, wanted, self.config, copies
            )
        save_result(self, result)
        save_run_files(self, result)


def _inode(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
