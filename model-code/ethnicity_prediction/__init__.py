"""The program inside the container: train and serve, and the modules they share."""
