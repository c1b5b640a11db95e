"""How far ahead nearest neighbours forecast the Lorenz system."""
