"""Make tables and figures of a study: python scripts/analyze.py name=mine. Same as study analyze name=mine."""

from study.cli.main import analyze

if __name__ == "__main__":
    analyze()
