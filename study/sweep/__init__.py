"""Many runs: `command` plans, freezes, and trains what is missing side by side; `tuned` does so in two phases."""
