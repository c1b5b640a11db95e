"""What is typed -> a plan: the one room that composes with Hydra."""
