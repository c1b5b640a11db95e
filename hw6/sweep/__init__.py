"""The sweep: cells, plan, chunks, store. It knows neither the experiments nor their mathematics."""
