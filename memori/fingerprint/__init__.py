"""The fingerprint of code: what a callable is and reaches, in digests that can be compared.

`fingerprint(function)` walks the live objects that the function can reach: helpers, methods and
bases, closures, defaults, globals' values, dispatch tables. What the user wrote counts by what it
does, installed distributions by name and version, the standard library by name. The result says
which components were found and what could not be followed. docs/fingerprint.md tells what counts.

Contract: two fingerprints with one digest in common (`fast` or `canonical()`) are of code that
does the same; what is not promised is the reverse, nor anything about files, environment and
arguments that the code reads when it runs.
"""

from memori.fingerprint.code import Code, fingerprint

__all__ = ["Code", "fingerprint"]
