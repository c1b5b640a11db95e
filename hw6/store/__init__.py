"""The sweep directory: what is written, by whom, and what a reader may see."""
