"""A model: whatever is edited, deleted, reverted, pruned or run, results are the reference's.

The reference is the same chain of stages without a memory. And no run happens that is needless: one
with the code, the inputs and the files that an earlier one saw, whose outputs nobody touched.
"""

import importlib.util
import json
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from memori import Stage
from memori.store import Memory
from memori.store.pruning import Wanted, plan, remove

STEPS = """
import os
from pathlib import Path
from helper import scaled
from memori import workdir

OFFSET = {offset}

def load(path, factor=1):
    seen = Path(path).parent.parent / "seen"
    text = Path(path).read_text() + (seen / "x.txt").read_text()
    try:
        text += (seen / "opt.txt").read_text()
    except FileNotFoundError:
        pass
    text += " ".join(sorted(each.name for each in seen.glob("*.cfg")))
    if "boom" in text:
        raise ValueError(text)
    target = workdir() / "loaded.txt"
    target.write_text(f"{{{load}}} {{factor}} {{text}}")
    return str(target)
{comment}
def change(path, power=2):
    text = Path(path).read_text()
    target = Path(workdir(), "changed.txt")
    target.write_text(f"{{scaled(power)}} {{text}}")
    return str(target), {change}

def collect(changed, number, out, label="a"):
    Path(out).write_text(f"{{label}} {{number}} {{Path(changed).read_text()}}")
    return str(out)
"""
HELPER = "def scaled(power):\n    return {body}\n"
LOAD = ["2 * 3", "7", "3 + 3"]  # the third gives what the first gives
CHANGE = ["OFFSET + len(text)", "OFFSET - 1", "len(text) + OFFSET"]
BODY = ["power * 10", "power + 1"]
EQUAL = {2: 0}
CONTENTS = st.sampled_from(["1", "2", "3", "boom"])


class World:
    """A project, its stages, and what the model knows of their runs."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.code = {"load": 0, "change": 0, "body": 0, "offset": 0, "comment": ""}
        self.files = {"in/a.txt": "1", "in/b.txt": "2", "seen/x.txt": "1", "seen/p.cfg": "1"}
        self.known: dict[str, tuple[str, dict[str, str]]] = {}
        for name in ("in", "seen", "out", "code"):
            (root / name).mkdir()
        for name, text in self.files.items():
            (root / name).write_text(text)
        self.write_code()

    def write(self, name: str, text: str | None, *, same_time: bool) -> None:
        """Edit a file, keeping its time where that is asked for; None removes it."""
        path = self.root / name
        before = path.stat() if path.exists() else None
        if text is None:
            path.unlink(missing_ok=True)
            self.files.pop(name, None)
            return
        self.files[name] = text
        path.write_text(text)
        if same_time and before is not None:
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    def write_code(self) -> None:
        code = self.code
        chosen = {"load": LOAD[code["load"]], "change": CHANGE[code["change"]]}
        chosen |= {"offset": code["offset"], "comment": code["comment"]}
        texts = {"steps": STEPS.format(**chosen), "helper": HELPER.format(body=BODY[code["body"]])}
        for name, text in texts.items():
            (self.root / "code" / f"{name}.py").write_text(text)

    def functions(self) -> Any:
        """Import the code anew, as a new process would."""
        for name in ("helper", "steps"):
            path = self.root / "code" / f"{name}.py"
            spec = importlib.util.spec_from_file_location(name, path)
            assert spec is not None
            assert spec.loader is not None
            sys.modules[name] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(sys.modules[name])
        return sys.modules["steps"]

    def stages(self, where: Path | None) -> list[Stage]:
        steps = self.functions()
        return [
            Stage(steps.load, "path", hash_output=where),
            Stage(steps.change, ["changed", "number"], hash_output=where),
            Stage(steps.collect, "out", hash_output=where),
        ]

    def chain(self, where: Path | None, call: dict[str, Any], out: Path, **how: Any) -> Any:
        """Run the chain; return the results as contents, and what each stage was given and did."""
        load, change, collect = self.stages(where)
        told: list[Any] = []

        def run(stage: Stage, *args: Any, **kwargs: Any) -> dict[str, Any]:
            try:
                results = dict(stage.run(*args, **kwargs, **how))
            except ValueError as error:
                told.append((stage, args, kwargs, str(error)))
                raise
            told.append((stage, args, kwargs, results))
            return results

        try:
            loaded = run(load, str(self.root / call["file"]), factor=call["factor"])
            changed = run(change, loaded["path"], power=call["power"])
            run(collect, **changed, out=str(out), label=call["label"])
        except ValueError as error:
            return f"failed: {error}", told
        shown = [{name: content(value) for name, value in each[3].items()} for each in told]
        return shown, told

    def signature(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        """All that the contract lets a run of a stage depend on."""
        given = {key: content(value) for key, value in kwargs.items() if key != "out"}
        code: list[Any] = [name, [[each, content(each)] for each in args if name == "load"]]
        code += [content(each) for each in args if name != "load"]
        if name == "load":
            seen = sorted(each for each in self.files.items() if each[0].startswith("seen/"))
            code += [self.code["load"], [each for each in seen if each[0][-3:] != "cfg"]]
            code.append([each[0] for each in seen if each[0][-3:] == "cfg"])
        elif name == "change":
            code += [self.code["change"], self.code["body"], self.code["offset"]]
        return json.dumps([code, given], sort_keys=True)

    def check(self, call: dict[str, Any], *, forced: bool = False) -> None:
        """Run the chain with its memory; compare with the reference and with what is known."""
        with tempfile.TemporaryDirectory(dir=self.root) as other:
            expected, _ = self.chain(None, call, Path(other) / "out.txt")
        # What is known to stand is asked stage by stage, before it runs.
        out, where = self.root / "out" / "out.txt", self.root / "work"
        before = {path: content(path) for _, made in self.known.values() for path in made}
        how = {"force_run_stage": True} if forced else {}
        shown, told = self.chain(where, call, out, **how)
        assert expected == shown, (expected, shown, call, self.code, self.files)
        for stage, args, kwargs, results in told:
            name = stage.stage_name
            sign = self.signature(name, args, kwargs)
            if isinstance(results, str):
                continue
            earlier = self.known.get(sign)
            stands = earlier is not None and all(
                before.get(path) == then for path, then in earlier[1].items()
            )
            assert not (stands and stage.state and not forced), f"needless run of {name}: {sign}"
            made = {v: content(v) for v in results.values() if isinstance(v, str)}
            self.known[sign] = self.entry_of(stage, args, kwargs), made
            before.update(made)

    def entry_of(self, stage: Stage, args: Any, kwargs: Any) -> str:
        decision = stage.explain(*args, **kwargs)
        assert decision.hit, f"a run that just ended is no hit: {decision}"
        assert decision.entry is not None
        return decision.entry.path

    def lose_what_is_gone(self) -> None:
        self.known = {sign: each for sign, each in self.known.items() if os.path.exists(each[0])}


def content(value: Any) -> Any:
    """What a value stands for: a file's text; nothing for one that is gone."""
    if isinstance(value, str) and os.path.isabs(value):
        return Path(value).read_text() if os.path.isfile(value) else None
    return value


def in_another_process(act: Callable[[], None]) -> int:
    """Begin something in a process of its own and return its number."""
    child = os.fork()
    if not child:
        code = 1
        try:
            act()
            code = 0
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            os._exit(code)
    return child


CALLS = st.fixed_dictionaries({
    "file": st.sampled_from(["in/a.txt", "in/b.txt"]),
    "factor": st.sampled_from([1, 2, 1.0, True]),
    "power": st.sampled_from([2, 3]),
    "label": st.sampled_from(["a", "b"]),
})  # fmt: skip


class Model(RuleBasedStateMachine):
    """What people do to a project, in any order."""

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.mkdtemp(prefix="model-")
        self.world = World(Path(self.folder))
        self.older: list[tuple[str, str]] = []
        sys.dont_write_bytecode = True

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            shutil.rmtree(self.folder)

    @rule(call=CALLS)
    def run(self, call: dict[str, Any]) -> None:
        self.world.check(call)

    @rule(call=CALLS)
    def run_again(self, call: dict[str, Any]) -> None:
        self.world.check(call)
        self.world.check(call)

    @rule(call=CALLS)
    def force(self, call: dict[str, Any]) -> None:
        self.world.check(call, forced=True)

    @rule(calls=st.lists(CALLS, min_size=1, max_size=2))
    def run_in_other_processes(self, calls: list[dict[str, Any]]) -> None:
        """What they leave is known here, too: nothing that they ran is run again."""
        same = [{**each, "label": calls[0]["label"]} for each in calls]
        children = [
            in_another_process(lambda call=call: self.world.check(call)) for call in same[:1]
        ]
        children += [
            in_another_process(
                lambda call=call: self.world.stages(self.world.root / "work")[0].recall(
                    (str(self.world.root / call["file"]),), {"factor": call["factor"]}
                )
            )
            for call in same[1:]
        ]
        assert [0] * len(children) == [os.waitpid(each, 0)[1] for each in children]
        self.world.check(same[0])

    @rule(name=st.sampled_from(["in/a.txt", "in/b.txt"]), text=CONTENTS, same_time=st.booleans())
    def edit(self, name: str, text: str, same_time: bool) -> None:
        self.older.append((name, self.world.files[name]))
        self.world.write(name, text, same_time=same_time)

    @rule(text=st.sampled_from(["1", "2"]), same_time=st.booleans())
    def edit_what_is_read(self, text: str, same_time: bool) -> None:
        self.world.write("seen/x.txt", text, same_time=same_time)

    @rule(text=st.sampled_from([None, "o"]))
    def make_or_remove_what_is_looked_for(self, text: str | None) -> None:
        self.world.write("seen/opt.txt", text, same_time=False)

    @rule(text=st.sampled_from([None, "c"]))
    def make_or_remove_what_is_listed(self, text: str | None) -> None:
        self.world.write("seen/q.cfg", text, same_time=False)

    @rule(text=st.sampled_from([None, "c"]))
    def make_or_remove_what_is_neither(self, text: str | None) -> None:
        path = self.world.root / "seen" / "other.dat"
        path.unlink(missing_ok=True)
        if text:
            path.write_text(text)

    @rule()
    def revert(self) -> None:
        if self.older:
            name, text = self.older.pop()
            self.world.write(name, text, same_time=False)

    @rule(part=st.sampled_from(["load", "change", "body", "offset"]), number=st.integers(0, 2))
    def edit_code(self, part: str, number: int) -> None:
        self.world.code[part] = number % 2 if part == "body" else number
        self.world.write_code()

    @rule(text=st.sampled_from(["", "# a comment", "\n\n", '"""A text."""']))
    def edit_comment(self, text: str) -> None:
        self.world.code["comment"] = text
        self.world.write_code()

    @rule(number=st.integers(0, 9), how=st.sampled_from(["delete", "edit", "empty", "touch"]))
    def spoil_an_output(self, number: int, how: str) -> None:
        work = self.world.root / "work"
        there = sorted(each for each in work.glob("*/*/*ed.txt") if "latest" not in each.parts)
        there += sorted((self.world.root / "out").iterdir())
        if not there:
            return
        path = there[number % len(there)]
        if how == "touch":
            os.utime(path, (1, 1))
        elif how == "delete":
            path.unlink()
        else:
            path.write_text("" if how == "empty" else path.read_text() + "!")

    @rule(stage=st.sampled_from([None, "load", "change"]), not_latest=st.booleans())
    def prune(self, stage: str | None, not_latest: bool) -> None:
        wanted = Wanted(stage=stage, not_latest=not_latest, failed=True, idle=0)
        remove(plan([Memory(str(self.world.root / "work"))], wanted))
        self.world.lose_what_is_gone()

    @rule(call=CALLS)
    def forget(self, call: dict[str, Any]) -> None:
        load = self.world.stages(self.world.root / "work")[0]
        load.forget(str(self.world.root / call["file"]), factor=call["factor"])
        self.world.lose_what_is_gone()

    @rule(call=CALLS)
    def accept_a_harmless_edit(self, call: dict[str, Any]) -> None:
        """Once it is accepted nothing runs, and what comes back is what would have."""
        world = self.world
        world.code["load"] = 0
        world.write_code()
        world.check(call)
        world.code["load"] = 2
        world.write_code()
        load = world.stages(world.root / "work")[0]
        args = (str(world.root / call["file"]),)
        if "boom" in world.files[call["file"]]:
            return
        load.accept(*args, factor=call["factor"])
        assert load.explain(*args, factor=call["factor"]).hit
        world.check(call)

    @invariant()
    def nothing_half_is_left(self) -> None:
        if hasattr(self, "world"):
            assert [] == [*(self.world.root / "work").rglob("*.partial")]


Model.TestCase.settings = settings(
    max_examples=int(os.environ.get("MEMORI_TEST_MODEL", "12")),
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
)
TestModel = Model.TestCase
warnings.filterwarnings("ignore", message=".*imported.*fork.*")
