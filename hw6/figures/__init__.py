"""A frame -> text and pixels."""
