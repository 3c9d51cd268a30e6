"""The command line: a thin layer over `app.services`, one function per command."""
