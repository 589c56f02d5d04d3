"""Make `python -m study` the same as the command `study`."""

from study.cli.main import program

if __name__ == "__main__":
    program()
