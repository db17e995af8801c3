"""What the field's file formats mean: what of a file counts, and what tools write at random.

nifti        NIfTI-1 and -2, single file or pair; CIFTI-2 through its extension
extensions   what NIfTI extensions of AFNI, Workbench and CIFTI say
gifti        surfaces, metrics and labels in XML
freesurfer   surfaces, MGH/MGZ volumes, annotations, transforms, statistics
afni         HEAD and BRIK
mrtrix       .mif, .mif.gz, .mih and its data
minc         MINC volumes and MNI transforms
tracts       .tck
trx          .trx
hdf5         HDF5, MINC-2 and MATLAB 7.3 among it
matlab       .mat of version 5
recordings   EEGLAB's .set and .fdt, split .fif
headers      headers that name the files of their data
sidecars     .json
gzipped      tables and text in gzip
markup       XML as a stream of events, safely
swap         byte order
lookup3      the checksum of HDF5

Each module offers objects of the protocol `memori.digest.formats.Format`; `memori.digest.formats`
finds them by name. docs/formats.md is the table that the tests hold. Nothing here imports numpy or
nibabel before it meets a file that needs them.
"""
