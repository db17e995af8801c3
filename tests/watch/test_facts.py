"""What of it counts, and whether it still holds: functions as users write them."""

import base64
import glob
import importlib
import importlib.util
import json
import logging
import os
import pathlib
import runpy
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import warnings

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from memori.watch import LeftOut, Sieve, datasets_of, differences, watching


class Project:
    """A folder with data, in which functions run and are asked whether they would hit."""

    def __init__(self, folder):
        self.folder = folder
        self.root = str(folder / "work")
        self.memo = str(folder / "work" / ".memori" / "files")
        os.makedirs(self.root)

    def write(self, name, text="1\n"):
        """Write a file of the project."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return str(path)

    def run(self, function, *args, **more):
        """Run a function and return the record of what counts."""
        with watching() as seen:
            function(*args)
        assert [] == seen.faults
        facts = Sieve(seen, self.memo, **more).facts()
        self.unvouched = facts.unvouched
        return json.loads(json.dumps(facts.to_record(self.root)))

    def differs(self, record, **more):
        """List what differs now, as kinds and names."""
        found = differences(record, more.pop("root", self.root), self.memo, **more)
        return sorted((kind, os.path.basename(path)) for kind, path, _, _ in found)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project, as the current folder; its name looks like a pattern."""
    folder = tmp_path / "project [1-3]*"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return Project(folder)


READERS = {
    "open": ("a.txt", lambda p: open(p).read()),
    "pathlib": ("a.txt", lambda p: pathlib.Path(p).read_text()),
    "relative": ("a.txt", lambda p: open("a.txt").read()),
    "json": ("a.json", lambda p: json.load(open(p))),
    "loadtxt": ("a.txt", np.loadtxt),
    "fromfile": ("a.txt", lambda p: np.fromfile(p, np.uint8)),
    "memmap": ("a.txt", lambda p: np.memmap(p, np.uint8, "r")[0]),
    "read_csv": ("a.csv", pd.read_csv),
    "copy": ("a.txt", lambda p: shutil.copy(p, tempfile.mkdtemp())),
    "descriptor": ("a.txt", lambda p: os.close(os.open(p, os.O_RDONLY))),
    "program of one's own": ("a.py", runpy.run_path),
}


@pytest.mark.parametrize("reader", READERS)
def test_a_file_that_was_read_counts_by_its_content(reader, project):
    """However a file is read, editing it is seen, and touching it is not."""
    name, read = READERS[reader]
    path = project.write(name, "1\n")
    record = project.run(read, path)
    assert [] == project.differs(record)

    os.utime(path, (1, 1))
    assert [] == project.differs(record)

    project.write(name, "2\n")
    assert [("read", name)] == project.differs(record)

    os.remove(path)
    assert [("read", name)] == project.differs(record)

    project.write(name, "1\n")
    assert [] == project.differs(record)


def test_arrays_and_images_count(project):
    """np.load and nibabel open their files as Python does."""
    np.save("a.npy", np.arange(3))
    nib.save(nib.Nifti1Image(np.zeros((2, 2, 2), np.float32), np.eye(4)), "a.nii.gz")

    record = project.run(lambda: (np.load("a.npy"), nib.load("a.nii.gz").get_fdata()))
    np.save("a.npy", np.arange(4))
    nib.save(nib.Nifti1Image(np.ones((2, 2, 2), np.float32), np.eye(4)), "a.nii.gz")

    assert [("read", "a.nii.gz"), ("read", "a.npy")] == project.differs(record)


def test_formats_count_by_their_meaning(project):
    """A volume that was compressed again is the same volume."""
    image = nib.Nifti1Image(np.zeros((2, 2, 2), np.float32), np.eye(4))
    nib.save(image, "a.nii.gz")
    record = project.run(lambda: nib.load("a.nii.gz").get_fdata())

    import gzip

    content = gzip.decompress(pathlib.Path("a.nii.gz").read_bytes())
    pathlib.Path("a.nii.gz").write_bytes(gzip.compress(content, 1, mtime=5))

    assert [] == project.differs(record)


def test_an_edit_that_keeps_size_and_time_is_seen(project):
    """A program may set the times of a file; the edit is seen all the same."""
    path = project.write("a.txt", "1\n")
    os.utime(path, (1, 1))
    record = project.run(lambda: open(path).read())

    project.write("a.txt", "2\n")
    os.utime(path, (1, 1))

    assert [("read", "a.txt")] == project.differs(record)


def test_a_name_looked_for_in_vain_counts_by_its_absence(project):
    """A file that was not there makes a difference when it appears."""

    def run():
        try:
            open("settings.json").close()
        except FileNotFoundError:
            pass

    record = project.run(run)
    assert [] == project.differs(record)

    path = project.write("settings.json")
    assert [("absent", "settings.json")] == project.differs(record)
    assert [] == project.differs(record, made=lambda each: each == path)


def test_a_cache_of_the_functions_own_is_no_reason_to_run(project):
    """What a run looks for and then makes is its product: removed, it is missing."""

    def run():
        try:
            return open("cache.json").read()
        except FileNotFoundError:
            pathlib.Path("cache.json").write_text("{}")

    record = project.run(run)
    assert [] == project.differs(record)

    os.remove("cache.json")
    assert [("written", "cache.json")] == project.differs(record)


def test_a_file_that_is_read_and_written_again_is_both(project):
    """A summary that each run extends is intact as the run left it, and as nothing else."""
    project.write("summary.csv", "a\n")

    def run():
        rows = open("summary.csv").read()
        open("summary.csv", "w").write(rows + "b\n")

    record = project.run(run)
    assert [] == project.differs(record)

    project.write("summary.csv", "a\nb\nc\n")
    assert [("edited", "summary.csv")] == project.differs(record)


def test_logs_are_never_compared(project):
    """A file that is only appended to may grow, or go."""
    project.write("run.log")

    def run():
        logger = logging.getLogger("user")
        handler = logging.FileHandler("run.log")
        logger.addHandler(handler)
        logger.warning("hello")
        logger.removeHandler(handler)
        handler.close()
        with open("new.log", "a") as log:
            log.write("x")

    record = project.run(run)
    os.remove("run.log")
    project.write("new.log", "else")

    assert [] == project.differs(record)
    assert ["new.log", "run.log"] == [name for _, names in record["appended"] for name in names]


def test_what_a_run_left_standing_belongs_to_it(project):
    """A side product that is edited or removed is a reason to run."""
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")

    def run():
        import matplotlib.pyplot as plt

        figure, axes = plt.subplots()
        axes.plot([1, 2])
        figure.savefig("figure.png")
        plt.close(figure)
        np.savetxt("table.txt", [1, 2])

    record = project.run(run)
    assert [] == project.differs(record)

    os.remove("figure.png")
    project.write("table.txt")
    assert [("written", "figure.png"), ("written", "table.txt")] == project.differs(record)


def test_results_in_a_new_folder_belong_to_the_run(project):
    """A folder that the run makes is no temporary one: what is in it must stay."""

    def run():
        os.makedirs("figures/new")
        open("figures/new/a.txt", "w").close()
        os.listdir("figures/new")

    record = project.run(run)
    assert [] == project.differs(record)

    os.remove("figures/new/a.txt")
    assert [("written", "a.txt")] == project.differs(record)


def test_temporary_files_may_stay(project):
    """What `tempfile` made and nobody removed will be removed by somebody: it does not count."""

    def run():
        folder = tempfile.mkdtemp()
        open(f"{folder}/a.txt", "w").close()
        tempfile.NamedTemporaryFile(delete=False).close()

    record = project.run(run)

    assert {"root"} == set(record) - {"unseen"}


def test_temporary_files_are_forgotten(project):
    """What a run makes and removes, in whatever way, does not count."""

    def run():
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "a.txt")
            open(path, "w").write("1")
            os.listdir(folder)
            open(path).read()
            subprocess.run(["cp", path, f"{path}.copy"], check=True)
            open(f"{path}.copy").read()
        with tempfile.NamedTemporaryFile() as file:
            open(file.name).close()
        subprocess.run(["cp", "/etc/passwd", "made-by-cp"], check=True)
        open("made-by-cp").close()
        os.remove("made-by-cp")

    record = project.run(run)

    assert {"root", "programs", "called"} == set(record) - {"unseen"}


def test_a_file_that_changes_while_the_run_goes_on_is_named(project):
    """Nobody can vouch for what was read of a file that changed after it was opened."""
    path = project.write("a.txt")

    read, written = threading.Event(), threading.Event()

    def somebody():
        read.wait()
        project.write("a.txt", "2")
        written.set()

    thread = threading.Thread(target=somebody)
    thread.start()

    def run():
        open(path).close()
        read.set()
        written.wait()

    project.run(run)
    thread.join()

    assert [path] == project.unvouched


def test_a_file_that_was_not_there_to_be_removed_is_the_runs_own(project):
    """However often a run makes sure that nothing is in the place of what it then puts there."""

    def run():
        for text in ("1", "2"):
            pathlib.Path("part.txt").write_text(text)
            pathlib.Path("out.txt").unlink(missing_ok=True)
        pathlib.Path("out.txt").unlink(missing_ok=True)
        os.rename("part.txt", "out.txt")

    record = project.run(run)

    assert [] == project.unvouched
    assert [] == project.differs(record)
    project.write("out.txt", "edited")
    assert [("written", "out.txt")] == project.differs(record)


LISTERS = {
    "listdir": os.listdir,
    "scandir": lambda folder: list(os.scandir(folder)),
    "walk": lambda folder: list(os.walk(folder)),
    "fwalk": lambda folder: list(os.fwalk(folder)),
    "iterdir": lambda folder: list(pathlib.Path(folder).iterdir()),
    "bytes": lambda folder: os.listdir(os.fsencode(folder)),
    "copytree": lambda folder: shutil.copytree(folder, tempfile.mkdtemp() + "/copy"),
}


@pytest.mark.parametrize("lister", LISTERS)
def test_a_listing_counts_by_the_names_that_it_gave(lister, project):
    """A name that comes or goes is seen; hidden ones are not, nor those that runs made."""
    project.write("data/a.txt")
    record = project.run(LISTERS[lister], str(project.folder / "data"))
    assert [] == project.differs(record)

    project.write("data/.hidden")
    project.write("data/.nfs0001")
    assert [] == project.differs(record)

    made = project.write("data/b.txt")
    assert [("listed", "data")] == project.differs(record)
    assert [] == project.differs(record, made=lambda path: path == made)

    os.remove(made)
    assert [] == project.differs(record)


GLOBS = {
    "glob": lambda: glob.glob("data/sub-*/*.txt"),
    "glob from a root": lambda: glob.glob("sub-*/*.txt", root_dir="data"),
    "iglob": lambda: list(glob.iglob(f"{glob.escape(os.getcwd())}/data/sub-*/*.txt")),
    "recursive": lambda: glob.glob("data/**/*.txt", recursive=True),
    "Path.glob": lambda: list(pathlib.Path("data").glob("sub-*/*.txt")),
    "Path.rglob": lambda: list(pathlib.Path("data").rglob("*.txt")),
}


@pytest.mark.parametrize("way", GLOBS)
def test_a_pattern_counts_by_the_names_that_fit(way, project):
    """A file that does not fit changes nothing; one that fits does, in a new folder as well."""
    project.write("data/sub-01/a.txt")
    record = project.run(GLOBS[way])
    assert [] == project.differs(record)

    project.write("data/notes.md")
    project.write("data/sub-01/a.json")
    assert [] == project.differs(record)

    project.write("data/sub-01/b.txt")
    assert [("listed", "sub-01")] == project.differs(record)
    os.remove("data/sub-01/b.txt")

    project.write("data/sub-02/a.txt")
    assert [("listed", "data")] == project.differs(record)


ALL_BELOW = {
    "recursive": lambda: glob.glob("data/**", recursive=True),
    "without recursive": lambda: glob.glob("data/**"),
    "Path.glob": lambda: list(pathlib.Path("data").glob("**/*")),
}


@pytest.mark.parametrize("way", ALL_BELOW)
def test_two_asterisks_at_the_end_stand_for_files_too(way, project):
    """Below all folders, or in one where nobody said `recursive`."""
    project.write("data/sub-01/a.txt")
    record = project.run(ALL_BELOW[way])
    assert [] == project.differs(record)

    project.write("data/b.txt")
    assert [("listed", "data")] == project.differs(record)
    os.remove("data/b.txt")

    project.write("data/sub-01/b.txt")
    below = [] if way == "without recursive" else [("listed", "sub-01")]
    assert below == project.differs(record)


@pytest.mark.parametrize("way", ["recursive", "Path.glob"])
def test_a_file_that_became_a_folder_counts_where_a_pattern_looks_into_folders(way, project):
    """Also under the same name: what lies in it fits the pattern now. An empty one has nothing."""
    path = project.write("data/sub-01")
    record = project.run(ALL_BELOW[way])
    os.remove(path)
    os.mkdir(path)
    assert [] == project.differs(record)

    project.write("data/sub-01/a.txt")
    assert ("listed", "data") in project.differs(record)


def test_a_pattern_of_folders_does_not_count_by_files(project):
    """With a slash at its end; `Path.glob` needs none before Python 3.13."""
    project.write("data/sub-01/a.txt")
    record = project.run(lambda: glob.glob("data/**/", recursive=True))
    if sys.version_info < (3, 13):
        other = project.run(lambda: list(pathlib.Path("data").glob("**")))
        assert record["globs"] == other["globs"]
    project.write("data/sub-01/b.txt")
    assert [] == project.differs(record)

    project.write("data/sub-01/ses-1/a.txt")
    assert [("listed", "sub-01")] == project.differs(record)


def test_a_hidden_name_counts_for_a_pattern_that_asks_for_it(project):
    """And for no other; nor does what NFS leaves of files that were removed."""
    project.write("data/a.txt")
    record = project.run(lambda: glob.glob("data/*") + glob.glob("data/.*rc"))
    for name in (".hidden", ".nfs0001rc"):
        project.write(f"data/{name}")
    assert [] == project.differs(record)

    project.write("data/.toolrc")
    assert [("listed", "data")] == project.differs(record)


def test_a_folder_whose_own_name_holds_signs_counts_by_what_fits_in_it(project):
    """The folder of `Path.glob` is no part of the pattern."""
    project.write("run[1]/a.txt")
    record = project.run(lambda: list(pathlib.Path("run[1]").glob("*.txt")))
    assert [] == project.differs(record)

    project.write("run[1]/a.json")
    assert [] == project.differs(record)

    project.write("run[1]/b.txt")
    assert [("listed", "run[1]")] == project.differs(record)


def test_a_pattern_asks_for_names_without_listing(project):
    """Behind a sign, a plain name is looked for in each folder that fits."""
    project.write("data/sub-01/anat/T1w.json")
    project.write("data/sub-02/anat/notes.txt")
    record = project.run(lambda: glob.glob("data/sub-*/anat/T1w.json"))
    assert [] == project.differs(record)
    asked = {"sub-01": ["anat"], "sub-01/anat": ["T1w.json"], "sub-02": ["anat"]}
    here = os.path.relpath(".", project.root)
    there = [[[".", here, f"data/{each}", "anchor"], asked[each]] for each in asked]
    assert there == record["there"]  # what lies before the sign, the pattern is not about

    project.write("data/sub-02/anat/T1w.json")
    assert [("absent", "T1w.json")] == project.differs(record)
    os.remove("data/sub-02/anat/T1w.json")

    os.remove("data/sub-01/anat/T1w.json")
    assert [("there", "T1w.json")] == project.differs(record)


def test_a_pattern_without_signs_asks_for_one_name(project):
    """`glob` is used to ask whether a file is there."""
    project.write("data/there.txt")
    record = project.run(lambda: glob.glob("data/there.txt") + glob.glob("data/missed.txt"))
    assert [] == project.differs(record)

    project.write("data/missed.txt")
    assert [("absent", "missed.txt")] == project.differs(record)
    os.remove("data/missed.txt")

    os.remove("data/there.txt")
    assert [("there", "there.txt")] == project.differs(record)


def test_a_folder_that_the_run_fills_converges(project):
    """A run that lists the folder into which it writes does not see its own files as news."""
    os.mkdir("out")
    project.write("out/old.txt")

    def run():
        os.listdir("out")
        open("out/new.txt", "w").close()
        subprocess.run(["cp", "out/old.txt", "out/by-a-program.txt"], check=True)

    record = project.run(run)
    assert [] == project.differs(record)

    project.write("out/other.txt")
    assert [("listed", "out")] == project.differs(record)


def test_many_names_are_kept_small(project):
    """A large folder counts without its names being kept."""
    for number in range(300):
        project.write(f"data/file_{number}.txt")
    record = project.run(os.listdir, "data")
    assert len(json.dumps(record)) < 600

    project.write("data/another.txt")
    assert [("listed", "data")] == project.differs(record)


def test_modules_count_by_their_code(project, monkeypatch):
    """A module that is imported by a computed name counts, its comments do not."""
    monkeypatch.syspath_prepend(str(project.folder))
    project.write("table_of_things.py", "VALUE = 1\n")
    project.write("loaded_by_hand.py", "VALUE = 1\n")

    def run():
        importlib.import_module("table_" + "of_things")
        spec = importlib.util.spec_from_file_location("hand", "loaded_by_hand.py")
        spec.loader.exec_module(importlib.util.module_from_spec(spec))

    record = project.run(run)
    sys.modules.pop("table_of_things")
    assert [] == project.differs(record)

    project.write("table_of_things.py", "# the value\nVALUE = 1\n")
    assert [] == project.differs(record)

    project.write("table_of_things.py", "VALUE = 2\n")
    project.write("loaded_by_hand.py", "VALUE = 3\n")
    changed = [("module", "loaded_by_hand.py"), ("module", "table_of_things.py")]
    assert changed == project.differs(record)


def test_modules_that_the_fingerprint_followed_do_not_count_twice(project, monkeypatch):
    """Of a module whose code is followed name by name, the rest may change."""
    monkeypatch.syspath_prepend(str(project.folder))
    project.write("followed_module.py")

    record = project.run(importlib.import_module, "followed_module", followed={"followed_module"})

    sys.modules.pop("followed_module")
    assert "modules" not in record


def test_libraries_of_the_installation_do_not_count(project):
    """Importing a library late, and what libraries read of their own, is nothing of the user's."""
    program = """
from memori.watch import Sieve, watching
with watching() as seen:
    import xml.dom.minidom, nibabel, importlib.metadata, zoneinfo, mimetypes
    importlib.metadata.version("numpy")
    import nibabel.tests, numpy.testing, pandas, zoneinfo
    zoneinfo.ZoneInfo("UTC"), pandas.Timestamp("2020-01-01", tz="Europe/Paris")
    import os
    list(os.walk(os.path.dirname(nibabel.__file__) + "/benchmarks"))
facts = Sieve(seen, None).facts()
for found in facts.read + facts.modules + facts.listed + facts.absent + facts.unvouched:
    print(getattr(found, "path", None) or getattr(found, "folder", found))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)

    assert ("", "") == (done.stdout, done.stderr)


def test_folders_that_a_backport_searches_for_packages_do_not_count(project, tmp_path, monkeypatch):
    """`importlib_metadata` lists each folder of sys.path for xarray and others, as Python does."""
    backport = tmp_path / "site" / "importlib_metadata" / "__init__.py"
    backport.parent.mkdir(parents=True)
    backport.write_text("import os\ndef entry_points(path):\n    return os.listdir(path)\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.delitem(sys.modules, "importlib_metadata", raising=False)
    import importlib_metadata

    record = project.run(lambda: importlib_metadata.entry_points(project.folder))
    sys.modules.pop("importlib_metadata")

    assert "listed" not in record


def test_lines_that_a_warning_shows_do_not_count(project):
    """Python reads the source of the line that it warns about; that is no input."""
    project.write("warns.py", "import warnings\ndef run():\n    warnings.warn('careful')\n")
    spec = importlib.util.spec_from_file_location("warns", "warns.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def run():
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            module.run()

    with pytest.warns(UserWarning, match="careful"):
        record = project.run(run)

    assert "read" not in record


def test_the_source_by_which_joblib_knows_a_function_does_not_count(project):
    """A helper that joblib caches counts as code: joblib looks at its lines, the run does not."""
    joblib = pytest.importorskip("joblib", reason="pip install joblib")
    project.write("helps.py", "def double(x):\n    return 2 * x\n")
    spec = importlib.util.spec_from_file_location("helps", "helps.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    cached = joblib.Memory("cached", verbose=0).cache(module.double)

    record = project.run(cached, 2)

    assert "helps.py" not in str(record.get("read"))


def test_what_counts_already_is_left_out(project):
    """Inputs, outputs and the run's own folder are nothing to be observed."""
    given, result = project.write("in.txt"), str(project.folder / "out.txt")
    own = project.folder / "work" / "stage" / "0123abcd"
    own.mkdir(parents=True)

    def run():
        open(given).close()
        open(result, "w").close()
        (own / "a.txt").write_text("1")
        os.listdir(own)

    record = project.run(run, counted={given, result}, own=[str(own)])

    assert {"root"} == set(record) - {"unseen"}


def test_files_in_shared_memory_count_and_what_processes_share_there_does_not():
    """Users lay files into ``/dev/shm``; caches of the system's services do not."""
    files = ["/dev/shm/scan.nii", "/dev/shm/me/psm_1", "/run/media/disk/a", "/var/lib/app/sss/a"]
    shared = ["/dev/shm/sem.mp-x", "/dev/shm/psm_1", "/dev/shm/torch_1", "/dev/null"]
    kept = ["/var/lib/sss/mc/passwd", "/run/utmp", "/var/run/nscd/socket"]
    assert LeftOut().among([*files, *shared, *kept]) == {*shared, *kept}


def test_the_user_leaves_out_what_he_likes(project):
    """Files, folders and patterns may be left out."""
    for name in ("a.log", "scratch/b.txt", "data/c.txt"):
        project.write(name)

    def run():
        for name in ("a.log", "scratch/b.txt", "data/c.txt"):
            open(name).close()
        os.listdir("scratch")

    record = project.run(run, left_out=LeftOut(["*.log", "scratch", "*/d?ta/*"]))

    assert {"root"} == set(record) - {"unseen"}


def test_data_beside_an_installation_count(project, tmp_path):
    """Data that a user keeps below an environment's prefix are the user's."""
    site = tmp_path / "env" / "lib" / "python3.12" / "site-packages"
    (site / "owner-1.0.dist-info").mkdir(parents=True)
    (site / "owner-1.0.dist-info" / "RECORD").write_text("owner/data.txt,sha256=x,1\n")
    (site / "owner").mkdir()
    (tmp_path / "env" / "conda-meta").mkdir()
    (tmp_path / "env" / "conda-meta" / "tool-1.json").write_text('{"files": ["share/atlas.txt"]}')
    (tmp_path / "env" / "share").mkdir()
    owned = [site / "owner" / "data.txt", tmp_path / "env" / "share" / "atlas.txt"]
    users = [site / "owner" / "mine.txt", tmp_path / "env" / "share" / "mine.txt"]
    for path in owned + users:
        path.write_text("1")

    record = project.run(lambda: [open(path).close() for path in owned + users])

    assert ["mine.txt"] * 2 == [name for _, names in record["read"]["files"] for name in names]


def test_a_project_that_moves_keeps_its_observations(project, tmp_path):
    """Files beside hash_output are found where the project is now."""
    project.write("data/a.txt")
    os.mkdir("empty")
    record = project.run(lambda: (open("data/a.txt").close(), os.listdir("data")))

    moved = tmp_path / "moved"
    os.rename(project.folder, moved)
    assert [] == project.differs(record, root=str(moved / "work"))

    (moved / "data" / "a.txt").write_text("2")
    assert [("read", "a.txt")] == project.differs(record, root=str(moved / "work"))


def test_data_elsewhere_stay_where_they_are(project, tmp_path):
    """What does not move with the project is found where it was."""
    (tmp_path / "atlases").mkdir()
    atlas = tmp_path / "atlases" / "atlas.txt"
    atlas.write_text("1")
    record = project.run(lambda: open(atlas).close())

    (tmp_path / "deeper" / "still").mkdir(parents=True)
    moved = tmp_path / "deeper" / "still" / "moved"
    os.rename(project.folder, moved)

    assert [] == project.differs(record, root=str(moved / "work"))


def dataset(folder):
    """Make a little BIDS dataset."""
    (folder / "sub-01").mkdir(parents=True)
    (folder / "dataset_description.json").write_text('{"Name": "x", "BIDSVersion": "1.9.0"}')
    (folder / "sub-01" / "bold.json").write_text("{}")
    return str(folder / "sub-01" / "bold.nii")


def test_a_dataset_is_found_where_the_inputs_are(project, tmp_path):
    """A dataset that is mounted elsewhere still holds; of two that both exist neither speaks."""
    given = dataset(tmp_path / "disk1" / "ds01")
    record = project.run(lambda: open(given.replace("nii", "json")).close())
    os.mkdir(tmp_path / "disk2")
    os.rename(tmp_path / "disk1" / "ds01", tmp_path / "disk2" / "ds01")
    now = str(tmp_path / "disk2" / "ds01" / "sub-01" / "bold.nii")

    assert [("read", "bold.json")] == project.differs(record)
    assert [] == project.differs(record, datasets=datasets_of([now]))

    dataset(tmp_path / "disk1" / "ds01")
    assert [("dataset", "ds01")] == project.differs(record, datasets=datasets_of([now]))
    assert [] == project.differs(record, datasets=datasets_of([given]))


def test_thousands_of_files_stay_small(project):
    """A record of many files takes some hundred bytes for each at most."""
    for number in range(2000):
        project.write(f"data/sub-{number // 10:03}/file_{number % 10}.txt", str(number))

    record = project.run(lambda: [open(path).close() for path in glob.glob("data/*/*.txt")])

    assert len(json.dumps(record)) / 2000 < 200
    assert [] == project.differs(record)


def test_verify_content_reads_everything_again(project, monkeypatch):
    """MEMORI_VERIFY=content trusts no stat."""
    path = project.write("a.txt")
    record = project.run(lambda: open(path).close())
    wrong = "0" * 64
    record["read"]["digests"] = wrong

    assert [] == project.differs(record)
    monkeypatch.setenv("MEMORI_VERIFY", "content")
    assert [("read", "a.txt")] == project.differs(record)


def test_odd_names_count(project):
    """Names that are no text, hold line ends or are spelled with detours count like any."""
    odd = os.fsencode(str(project.folder)) + b"/caf\xe9\n.txt"
    with open(odd, "w") as file:
        file.write("1")
    project.write("data/a.txt")

    record = project.run(lambda: (open(odd).close(), open("data/../data//./a.txt").close()))
    with open(odd, "w") as file:
        file.write("2")
    project.write("data/a.txt", "2")

    assert 2 == len(project.differs(record))


def test_databases_count_and_are_named(project):
    """The file of a database counts, and that nobody saw what was read of it is said."""
    connection = sqlite3.connect("a.db")
    connection.execute("create table t (x)")
    connection.commit()
    connection.close()

    record = project.run(lambda: sqlite3.connect("a.db").execute("select * from t").fetchall())

    assert ["a.db"] == [name for _, names in record["read"]["files"] for name in names]
    assert "sqlite3 (databases)" in record["unseen"]


def test_a_fresh_file_is_vouched_for(project):
    """A file written right before the run is trusted by its stat from the first check on."""
    path = project.write("a.txt")
    record = project.run(lambda: open(path).close())

    assert bytes(40) != base64.b64decode(record["read"]["stats"])
