"""Writes the same HDF5 files, MINC volume and tractogram twice, seconds apart, in two folders.

``python make_hdf5.py FOLDER`` writes FOLDER/first and FOLDER/second. Needs: pip install h5py tables
pandas SimpleITK trx-python scipy, and apt-get install minc-tools.
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import h5py
import nibabel
import numpy as np
import pandas as pd
import scipy.io
import SimpleITK
from trx.trx_file_memmap import TrxFile, save

TINY = Path(nibabel.__file__).parent / "tests/data/tiny.mnc"


def hdf5(name, **how):
    """Three tables with their times, one of them in a group."""
    with h5py.File(name, "w", **how) as file:
        group = file.create_group("g", track_order=how.get("track_order"))
        file.create_dataset("x", data=np.arange(8), track_times=True)
        group.create_dataset("y", data=np.eye(2), track_times=True)
        group.create_dataset("z", data=[b"text"], track_times=True)
        group.attrs["unit"] = "mm"


def transform():
    """An affine and a small deformation, as ANTs writes both in one file."""
    field = SimpleITK.Image([2, 2, 2], SimpleITK.sitkVectorFloat64, 3)
    both = SimpleITK.CompositeTransform(3)
    both.AddTransform(SimpleITK.AffineTransform((1, 0, 0, 0, 2, 0, 0, 0, 3), (1, 2, 3)))
    both.AddTransform(SimpleITK.DisplacementFieldTransform(field))
    return both


def tracts():
    """Two tracts of three points."""
    made = TrxFile(nb_vertices=6, nb_streamlines=2)
    made.streamlines._data[:] = np.arange(18).reshape(6, 3)
    made.streamlines._offsets[:] = [0, 3]
    made.streamlines._lengths[:] = [3, 3]
    return made


def write():
    """Write everything in the current folder."""
    hdf5("old.h5")
    hdf5("ordered.h5", track_order=True)
    hdf5("new.h5", libver="latest")
    hdf5("block.h5", userblock_size=512)
    with h5py.File("dense.h5", "w", libver="latest") as file:
        for number in range(9):
            file.create_dataset(f"d{number}", data=number, track_times=True)
    frame = pd.DataFrame(np.arange(9.0).reshape(3, 3), columns=["a", "b", "c"])
    frame.to_hdf("pandas.h5", key="k")
    SimpleITK.WriteTransform(transform(), "composite.h5")
    for version, name in (("-2", "minc2.mnc"), ("-quiet", "minc1.mnc")):
        command = ["mincmath", version, "-quiet", "-mult", "-const", "2", "../tiny.mnc", name]
        subprocess.run(command, check=True)
    scipy.io.savemat("scipy.mat", {"M": np.eye(4)})
    save(tracts(), "two.trx")


if __name__ == "__main__":
    shutil.copy(TINY, os.path.join(sys.argv[1], "tiny.mnc"))
    for folder in ("first", "second"):
        os.makedirs(os.path.join(sys.argv[1], folder), exist_ok=True)
        os.chdir(os.path.join(sys.argv[1], folder))
        write()
        os.chdir(sys.argv[1])
        time.sleep(2.1)
