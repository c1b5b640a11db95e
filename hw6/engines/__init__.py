"""Where chunks run: this process, local workers, any launcher of Hydra."""
