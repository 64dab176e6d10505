"""The command line: the commands of docs/commands.md, their output and their exit codes."""

from leadnurture.cli.main import main

__all__ = ["main"]
