"""The command line: parse, call the SDK, render. No logic lives here."""
