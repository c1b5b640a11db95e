"""A frame -> text and pixels. Which columns, labels and marks an experiment wants is said by its drawing alone."""
