"""Selectors: the language in which the schema says to which files a rule applies."""

import pytest

from memori.neuro.bids.expressions import _compiled, holds
from memori.neuro.bids.schema import schema

KNOWN = {
    "suffix": "bold",
    "extension": ".nii.gz",
    "modality": "mri",
    "entities": {"space": "T1w", "part": "phase"},
    "sidecar": {"LookLocker": True, "Labels": ["none"], "n": 3},
    "schema": {"spaces": {"enum": ["MNI"]}},
}


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ('suffix == "bold"', True),
        ("suffix != 'bold'", False),
        ('"space" in entities', True),
        ('!("space" in entities)', False),
        ("entities.part == 'phase'", True),
        ("entities.res", False),
        ("type(entities.res) == 'null'", True),
        ('intersects([suffix], ["cbv", "bold"])', True),
        ("!intersects(schema.spaces.enum, [entities.space])", True),
        ("intersects(sidecar.Labels, ['none'])", True),
        ("intersects(sidecar.Nothing, ['none'])", False),
        ("match(extension, '^\\\\.nii(\\\\.gz)?$')", True),
        ("match(entities.res, 'x')", False),
        ("sidecar.LookLocker == true", True),
        ("sidecar.n > 2 && sidecar.n <= 3", True),
        ("sidecar.n < 2 || suffix == 'bold'", True),
        ("length(sidecar.Labels) == 1", True),
        ("exists(sidecar.IntendedFor, 'bids-uri') == 1", False),
        ("nifti_header.dim[0] == 4", False),
        ("suffix ==", False),
        ("false", False),
    ],
)
def test_what_a_selector_says_of_a_file(selector, expected):
    """True, or false; what is not known here is never true."""
    assert expected is bool(holds([selector], KNOWN))


def test_every_selector_of_the_schema_can_be_read():
    """A release of the schema with a construct that memori does not know is noticed here."""
    rules = [*schema().sidecars, *schema().names, *schema().associations.values()]
    selectors = {each for rule in rules for each in rule.get("selectors", ())}

    assert len(selectors) > 50
    assert len(selectors) == len([_compiled(each) for each in selectors])
