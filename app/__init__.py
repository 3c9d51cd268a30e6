"""The application: command line, window, services and workers over `m2hf_core`."""
