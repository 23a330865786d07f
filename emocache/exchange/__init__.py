"""Features to and from the files of other tools.

out: store -> export -> containers (HDF5, npz, zipped Zarr)    in: foreign -> matched -> imports -> store
"""
