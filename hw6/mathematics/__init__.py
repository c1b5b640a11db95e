"""Arrays in, arrays out: streams, ridge regression, initialization, dropout, residual networks; no configs."""
