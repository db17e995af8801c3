#!/bin/sh
# Writes the same 15 artifacts twice, seconds apart, in two folders: `sh make.sh standard.nii.gz standard.tck`
# with the two files of nibabel's own test data. Needs: apt-get install connectome-workbench mrtrix3
set -e
cp "$1" /data/standard.nii.gz
cp "$2" /data/standard.tck
for folder in first second; do
    mkdir -p /data/$folder && cd /data/$folder
    wb_command -surface-create-sphere 40 sphere.surf.gii
    wb_command -set-structure sphere.surf.gii CORTEX_LEFT
    wb_command -surface-coordinates-to-metric sphere.surf.gii xyz.func.gii
    wb_command -set-structure xyz.func.gii CORTEX_LEFT
    printf 'left\n1 255 0 0 255\nright\n2 0 0 255 255\n' > labels.txt
    wb_command -metric-math 'x > 0' side.func.gii -var x xyz.func.gii -column 1
    wb_command -set-structure side.func.gii CORTEX_LEFT
    wb_command -metric-label-import side.func.gii labels.txt side.label.gii
    wb_command -cifti-create-dense-scalar xyz.dscalar.nii -left-metric xyz.func.gii
    wb_command -cifti-create-label side.dlabel.nii -left-label side.label.gii
    wb_command -cifti-create-dense-timeseries xyz.dtseries.nii \
        -left-metric xyz.func.gii -timestep 2 -timestart 0
    wb_command -cifti-parcellate xyz.dtseries.nii side.dlabel.nii COLUMN xyz.ptseries.nii
    wb_command -cifti-correlation xyz.ptseries.nii xyz.pconn.nii
    wb_command -volume-math 'x > 2' mask.nii.gz -var x ../standard.nii.gz
    wb_command -volume-label-import mask.nii.gz labels.txt label.nii.gz
    mrconvert -quiet /data/standard.nii.gz /data/$folder/standard.mif
    mrconvert -quiet /data/standard.nii.gz /data/$folder/standard.mif.gz
    mrconvert -quiet /data/standard.nii.gz /data/$folder/standard.mih
    mrconvert -quiet /data/standard.nii.gz /data/$folder/bit.mif -datatype bit
    tckedit -quiet -number 3 /data/standard.tck /data/$folder/three.tck
    rm labels.txt side.func.gii
    sleep 2
done
