"""Scripts at random, remembered by stages, beside the same scripts without memory.

Each script is a module of a project that imports others, reads files in odd ways and by odd names,
lists, caches, logs, starts threads and children, and writes into folders that its cases share. It
is run for two cases, again, and after random changes once more; each time in a process of its own
that is forked from this one, which imports memori and runs nothing.

Run it as ``python random_scripts.py SEED COUNT``. It prints what went wrong, as JSON: `stale`
results differ from those without memory; `needless` runs had nothing that they read changed.

Left out are questions that open nothing (`os.path.exists`), which memori says that it does not see.
"""

import importlib
import json
import os
import pathlib
import random
import shutil
import sys
import tempfile
import traceback

from memori import Stage

ODD = ["plain.txt", "two words.txt", "été.txt", "[1].txt", "-x.txt", "new\nline.txt", "q'\".txt"]
DATA = [f"data/{name}" for name in ODD] + ["data/deep/a.txt", "data/deep/b.csv", "data/none.txt"]
CASES = ("one", "two")
HELPER = """
import functools
TABLE = open("data/table.txt").read()

@functools.lru_cache(maxsize=None)
def cached(path):
    return open(path).read()

def plainly(path):
    with open(path) as file:
        return file.read()
"""
HEAD = """
import configparser, fileinput, functools, glob, importlib, io, logging, mmap, multiprocessing, os
import pathlib, pickle, runpy, shutil, subprocess, sys, tarfile, tempfile, threading, zipfile
from concurrent.futures import ThreadPoolExecutor
import helper
from memori import workdir

PLUGS = {"a": "plug_a", "b": "plug_b"}

def attempt(act):
    try:
        return act()
    except (OSError, ImportError):
        return None

def by_descriptor(path):
    number = os.open(path, os.O_RDONLY)
    try:
        return os.read(number, 1000).decode()
    finally:
        os.close(number)

def by_map(path):
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
        return view[:].decode()

def by_config(path):
    parser = configparser.ConfigParser()
    parser.read(path)
    return parser.sections()

def by_copy(path):
    return pathlib.Path(shutil.copy(path, workdir())).read_text()

def by_archive(path):
    target = workdir() / "archive.tar"
    with open(path, "rb") as file, tarfile.open(target, "w") as archive:
        archive.addfile(archive.gettarinfo(path, "inner"), file)
    with tarfile.open(target) as archive:
        return archive.extractfile("inner").read().decode()

def by_child(path):
    words = [sys.executable, "-c", "import sys; print(open(sys.argv[1]).read())", path]
    done = subprocess.run(words, capture_output=True, text=True)
    return done.stdout if done.returncode == 0 else None

def by_fork(path):
    with multiprocessing.get_context("fork").Pool(1) as pool:
        return pool.apply(helper.plainly, (path,))

def by_pool(path):
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(helper.plainly, [path, path]))

def by_thread(path):
    found = []
    thread = threading.Thread(target=lambda: found.append(attempt(lambda: helper.plainly(path))))
    thread.start()
    thread.join()
    return found[0]

def by_input(path):
    with fileinput.input([path]) as lines:
        return list(lines)

def elsewhere(path):
    here, path = os.getcwd(), os.path.abspath(path)
    os.chdir(tempfile.gettempdir())
    try:
        return helper.plainly(path)
    finally:
        os.chdir(here)

def log(name):
    with open(name, "a") as file:
        file.write("line\\n")

def logged(name):
    handler = logging.FileHandler(name)
    logger = logging.getLogger("random")
    logger.addHandler(handler)
    logger.warning("line")
    logger.removeHandler(handler)
    handler.close()

def memoized(name, path):
    try:
        with open(name, "rb") as file:
            return pickle.load(file)
    except FileNotFoundError:
        value = attempt(lambda: helper.plainly(path))
        with open(name, "wb") as file:
            pickle.dump(value, file)
        return value

def temporary():
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "x").write_text("x")
        return os.listdir(folder)

def zipped():
    target = workdir() / "all.zip"
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("x", "x")
    return zipfile.ZipFile(target).namelist()

def shared(case):
    os.makedirs("out", exist_ok=True)
    pathlib.Path(f"out/{case}.txt").write_text(case)
    os.listdir("out")
    glob.glob("out/*.txt")

def shown(names):
    names = sorted(map(str, names))
    return [f"<{each}>" for each in names if not os.path.basename(each).startswith(".")]

def tree(folder):
    return sorted((shown([a]), shown(b), shown(c)) for a, b, c in os.walk(folder))

def copied(folder):
    target = workdir() / "copy"
    shutil.copytree(folder, target, dirs_exist_ok=True)
    return shown(os.path.relpath(each, target) for each in target.rglob("*"))
"""
READS = ["helper.plainly", "helper.cached", "by_descriptor", "by_map", "by_config", "by_copy",
         "by_archive", "by_pool", "by_thread", "by_input", "elsewhere"]  # fmt: skip
RARE_READS = ["by_child", "by_fork"]
LISTINGS = ["shown(os.listdir('data'))", "tree('data')", "shown(glob.glob('data/*.txt'))",
            "shown(glob.glob('data/**', recursive=True))", "shown(glob.glob('data/**'))",
            "shown(pathlib.Path('data').rglob('*.txt'))", "copied('data/deep')",
            "shown(each.name for each in os.scandir('data/deep'))"]  # fmt: skip
IMPORTS = ["importlib.import_module(PLUGS['{}']).value()", "__import__('plug_' + '{}').value()",
           "runpy.run_path('plug_{}.py')['VALUE']"]  # fmt: skip
SIDES = ["log('run.log')", "logged(f'{case}.log')", "temporary()", "zipped()", "shared(case)"]


def an_act(pick):
    """Return an expression, and what it depends on: files, `*` for names in data, a variable."""
    kind = pick.random()
    if kind < 0.45:
        read = pick.choice(RARE_READS if pick.random() < 0.06 else READS)
        path = pick.choice(DATA)
        return f"attempt(lambda: {read}({path!r}))", {path}
    if kind < 0.52:
        return "attempt(lambda: helper.cached(f'data/{case}.txt'))", {"data/{case}.txt"}
    if kind < 0.62:
        listing = pick.choice(LISTINGS)
        copied = {"data/deep/a.txt", "data/deep/b.csv"} if "copied" in listing else set()
        return listing, {"*", *copied}
    if kind < 0.72:
        name, way = pick.choice("ab"), pick.choice(IMPORTS)
        named = "ab" if "PLUGS" in way else name  # all that a table names counts as code
        return f"attempt(lambda: {way.format(name)})", {f"plug_{each}.py" for each in named}
    if kind < 0.77:
        return "helper.TABLE", {"data/table.txt"}
    if kind < 0.82:
        return "os.environ.get('MEMORI_TEST_X')", {"$"}
    if kind < 0.87:
        path = pick.choice(DATA)
        return f"memoized(f'{{case}}.pickle', {path!r})", {path}
    return f"[{pick.choice(SIDES)}, None][1]", set()


def a_script(pick):
    """Return the source of a script, and what it depends on."""
    acts = [an_act(pick) for _ in range(pick.randint(1, 5))]
    lines = [f"    found.append({expression})" for expression, _ in acts]
    body = ["def main(case):", "    found = []", *lines, "    return found", ""]
    return HEAD + "\n" + "\n".join(body), set().union(*(needed for _, needed in acts))


PLUG = "VALUE = {!r}\ndef value():\n    return VALUE\n"


def make_project(pick):
    """Write a script with its data into the current folder; return what it depends on."""
    os.makedirs("data/deep")
    for path in DATA[:-1]:
        if pick.random() < 0.8:
            pathlib.Path(path).write_text(f"[{len(path)}]\n")
    for case in CASES:
        pathlib.Path(f"data/{case}.txt").write_text(case)
    pathlib.Path("data/table.txt").write_text("table")
    for name in "ab":
        pathlib.Path(f"plug_{name}.py").write_text(PLUG.format(name))
    pathlib.Path("helper.py").write_text(HELPER)
    source, needed = a_script(pick)
    pathlib.Path("prog.py").write_text(source)
    return needed


def a_change(pick):
    """Change something; return what it may make a difference to."""
    kind = pick.choice(["edit", "edit", "edit", "remove", "plug", "comment", "variable", "neutral"])
    file = pathlib.Path(pick.choice([*DATA, "data/one.txt", "data/table.txt"]))
    if kind == "edit":
        touched = {str(file)} if file.exists() else {str(file), "*"}
        file.write_text(f"[{pick.random()}]\n")
        return touched
    if kind == "remove" and file.exists() and file.name != "table.txt":
        file.unlink()
        return {str(file), "*"}
    if kind == "plug":
        name = pick.choice("ab")
        pathlib.Path(f"plug_{name}.py").write_text(PLUG.format(pick.random()))
        return {f"plug_{name}.py"}
    if kind == "comment":
        with open("helper.py", "a") as helper:
            helper.write("# a comment\n")
    elif kind == "variable":
        os.environ["MEMORI_TEST_X"] = str(pick.random())
        return {"$"}
    elif file.exists():
        os.utime(file, (1, 1))
        file.write_text(file.read_text())
    pathlib.Path("data/.hidden").write_text(str(pick.random()))
    with open("run.log", "a") as log:
        log.write("somebody else\n")
    return set()


def in_a_child(act):
    """Return what a function returns in a process of its own."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            answer = {"value": act()}
        except BaseException:
            answer = {"error": traceback.format_exc()}
        with open(writing, "w") as pipe:
            json.dump(answer, pipe)
        os._exit(0)
    os.close(writing)
    with open(reading) as pipe:
        answer = json.load(pipe)
    os.waitpid(child, 0)
    if "error" in answer:
        raise RuntimeError(answer["error"])
    return answer["value"]


def remembered():
    """Run the script for all cases, as stages: values, and whether each ran."""
    sys.path.insert(0, os.getcwd())
    stage = Stage(importlib.import_module("prog").main, "found", "work")
    return [[run["found"], stage.state, run.reasons] for run in map(stage.run, CASES)]


def without_memory():
    """Run the script for all cases."""
    sys.path.insert(0, os.getcwd())
    stage = Stage(importlib.import_module("prog").main, "found")  # without a place it has no memory
    return [stage.run(case)["found"] for case in CASES]


def judge(seed):
    """Return what is wrong with the memory of one script: (stale, needless), as texts."""
    pick = random.Random(seed)
    needed = make_project(pick)
    in_a_child(remembered)
    stale, needless = [], []
    for _ in range(2):
        needless += [f"{seed} again: {why}" for _, ran, why in in_a_child(remembered) if ran]
    touched = set().union(*(a_change(pick) for _ in range(pick.randint(1, 3))))
    shutil.copytree(".", "../beside")
    now = in_a_child(remembered)
    os.chdir("../beside")
    true = in_a_child(without_memory)
    for case, (value, ran, why), expected in zip(CASES, now, true, strict=True):
        own = {each.format(case=case) for each in needed}
        if value != expected:
            stale.append(f"{seed} {case}: {value} for {expected}; changed: {sorted(touched)}")
        elif ran and not own & touched:
            needless.append(f"{seed} {case}: changed: {sorted(touched)}; {why}")
    return stale, needless


def main(first, count):
    """Judge so many scripts and print what is wrong."""
    sys.dont_write_bytecode = True
    os.environ.pop("MEMORI_TEST_X", None)
    stale, needless = [], []
    for seed in range(first, first + count):
        folder = os.path.realpath(tempfile.mkdtemp())
        os.mkdir(f"{folder}/project")
        os.chdir(f"{folder}/project")
        os.environ.pop("MEMORI_TEST_X", None)
        try:
            wrong = judge(seed)
        finally:
            os.chdir("/")
            shutil.rmtree(folder)
        stale += wrong[0]
        needless += wrong[1]
    print(json.dumps({"scripts": count, "stale": stale, "needless": needless}, indent=1))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
