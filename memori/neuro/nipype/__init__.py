"""The bridges to Nipype: interfaces as stages, stages as nodes, workflows remembered.

A process that makes its first interface would ask a server of Nipype's for the latest release;
once memori is there it does not, because nothing that memori starts needs a network.
"""

import os

os.environ.setdefault("NIPYPE_NO_ET", "1")
