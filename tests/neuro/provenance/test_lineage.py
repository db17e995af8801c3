"""Which run made a file, and of what, as the formats tell it in their own readers."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from memori import Folder, Stage, workdir
from memori.cli import main
from memori.neuro.provenance import bids_prov, prov_json, ro_crate
from memori.neuro.provenance.lineage import Lineage, above

FUNC = "sub-{0}/func/sub-{0}_task-rest"


def origins(file):
    """The names of all files that a file came from, and the stages on the way."""
    files, stages, waiting = set(), set(), [file]
    while waiting:
        each = waiting.pop()
        if each.run:
            stages.add(each.run.stage)
        for source in above(each):
            files.add(Path(source.path).name if source.path else source.name)
            waiting.append(source)
    return files, stages


def asked(lineage, folder):
    """The files of a lineage, by their names below a folder."""
    return {str(Path(file.path).relative_to(folder)): file for file in lineage.asked}


def test_a_derivative_comes_from_its_run_and_raw_file(study):
    """Though a derivative is a copy, elsewhere."""
    found = asked(Lineage(study.out, [study.work]), study.out)

    file = found[FUNC.format("03") + "_desc-masked_bold.nii.gz"]

    assert "mask" == file.run.stage
    assert ({"sub-03_task-rest_bold.nii.gz"}, {"mask"}) == origins(file)
    assert str(study.bids) in above(file)[0].path
    assert "cp" == file.run.software[0][0]


@pytest.mark.parametrize("subject", ["01", "02"])
def test_equal_files_of_two_subjects_come_from_their_own(study, subject):
    """Digests alone would not tell them apart: the source does, for files and for JSON values."""
    found = asked(Lineage(study.out, [study.work]), study.out)

    for end in ("_desc-masked_bold.nii.gz", "_desc-count_stat.json"):
        files, _ = origins(found[FUNC.format(subject) + end])

        assert f"sub-{subject}_task-rest_bold.nii.gz" in files
        assert not any(f"sub-{other}" in name for name in files for other in ("03", "0" + str(
            3 - int(subject))))  # fmt: skip


def test_a_value_that_is_json_comes_from_its_run(study):
    """It has no file of its own in the store."""
    found = asked(Lineage(study.out, [study.work]), study.out)

    file = found[FUNC.format("03") + "_desc-count_stat.json"]

    assert {"unit": "bytes"} == file.run.parameters
    assert {"count", "mask"} == origins(file)[1]
    assert file.run.software[0][0].endswith(".count")


def test_sidecars_are_told_to_be_of_memori(study):
    """They say what made the files beside them; no run made them."""
    found = asked(Lineage(study.out, [study.work]), study.out)

    sidecar = found[FUNC.format("01") + "_desc-masked_bold.json"]

    assert sidecar.is_sidecar
    assert sidecar.run is None


def test_a_group_comes_from_all(study):
    """The chain is followed over lists."""
    found = asked(Lineage(study.out, [study.work]), study.out)

    file = found["func/task-rest_desc-all_stat.tsv"]

    assert "table" == file.run.stage


def test_one_file_has_its_own_lineage(study):
    """Wherever in derivatives or in memory it lies; the memory around it is found."""
    name = FUNC.format("03") + "_desc-masked_bold.nii.gz"
    one = Lineage(study.out / name, [study.work])
    inside = next(study.work.glob("sub-03/mask/*/masked.nii.gz"))

    assert [str(study.out / name)] == [file.path for file in one.asked]
    assert ["mask"] == [run.stage for run in one.runs]
    assert ["mask"] == [run.stage for run in Lineage(inside).runs]


def test_runs_that_made_nothing_of_it_are_left_out(study):
    """Other variants are remembered, and are not where these files come from."""
    study.run(unit="kB")
    lineage = Lineage(study.out, [study.work])

    assert {"kB"} == {run.parameters["unit"] for run in lineage.runs if run.stage == "count"}


def test_a_memory_tells_of_its_own_files(study):
    """Without any derivatives."""
    lineage = Lineage(study.work)

    assert {"mask", "table"} == {file.run.stage for file in lineage.asked}
    assert 4 == len(lineage.asked)


def test_a_study_that_moved_keeps_its_lineage(study, tmp_path):
    """Names are relative to what was asked for."""
    name = FUNC.format("03") + "_desc-masked_bold.nii.gz"
    before = bids_prov.document(Lineage(study.out, [study.work]))
    moved = tmp_path / "elsewhere"
    study.folder.rename(moved)

    found = asked(
        Lineage(moved / "derivatives/counts", [moved / "wörk"]), moved / "derivatives/counts"
    )
    after = bids_prov.document(Lineage(moved / "derivatives/counts", [moved / "wörk"]))

    assert "mask" == found[name].run.stage
    ids = [{each["Id"] for each in d["Records"]["Activities"]} for d in (before, after)]
    assert ids[0] == ids[1]


def test_a_folder_is_a_file_of_its_own(tmp_path):
    """A run may return one, and another take it."""

    def make(size):
        (workdir() / "surf").mkdir()
        (workdir() / "surf/lh.pial").write_text("x" * size)
        return Folder(workdir() / "surf")

    def measure(surf):
        path = workdir() / "area.txt"
        path.write_text(str(len((Path(surf) / "lh.pial").read_text())))
        return str(path)

    made = Stage(make, "surf", tmp_path / "work").run(3)
    Stage(measure, "area", tmp_path / "work").run(surf=Folder(made["surf"]))

    lineage = Lineage(tmp_path / "work")

    by_name = {file.name: file for file in lineage.asked}
    assert by_name["surf"].is_folder
    assert [by_name["surf"].name] == [file.name for file in above(by_name["area.txt"])]
    assert "make" == above(by_name["area.txt"])[0].run.stage


def test_a_copy_of_the_same_name_is_not_taken_for_the_file(study, tmp_path):
    """Another stage copied the raw file, byte for byte; who used the raw one did not use that."""

    def stage_in(bold):
        return shutil.copy(bold, workdir())

    (bold,) = study.bids.glob("sub-03/func/*.nii.gz")
    Stage(stage_in, "copy", study.work / "sub-03").run(bold=str(bold))
    lineage = Lineage(study.out, [study.work])

    (run,) = [run for run in lineage.runs if run.stage == "mask" and "sub-03" in run.root]
    assert [str(bold)] == [file.path for file in run.used]


# The formats, in their own readers


def test_prov_json_is_read_by_prov(study):
    """Who made a file, by what tool, when and where, and from what."""
    prov = pytest.importorskip("prov.model")
    text = json.dumps(prov_json.document(Lineage(study.out, [study.work])))

    read = prov.ProvDocument.deserialize(content=text, format="json")

    again = prov.ProvDocument.deserialize(content=read.serialize(format="json"), format="json")
    assert read == again
    said = json.loads(text)
    entity = f"file:{FUNC.format('03')}_desc-masked_bold.nii.gz"
    (run,) = {each["prov:activity"] for each in said["wasGeneratedBy"].values()
              if each["prov:entity"] == entity}  # fmt: skip
    activity = said["activity"][run]
    assert "mask" == activity["prov:label"]
    assert activity["prov:startTime"] <= activity["prov:endTime"]
    assert activity["memori:command"].startswith("cp '../../raw data/sub-03/")
    agents = {each["prov:agent"] for each in said["wasAssociatedWith"].values()
              if each["prov:activity"] == run}  # fmt: skip
    assert any(agent.startswith("agent:cp") for agent in agents)
    assert any(agent.startswith("agent:host-") for agent in agents)
    used = {each["prov:entity"] for each in said["used"].values() if each["prov:activity"] == run}
    assert {"file:../../raw%20data/sub-03/func/sub-03_task-rest_bold.nii.gz"} == used


def test_bids_prov_is_read_as_json_ld(study):
    """The graph that its context makes of it is one of PROV."""
    jsonld = pytest.importorskip("pyld.jsonld", reason="no PyLD: pip install pyld")
    prov = "http://www.w3.org/ns/prov#"

    graph = jsonld.expand(bids_prov.document(Lineage(study.out, [study.work])))

    by_id = {each["@id"]: each for each in graph}
    file = by_id[f"bids::{FUNC.format('03')}_desc-masked_bold.nii.gz"]
    assert [f"{prov}Entity"] == file["@type"]
    activity = by_id[file[f"{prov}wasGeneratedBy"][0]["@id"]]
    assert [f"{prov}Activity"] == activity["@type"]
    used = {each["@id"] for each in activity[f"{prov}used"]}
    assert "bids:raw:sub-03/func/sub-03_task-rest_bold.nii.gz" in used
    tool = by_id[activity[f"{prov}wasAssociatedWith"][0]["@id"]]
    assert [f"{prov}Agent"] == tool["@type"]


def test_every_name_of_bids_prov_is_that_of_an_object(study):
    """Whatever an activity used, or a file was generated by, is described."""
    found = bids_prov.document(Lineage(study.out, [study.work]))["Records"]
    ids = [each["Id"] for kind in found.values() for each in kind]

    assert len(ids) == len(set(ids))
    named = {each["GeneratedBy"] for each in found["ProvEntities"] if "GeneratedBy" in each}
    for activity in found["Activities"]:
        named |= {*activity["Used"], *activity["AssociatedWith"]}
    assert set() == named - set(ids)


def test_bids_prov_in_a_dataset(study):
    """Four files and a table, in a dataset that the validator still passes."""
    written = bids_prov.write(Lineage(study.out, [study.work]), str(study.out))

    names = [Path(path).name for path in written]
    assert [f"prov-memori_{suffix}.json" for suffix in ("act", "ent", "soft", "env")] == names[:4]
    activities = json.loads((study.out / "prov/prov-memori_act.json").read_text())
    assert {"Activities"} == set(activities)
    assert "prov" in (study.out / ".bidsignore").read_text().splitlines()
    assert "provenance_label\tdescription" == (study.out / "prov/provenance.tsv").read_text().split(
        "\n"
    )[0]  # fmt: skip


def test_an_ro_crate_is_read_by_rocrate(study):
    """Of a folder its files are parts; runs are actions with instruments, objects and results."""
    rocrate = pytest.importorskip("rocrate.rocrate", reason="no rocrate: pip install rocrate")
    ro_crate.write(Lineage(study.out, [study.work]), str(study.out))

    crate = rocrate.ROCrate(str(study.out))

    name = f"{FUNC.format('03')}_desc-masked_bold.nii.gz"
    assert "sub-03_task-rest_desc-masked_bold.nii.gz" == crate.get(name)["name"]
    (action,) = [
        each
        for each in crate.get_entities()
        if each.type == "CreateAction" and name in str(each["result"])
    ]
    assert "mask" == action["name"]
    assert "cp" == action["instrument"]["name"]
    assert "sub-03_task-rest_bold.nii.gz" == action["object"]["name"]
    assert action["startTime"] <= action["endTime"]
    facts = {each["name"]: each["value"] for each in action["additionalProperty"]}
    assert {"host", "python", "code"} <= set(facts)
    assert crate.root_dataset["conformsTo"].id.startswith("https://w3id.org/ro/wfrun/process")
    parts = [each.id for each in crate.root_dataset["hasPart"]]
    assert all((study.out / part).exists() for part in parts)


def test_what_is_written_into_a_dataset_passes_the_validator(study):
    """Provenance beside derivatives does not make them invalid."""
    validator = shutil.which("bids-validator-deno")
    if validator is None:
        pytest.skip("no validator: pip install bids-validator-deno")
    pytest.importorskip("rocrate", reason="no rocrate: pip install rocrate")
    for write in (bids_prov.write, ro_crate.write):
        write(Lineage(study.out, [study.work]), str(study.out))

    done = subprocess.run(
        [validator, "--format", "json", "--ignoreNiftiHeaders", str(study.out)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    found = json.loads(done.stdout)["issues"]["issues"]
    assert [] == [each for each in found if "prov" in str(each) or "crate" in str(each)]


# The command


def test_the_command_prints_or_writes(study, capsys, monkeypatch):
    """Text by default; with -o a file, or into a folder."""
    monkeypatch.chdir(study.folder)
    words = ["provenance", "derivatives/counts", "-d", "wörk"]

    assert 0 == main(words)
    text = capsys.readouterr().out
    assert 0 == main([*words, "--format", "prov-json", "-o", "prov.json"])
    assert 0 == main([*words, "--format", "bids-prov", "-o", "derivatives/counts"])
    written = capsys.readouterr().out.splitlines()

    assert (
        "derivatives/counts/" + FUNC.format("03") + "_desc-masked_bold.nii.gz\n    by mask/" in text
    )
    assert "raw data/sub-03/func/sub-03_task-rest_bold.nii.gz" in text
    assert json.loads(Path("prov.json").read_text())["activity"]
    assert "prov.json" == written[0]
    assert "derivatives/counts/prov/prov-memori_act.json" in written


def test_what_nobody_remembers_is_an_error(study, capsys, tmp_path):
    """It says where to look."""
    codes = [main(["provenance", str(study.out / "README")]), main(["provenance", "nowhere"]),
             main(["provenance", str(tmp_path), "-d", "nowhere"])]  # fmt: skip

    assert [1, 1, 1] == codes
    first, second, third = capsys.readouterr().err.splitlines()
    assert "say by -d where the runs are remembered" in first
    assert "nowhere: there is no such file or folder" in second
    assert second == third
