"""The fingerprint of code: what a callable is and reaches, in digests that can be compared.

`fingerprint(function)` walks the live objects that the function can reach: helpers, methods and
bases, closures, defaults, globals' values, dispatch tables. What the user wrote counts by what it
does, installed distributions by name and version, the standard library by name. The result says
which components were found and what could not be followed. docs/fingerprint.md tells what counts.

code          the digests and components of a callable; the way in
dispatch      which handler encodes which kind of value
functions, classes, values, special, opaque, compilers    the handlers
names, modules, imports/            from names in code to what they lead to, imported or not
walk, graph, guards, settle         what was met, kept, and is looked at again
bytecode, sources, syntax, writer   what code and its source say
origins, atoms                      whose code it is; the encoding of plain values
versions                            whether another process holds the same functions

Contract: two fingerprints with one digest in common (`fast` or `canonical()`) are of code that
does the same; what is not promised is the reverse, nor anything about files, environment and
arguments that the code reads when it runs.
"""

from memori.fingerprint.code import Code, fingerprint

__all__ = ["Code", "fingerprint"]
