"""One call of an app, from its words to its exit code."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from memori.neuro.bids.dataset import Dataset
from memori.neuro.bids.derivatives import Derivatives
from memori.neuro.bids_app.arguments import labels, parser
from memori.neuro.bids_app.chosen import Asked, Chosen, Inputs, choose, label_of, title_of
from memori.neuro.bids_app.errors import AppError
from memori.neuro.bids_app.filters import read_filters
from memori.neuro.bids_app.grouped import save_group
from memori.neuro.bids_app.levels import Done, Level, Wanted, remembering_in
from memori.neuro.bids_app.options import Option, options_of
from memori.neuro.bids_app.places import ignored, prepare, require_apart
from memori.neuro.bids_app.room import at_once
from memori.neuro.bids_app.telling import IGNORED, Telling
from memori.neuro.bids_app.validation import NAME, require_valid, validator
from memori.node import is_node
from memori.pipeline import Pipeline
from memori.version import __version__


@dataclass(frozen=True)
class App:
    """What a script says of its app; `memori.neuro.app` explains each."""

    pipeline: Any
    inputs: Inputs
    outputs: Wanted
    group: Any
    group_outputs: Mapping[str, Mapping[str, Any]]
    source: str
    name: str
    version: str | None
    description: str
    fields: Mapping[str, object]

    def main(self, words: Sequence[str]) -> int:
        """Do what the words say; return the exit code."""
        levels = ["participant", "group"] if self.group is not None else ["participant"]
        version = f"{self.version or ''} (memori {__version__})".strip()
        asked = parser(self.name, version, self.description, levels, self._options()).parse(words)
        call = Call(self, asked, words)
        with call.telling.hearing_warnings():
            return call.run()

    def _options(self) -> list[Option]:
        made = [each for each in (self.pipeline, self.group) if _is_maker(each)]
        found = {option.name: option for each in made for option in options_of(each)}
        return list(found.values())

    def built(self, asked: argparse.Namespace) -> tuple[Any, Any]:
        """Return pipeline and group, made with the options of the command line if need be."""
        pipeline = _built(self.pipeline, asked)
        if not isinstance(pipeline, Pipeline):
            pipeline = Pipeline([("start", pipeline)])
        return pipeline, None if self.group is None else _built(self.group, asked)


def _is_maker(each: object) -> bool:
    return callable(each) and not is_node(each)


def _built(each: Any, asked: argparse.Namespace) -> Any:
    if not _is_maker(each):
        return each
    given = {option.name: getattr(asked, f"option_{option.name}") for option in options_of(each)}
    try:
        return each(**given)
    except ValueError as error:  # of what was typed, as a rule
        raise AppError(f"{error} (with {given})", 2) from error


class Call:
    """One call of an app.

    Parameters
    ----------
    app : App
        The app.
    asked : argparse.Namespace
        What the command line says.
    words : sequence of str
        Its words.
    """

    def __init__(self, app: App, asked: argparse.Namespace, words: Sequence[str]) -> None:
        self.app = app
        self.asked = asked
        self.telling = Telling(app.name, asked.output_dir, words)
        self._words = words

    def run(self) -> int:
        """Run the level that is asked for; return the exit code."""
        asked, say = self.asked, self.telling.say
        _hear_decisions(asked.verbose)
        pipeline, group = self.app.built(asked)
        require_apart(asked.bids_dir, asked.output_dir, asked.work_dir, self.app.name)
        dataset = Dataset(asked.bids_dir)
        chosen = self._chosen(dataset)
        self._validate(chosen)
        prepare(asked.output_dir, asked.work_dir)
        self.telling.open()
        title = f"{self.app.name} {self.app.version or ''}".strip()
        whom = _counted(len(chosen.participants), "participant")
        to_do = _counted(len(chosen.cases), "case")
        say(f"{title}: {asked.analysis_level} level, {whom}, {to_do}, in {asked.output_dir}")
        fields: dict[str, Any] = dict(self.app.fields)
        derivatives = Derivatives(
            asked.output_dir, name=self.app.name, version=self.app.version, **fields
        )
        level = Level(pipeline, self.app.outputs, self.app.source, derivatives)
        with remembering_in(os.path.abspath(asked.work_dir), [pipeline, group]):
            done = self._run_cases(level, chosen)
            code, has_run = self._tell(chosen, done)
            if asked.analysis_level == "group":
                code, has_run = self._run_group(group, derivatives, done, code, has_run)
        if done:
            derivatives.ignore([*IGNORED, *ignored(asked.output_dir, asked.work_dir)])
        if not has_run and code == 0:
            self.telling.forget()
        return code

    # What to run

    def _chosen(self, dataset: Dataset) -> Chosen:
        asked, warn = self.asked, self.telling.warn
        queries = self.app.inputs.queries
        filters = read_filters(asked.bids_filter_file, queries, warn) \
            if asked.bids_filter_file else {}  # fmt: skip
        wanted = Asked(
            labels(asked.participant_label, "sub"),
            labels(asked.session_label, "ses"),
            labels(asked.task_id, "task"),
            filters,
        )
        chosen = choose(dataset, self.app.inputs, wanted, warn)
        if not chosen.cases and not chosen.problems:
            why = next(iter(chosen.left_out.values()))
            raise AppError(f"there is nothing to do in {dataset.root}: {why}")
        return chosen

    def _validate(self, chosen: Chosen) -> None:
        if self.asked.skip_bids_validation:
            return
        program = validator()
        if program is None:
            self.telling.say(f"not validated: there is no {NAME} (pip install {NAME})")
            return
        require_valid(program, self.asked.bids_dir, chosen.participants)

    # Running

    def _run_cases(self, level: Level, chosen: Chosen) -> list[Done]:
        asked, cases = self.asked, chosen.cases
        n_jobs = min(asked.nprocs, max(1, len(cases)) * (level.pipeline.resources.threads or 1))
        if asked.mem is None or n_jobs == 1 or not cases:
            return level.run(cases, n_jobs)
        known = at_once(asked.mem, asked.work_dir, n_jobs)
        if known is not None:
            return level.run(cases, known)
        first = level.run(cases[:1], 1)  # nobody knows yet what one takes
        return first + level.run(cases[1:], at_once(asked.mem, asked.work_dir, n_jobs) or 1)

    def _run_group(
        self, group: Any, derivatives: Derivatives, done: list[Done], code: int, has_run: bool
    ) -> tuple[int, bool]:
        good = [each for each in done if each.result is not None]
        self.telling.say(f"group: of {len(good)} of {len(done)}")
        if not good:
            raise AppError("there is nothing to make a group of: all failed")
        try:
            ran = save_group(group, self.app.group_outputs, derivatives, good, self.app.source)
        except (TypeError, KeyboardInterrupt):  # the app's own fault, or the user's wish
            raise
        except Exception as error:
            self._tell_crash("", "group", Done({}, problem=f"{type(error).__name__}: {error}"))
            return 1, True
        self.telling.say(f"  ran: {_named(ran)}" if ran else "  remembered")
        return code, has_run or bool(ran)

    # Telling

    def _tell(self, chosen: Chosen, done: Sequence[Done]) -> tuple[int, bool]:
        """Say what came of each case and participant; return the exit code, and if any ran."""
        lead, say = self.app.inputs.lead, self.telling.say
        failed: dict[str, None] = {}
        for each in done:
            label, title = label_of(each.case, lead), title_of(each.case, lead)
            if each.problem:
                failed[label] = None
                self._tell_crash(label, title, each)
            else:
                say(f"  {title}: {_did(each)}")
        for label, problems in chosen.problems.items():
            failed[label] = None
            for problem in problems:
                self._tell_crash(label, f"sub-{label}", Done({}, problem=problem))
        for label, why in chosen.left_out.items():
            say(f"  sub-{label}: left out, {why}")
        fine = [each for each in done if not each.problem]
        ran = sum(bool(each.ran) for each in fine)
        counts = f"{ran} ran, {len(fine) - ran} remembered, {len(done) - len(fine)} failed"
        say(f"{_counted(len(done), 'case')}: {counts}")
        if failed:
            named = " ".join(f"sub-{label}" for label in failed)
            whom = _counted(len(failed), "participant")
            say(f"{self.app.name}: {whom} failed: {named}", is_error=True)
        elif not ran and self.asked.analysis_level == "participant":
            anew = sum(each.is_saved_anew for each in fine)
            say(
                f"nothing ran: {_counted(anew, 'case')} saved anew from what is remembered"
                if anew
                else "nothing to do: all of it is remembered and saved"
            )
        return int(bool(failed)), any(each.ran for each in done)

    def _tell_crash(self, label: str, title: str, done: Done) -> None:
        path = self.telling.crash(label, title, done, self._again(label))
        self.telling.say(f"  {title}: FAILED: {done.problem}\n    log: {path}", is_error=True)

    def _again(self, label: str) -> str:
        """Return the command line that runs one participant alone."""
        asked = self.asked
        script = getattr(sys.modules["__main__"], "__file__", None)
        words = [*(["python", script] if script else [self.app.name]), asked.bids_dir]
        words += [asked.output_dir, asked.analysis_level, "-w", asked.work_dir]
        words += ["--participant-label", label] if label else []
        return shlex.join(words)


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _did(done: Done) -> str:
    if done.ran:
        return f"ran {_named(done.ran)}"
    return "remembered, saved anew" if done.is_saved_anew else "remembered"


def _named(stages: Sequence[str]) -> str:
    return " ".join(dict.fromkeys(stages))  # of one for each element of a list, its name once


def _hear_decisions(verbose: int) -> None:
    if verbose:
        import logging

        level = logging.INFO if verbose == 1 else logging.DEBUG
        logging.basicConfig(format="%(asctime)s %(name)s: %(message)s")
        logging.getLogger("memori").setLevel(level)
