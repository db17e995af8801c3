"""What the field's file formats mean: what of a file counts, and what tools write at random.

nifti        NIfTI-1 and -2, single file or pair; CIFTI-2 through its extension
extensions   what NIfTI extensions of AFNI, Workbench and CIFTI say
gifti        surfaces, metrics and labels in XML
freesurfer   surfaces, MGH/MGZ volumes, annotations
afni         HEAD and BRIK
mrtrix       .mif, .mif.gz, .mih and its data
tracts       .tck
sidecars     .json
markup       XML as a stream of events, safely
swap         byte order

Each module offers objects of the protocol `memori.digest.formats.Format`; `memori.digest.formats`
finds them by name. docs/formats.md is the table that the tests hold. Nothing here imports numpy or
nibabel before it meets a file that needs them.
"""
