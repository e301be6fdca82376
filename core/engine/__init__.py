"""The heavy half: everything that needs PyTorch. Only job processes and the command line import it."""
