"""Imports that are not done yet: what they would bring, found without doing them.

unloaded   a module that nobody has imported: where it is, and what is read from it
slices     which statements of its source matter to a name
mentions   what the names in code say that it reads: docstrings, annotations, lines
tables     from which module a package takes a name when that is first asked for
compiled   whether what Python would run is what the source says
settings   what a script has set in a library that it has imported
kept_settings   where libraries keep that
set_up     what a script does to a library before its functions make use of it
lines      whether a source is worth to be read for that
effects    the statements that do so
parts      the plain values that these read of larger ones
"""
