"""Tables and other text in gzip (.tsv.gz, .csv.gz, .txt.gz, .1D.gz), as BIDS has its recordings.

What counts: every byte that is packed. gzip itself and pandas put the time and the name of the file
into the header of each, and every level and version packs in its own way.
"""

from __future__ import annotations

from memori.digest.formats import FieldDigest
from memori.digest.sources import Source


class _Text:
    family = "gzipped text 1"

    def companions(self, path: str) -> tuple[str, ...]:
        """Return none."""
        return ()

    def describe(self, path: str, fields: FieldDigest) -> None:
        """Put what is packed into `fields`."""
        with Source(path, gzipped=True) as source:  # readers refuse one that is not
            fields.stream("text", source.rest())


TEXT = _Text()
