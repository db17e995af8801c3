"""What the words of a command name, found before it runs."""

import os

import pytest

from memori.aside import aside
from memori.watch import watching
from memori.watch.commands.named import Named
from memori.watch.commands.shell_text import commands_in

THERE = [
    "a.txt", "b.txt", "a b.txt", "img.nii.gz", "epi+orig.HEAD", "epi+orig.BRIK", "vol0.nii",
    "vol1.nii", "both.nii", "both.nii.gz", "deep/x.txt", "1.1D",
]  # fmt: skip

WORDS = {
    "a path": (["cat", "a.txt"], "a.txt"),
    "a relative path": (["cat", "./deep/../a.txt"], "a.txt"),
    "an option": (["dd", "if=a.txt"], "a.txt"),
    "a long option": (["flirt", "--in=a.txt", "--ref=b.txt"], "a.txt b.txt"),
    "an option's image": (["topup", "--imain=img"], "img.nii.gz"),
    "a list": (["fslmerge", "a.txt,b.txt"], "a.txt b.txt"),
    "a list of an option": (["topup", "--imain=a.txt,b.txt"], "a.txt b.txt"),
    "brackets": (["antsRegistration", "-m", "MI[a.txt,b.txt,1,32]"], "a.txt b.txt"),
    "brackets alone": (["antsApplyTransforms", "-t", "[a.txt,1]"], "a.txt"),
    "a file of words": (["xjview", "@list"], "list deep/x.txt"),
    "a view": (["3dinfo", "epi+orig"], "epi+orig.HEAD"),
    "a prefix": (["3dinfo", "epi"], "epi+orig.HEAD"),
    "sub-bricks": (["3dcalc", "-a", "epi+orig[0..5]"], "epi+orig.HEAD"),
    "a range": (["3dcalc", "-a", "epi+orig<1..3>"], "epi+orig.HEAD"),
    "both": (["3dcalc", "-a", "epi+orig[0]<1..3>"], "epi+orig.HEAD"),
    "of an image": (["3dcalc", "-a", "img.nii.gz[0,2]"], "img.nii.gz"),
    "rows": (["1dcat", "1.1D[1]{0..3}"], "1.1D"),
    "transposed": (["1dtranspose", "1.1D'"], "1.1D"),
    "no extension": (["bet", "img", "out"], "img.nii.gz"),
    "niimath's order": (["niimath", "both", "out"], "both.nii"),
    "any order": (["bet", "both", "out"], "both.nii both.nii.gz"),
    "a series": (["mrcat", "vol[0:1].nii", "out"], "vol0.nii vol1.nii"),
    "any series": (["mrcat", "vol[].nii", "out"], "vol0.nii vol1.nii"),
    "words in a word": (["3dMean", "-x", "a.txt epi+orig[0]"], "a.txt epi+orig.HEAD"),
    "a blank in a path": (["cat", "a b.txt"], "a b.txt"),
    "a shell's text": (["sh", "-c", "cat a.txt"], "a.txt"),
    "quotes": (["bash", "-c", "cat 'a b.txt' \"a.txt\" deep/x\\.txt"], "a b.txt a.txt deep/x.txt"),
    "options of a shell": (["bash", "-e", "-uc", "cat a.txt"], "a.txt"),
    "a wrapper": (["env", "X=1", "nice", "-n", "5", "bash", "-c", "cat a.txt"], "a.txt"),
    "arguments": (["sh", "-c", 'cat "$0" "$1"', "a.txt", "b.txt"], "a.txt b.txt"),
    "all arguments": (["sh", "-c", 'cat "$@"', "sh", "b.txt"], "b.txt"),
    "a variable": (["sh", "-c", "cat $NAME ${NAME}"], "a.txt"),
    "a variable of its own": (["sh", "-c", "x=a.txt; cat $x"], "a.txt"),
    "home": (["sh", "-c", "cat ~/a.txt"], "a.txt"),
    "input": (["sh", "-c", "sort < a.txt > b.txt"], "a.txt"),
    "output": (["sh", "-c", "sort a.txt >> b.txt 2>img.nii.gz"], "a.txt"),
    "a pipe": (["sh", "-c", "cat a.txt|sort&&cat b.txt;true"], "a.txt b.txt"),
    "a substitution": (["sh", "-c", 'echo "$(cat $(echo a.txt))" `cat b.txt`'], "a.txt b.txt"),
    "a loop": (["sh", "-c", "for x in a.txt; do cat $x; done"], "a.txt"),
    "a pattern": (["sh", "-c", "cat deep/*.txt"], "deep/x.txt"),
    "a pattern of folders": (["sh", "-c", "cat d*/x.*"], "deep/x.txt"),
    "another folder": (["sh", "-c", "cd deep && cat x.txt"], "deep/x.txt"),
    "a script": (["bash", "script.sh", "b.txt"], "script.sh a.txt b.txt"),
    "a script in a script": (["sh", "-c", ". ./script.sh; sh script.sh"], "script.sh a.txt"),
    "where it writes": (["dcm2niix", "-o", "a.txt", "b.txt"], "b.txt"),
    "nothing": (["cat", "none", "-x", "5", "", "=", "@", "[", "MI[", "a.txt/", "$("], ""),
    "broken text": (["sh", "-c", "cat 'a.txt"], "a.txt"),
}


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    folder = tmp_path / "run[1] of *"  # what looks like a pattern is none
    folder.mkdir()
    monkeypatch.chdir(folder)
    os.mkdir("deep")
    for path in THERE:
        with open(path, "w") as file:
            file.write("x")
    with open("list", "w") as file:
        file.write("deep/x.txt none\n")
    with open("script.sh", "w") as file:
        file.write("cat a.txt # b.txt\nsh script.sh\n")


def found(argv):
    """Return what is named, and what would be."""
    here = os.getcwd()
    named = Named(argv, here, {"NAME": "a.txt", "HOME": here, "PATH": "/bin"}).found
    return (
        {path.removeprefix(f"{here}/") for path in each} for each in (named.files, named.absent)
    )


@pytest.mark.parametrize("way", WORDS)
def test_words_name_files_in_the_ways_of_the_field(way):
    """However a tool or a shell makes paths of words."""
    argv, expected = WORDS[way]
    pieces = expected.replace("a b.txt", "a?b.txt").split()
    assert {each.replace("?", " ") for each in pieces} == next(iter(found(argv)))


def test_names_that_would_be_found_instead_are_absent():
    """One that appears may be read in the place of the other; niimath takes the first."""
    files, absent = found(["bet", "img", "out"])
    assert "img.nii" in absent
    files, absent = found(["niimath", "img", "out"])
    assert ({"img.nii.gz"}, {"img.nii"}) == (files, absent)


def test_a_pattern_counts_by_the_folders_that_are_listed_for_it():
    """A file that fits may come in any of them; what lies above is not listed."""
    here = os.getcwd()
    named = Named(["sh", "-c", "cat d*/*.txt"], here, {"PATH": "/bin"})
    with watching() as seen, aside():
        named.tell(seen)
    assert {here, f"{here}/deep"} == set(seen.folders)


def test_commands_of_a_text_are_told_apart():
    """Each with its own words; what is not known is left out."""
    text = "X=1 fsl=2 bet $in out; (3dcalc -a x'[0]' ) | tee log\n# no\necho \"a$X\""
    assert [["bet", "out"], ["3dcalc", "-a", "x[0]"], ["tee", "log"], ["echo", "a1"]] == [
        each.argv for each in commands_in(text, {})
    ]


def test_what_lies_above_a_link_is_what_lies_above_where_it_leads():
    """``link/../f`` is not the file ``f`` beside the link."""
    os.makedirs("far/away", exist_ok=True)
    os.symlink("far/away", "lnk")
    for path in ("near.txt", "far/near.txt"):
        with open(path, "w") as file:
            file.write("1")
    files, _ = found(["cat", "lnk/../near.txt"])
    assert {"far/near.txt"} == files
