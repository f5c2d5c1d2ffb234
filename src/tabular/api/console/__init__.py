"""The console: a page for people, made of files that a browser runs as they are.

Its scripts use nothing but the API that every client has, so it can do nothing that a key could
not; what is here only hands the files out.
"""

from __future__ import annotations

from tabular.api.console.files import ASSETS, CONSOLE, Console, File

__all__ = ["ASSETS", "CONSOLE", "Console", "File"]
