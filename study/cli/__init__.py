"""The command `study`. `main` dispatches to subcommands and to Hydra."""
