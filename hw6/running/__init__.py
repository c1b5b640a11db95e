"""Running a sweep: what is missing, chunks, cells, rows, retries, prices."""
