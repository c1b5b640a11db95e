"""The arithmetic of a sweep: axes, cells, ids, chunks. No disk, no Hydra."""
